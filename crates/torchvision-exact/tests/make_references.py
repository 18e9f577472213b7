"""Writes the stored references, stored/*.safetensors: numbers of PyTorch 2.11.0, torchvision 0.26 and Pillow 13.

    python make_references.py            writes them
    python make_references.py --check    makes them again and compares

Every machine gives the same files, but `image_files` needs a processor of x86-64: on others Pillow decodes other pixels of JPEG files that
overflow. A name in a file is a path, its parts joined by dots.
"""

import argparse
import io
import itertools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from torchvision.transforms import Normalize, Resize, ToTensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from reference_transforms import TRANSFORMS, draw_seed, transformed

HERE = Path(__file__).parent
Tensors = dict[str, Tensor]


def peeked_seed() -> int:
    """The seed that the default generator would draw next. The generator does not move."""
    state = torch.get_rng_state()
    seed = draw_seed()
    torch.set_rng_state(state)
    return seed


def sampler(seeds: list[int]) -> Tensors:
    """DataLoader(shuffle=True) over range(n) for three epochs; a test DataLoader follows each epoch, as in train_ch6.

    SEED.N.epochE.{base_seed,sampler_seed,test_base_seed,order}; SEED.N.next_seed, the next seed of the default
    generator; SEED.N.randperm, torch.randperm(N) of a generator with that seed. For N = 60000 an order is stored as
    `.first` and `.last`, 64 elements each, and `.checksum`, the sum of i * order[i].
    """
    tensors = {}
    for seed in seeds:
        for n in (1, 2, 10, 1000, 60000):
            tensors |= {f"{seed}.{n}.{name}": tensor for name, tensor in shuffled_epochs(seed, n).items()}
            generator = torch.Generator().manual_seed(seed)
            tensors |= order_tensors(f"{seed}.{n}.randperm", torch.randperm(n, generator=generator))
    return tensors


def shuffled_epochs(seed: int, n: int) -> Tensors:
    """The tensors of `sampler` for one seed and one size."""
    torch.manual_seed(seed)
    train_loader = DataLoader(range(n), batch_size=256, shuffle=True)
    test_loader = DataLoader(range(3), batch_size=2)
    tensors = {}
    for epoch in range(3):
        batches = iter(train_loader)
        tensors[f"epoch{epoch}.base_seed"] = torch.tensor(batches._base_seed)
        tensors[f"epoch{epoch}.sampler_seed"] = torch.tensor(peeked_seed())
        tensors |= order_tensors(f"epoch{epoch}.order", torch.cat(list(batches)))
        batches = iter(test_loader)
        tensors[f"epoch{epoch}.test_base_seed"] = torch.tensor(batches._base_seed)
        list(batches)
    tensors["next_seed"] = torch.tensor(peeked_seed())
    return tensors


def order_tensors(name: str, order: Tensor) -> Tensors:
    """A permutation, or the ends and the checksum of a long one."""
    if len(order) <= 1000:
        return {name: order}
    checksum = (torch.arange(len(order)) * order).sum()
    return {f"{name}.first": order[:64].clone(), f"{name}.last": order[-64:].clone(), f"{name}.checksum": checksum}


def distributed() -> Tensors:
    """The orders of DistributedSampler(range(N), RANKS, rank, shuffle=True, seed=SEED) after set_epoch(EPOCH).

    N.RANKS.SEED.EPOCH: (RANKS, examples of a rank).
    """
    tensors = {}
    for n, ranks, seed, epoch in itertools.product((1, 3, 5, 12, 100), (1, 2, 3, 8), (0, 7, 2**32 - 1, 2**63), (0, 5)):
        samplers = [DistributedSampler(range(n), ranks, rank, shuffle=True, seed=seed) for rank in range(ranks)]
        for sampler in samplers:
            sampler.set_epoch(epoch)
        tensors[f"{n}.{ranks}.{seed}.{epoch}"] = torch.tensor([list(sampler) for sampler in samplers])
    return tensors


# The images of `resize`: height, width and channels, and the size for torchvision's Resize.
RESIZES: dict[str, tuple[tuple[int, int, int], int | tuple[int, int]]] = {
    "gray_up": ((12, 12, 1), 96),
    "gray_same": ((8, 8, 1), 8),
    "gray_landscape": ((17, 30, 1), 25),
    "gray_portrait": ((30, 17, 1), 10),
    "odd_up": ((7, 5, 3), (19, 23)),
    "odd_down": ((41, 53, 3), (10, 17)),
    "columns_first": ((40, 30, 3), (20, 15)),
    "rows_first": ((40, 30, 3), (10, 26)),
    "rows_down_columns_up": ((40, 9, 3), (13, 31)),
    "columns_down_rows_up": ((9, 40, 3), (31, 13)),
    "columns_only": ((6, 31, 3), (6, 14)),
    "rows_only": ((31, 6, 3), (14, 6)),
    "tall": ((303, 2, 3), (20, 3)),
    "one_row": ((1, 30, 1), (1, 7)),
    "one_pixel": ((1, 1, 3), (5, 7)),
    "to_one_pixel": ((9, 11, 3), (1, 1)),
}


def resize(seed: int) -> Tensors:
    """torchvision's bilinear Resize of PIL images, gray (L) or RGB.

    CASE.image, (height, width, channels), from torch.randint, and CASE.resized.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for case, (shape, size) in RESIZES.items():
        image = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        resized = Resize(size)(to_pil_image(image.permute(2, 0, 1)))
        tensors |= {f"{case}.image": image, f"{case}.resized": pil_to_tensor(resized).permute(1, 2, 0).contiguous()}
    return tensors


# Height, width and channels of the images of `transforms`, three of each.
TRANSFORMED: dict[str, tuple[int, int, int]] = {
    "rgb": (11, 8, 3),
    "gray": (9, 14, 1),
    "rgb_pixel": (1, 1, 3),
    "gray_pixel": (1, 1, 1),
    "row": (1, 13, 3),
    "column": (13, 1, 3),
}


def transforms(seed: int) -> Tensors:
    """The random transforms of reference_transforms.py, applied four times to each PIL image after one torch.manual_seed.

    SET.images, (n, height, width, channels), uint8: two from torch.randint, one of values near 0, 127 and 255.
    TRANSFORM.SET.out, (n, draws, height, width, channels), and TRANSFORM.SET.next_seed, the next seed of the generator.
    SET.to_tensor, ToTensor of each image; SET.normalized, Normalize after that, for RGB with ImageNet's statistics.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in TRANSFORMED.items():
        images = torch.randint(0, 256, (3, *shape), dtype=torch.uint8, generator=generator)
        extremes = torch.tensor([0, 1, 127, 128, 254, 255], dtype=torch.uint8)
        images[2] = extremes[torch.randint(0, 6, shape, generator=generator)]
        tensors[f"{name}.images"] = images
        for transform in TRANSFORMS:
            out, next_seed = transformed(transform, images, draws=4, seed=seed)
            tensors |= {f"{transform}.{name}.out": out, f"{transform}.{name}.next_seed": next_seed}
        scaled = torch.stack([ToTensor()(to_pil_image(image.permute(2, 0, 1))) for image in images])
        mean, std = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) if shape[2] == 3 else ([0.5], [0.25])
        tensors |= {f"{name}.to_tensor": scaled, f"{name}.normalized": Normalize(mean, std)(scaled)}
    return tensors


def jpeg(image: Image.Image, factor: int = 1, **options) -> bytes:
    """A JPEG file whose steps of quantization are multiplied, up to 255."""
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    content = bytearray(file.getvalue())
    table = -1
    while factor > 1 and (table := content.find(b"\xff\xdb", table + 1)) >= 0:
        steps = slice(table + 5, table + 69)
        content[steps] = bytes(min(255, step * factor) for step in content[steps])
    return bytes(content)


def jpegs(rng: np.random.Generator) -> dict[str, bytes]:
    """JPEG files of every sampling of colours, of other colour spaces, and of coarse steps, with which the decoder overflows."""
    rows, columns = np.mgrid[0:30, 0:40]
    gradient = Image.fromarray(np.stack([columns * 6, rows * 8, rows * 0 + 90], 2).astype(np.uint8))
    noise = Image.fromarray(rng.integers(0, 256, (16, 17, 3)).astype(np.uint8))
    stripes = Image.fromarray((rng.integers(0, 2, (16, 24)) * 255).astype(np.uint8)).convert("RGB")
    files = {"gradient.jpg": jpeg(gradient, quality=100), "pixel.jpg": jpeg(noise.crop((0, 0, 1, 1)))}
    for subsampling, progressive, quality in itertools.product(("4:4:4", "4:2:2", "4:2:0"), (False, True), (2, 75)):
        name = f"{subsampling.replace(':', '')}_{'p' if progressive else 's'}_{quality}.jpg"
        files[name] = jpeg(noise, quality=quality, subsampling=subsampling, progressive=progressive)
    for mode in ("L", "CMYK"):
        files[f"{mode}.jpg"] = jpeg(noise.convert(mode), quality=80)
    files["rgb.jpg"] = jpeg(noise, quality=80, keep_rgb=True)
    files["restart.jpg"] = jpeg(noise, quality=80, restart_marker_blocks=2)
    for quality, factor, progressive in itertools.product((1, 95), (3, 20, 255), (False, True)):
        files[f"coarse_{quality}_{factor}_{'p' if progressive else 's'}.jpg"] = jpeg(
            stripes, factor, quality=quality, progressive=progressive
        )
    for name, rows, factor in (("black", [0] * 8, 6), ("white", [255] * 8, 6), ("edge", [255] * 4 + [0] * 4, 12)):
        levels = Image.fromarray(np.repeat(np.array(rows, np.uint8)[:, None], 8, 1)).convert("RGB")
        files[f"{name}.jpg"] = jpeg(levels, factor, quality=100)
    return files | {path.name: path.read_bytes() for path in (HERE / "images").iterdir()}


def pngs(rng: np.random.Generator) -> dict[str, bytes]:
    """PNG files of every mode of Pillow's."""
    noise = Image.fromarray(rng.integers(0, 256, (9, 13, 4)).astype(np.uint8))
    images = {mode: noise.convert("RGB").convert(mode) for mode in ("1", "L", "P", "RGB")}
    images |= {"LA": noise.convert("LA"), "RGBA": noise, "five": noise.convert("RGB").quantize(5)}
    images["I16"] = Image.fromarray(rng.integers(0, 600, (9, 13)).astype(np.uint16))
    files = {name: io.BytesIO() for name in images}
    for name, image in images.items():
        image.save(files[name], "PNG")
    return {f"{name}.png": file.getvalue() for name, file in files.items()}


def image_files(seed: int) -> Tensors:
    """Image files, sound, cut off or with a wrong bit.

    NAME.file: the bytes. NAME.pixels, (height, width, 3), uint8: what Pillow reads; missing if it refuses the file.
    """
    rng = np.random.default_rng(seed)
    files = jpegs(rng) | pngs(rng)
    for name in ("420_s_75.jpg", "444_p_75.jpg", "RGB-arithmetic.jpg", "RGB.png"):
        content = files[name]
        for end in (3, len(content) // 2, *range(len(content) - 20, len(content), 3), len(content) - 1):
            files[f"cut_{end}_{name}"] = content[:end]
        for number in range(12):
            wrong = bytearray(content)
            wrong[rng.integers(len(wrong))] ^= 1 << rng.integers(8)
            files[f"wrong_{number}_{name}"] = bytes(wrong)
    tensors = {}
    for name, content in files.items():
        tensors[f"{name}.file"] = torch.tensor(list(content), dtype=torch.uint8)
        try:
            tensors[f"{name}.pixels"] = torch.tensor(np.array(Image.open(io.BytesIO(content)).convert("RGB")))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            pass
    return tensors


MAKERS = {
    "sampler": lambda: sampler([0, 1, 12345]),
    "distributed": distributed,
    "resize": lambda: resize(0),
    "transforms": lambda: transforms(0),
    "image_files": lambda: image_files(0),
}


def differs(made: Tensors, stored: Path) -> bool:
    """Whether the file is not there or has other tensors."""
    if not stored.is_file():
        return True
    there = load_file(stored)
    return made.keys() != there.keys() or any(not made[name].equal(there[name]) for name in made)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    wrong = []
    for name, make in MAKERS.items():
        path = HERE / f"stored/{name}.safetensors"
        if check:
            wrong += [name] if differs(make(), path) else []
        else:
            save_file(make(), path)
    if wrong:
        raise SystemExit(f"these come out differently: {', '.join(wrong)}")
    print(f"{len(MAKERS)} files {'come out the same' if check else 'are written'}")


if __name__ == "__main__":
    main()
