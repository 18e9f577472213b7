"""Makes image files of many kinds, sound and damaged, and the pixels that Pillow reads from them.

    python image_files.py --out DIR

writes DIR/NAME.jpg and DIR/NAME.png. DIR/pixels.safetensors has the pixels of each file that Pillow reads, under the file's
name: (height, width, 3), uint8. The script prints Pillow's version.
"""

import argparse
import io
import itertools
import platform
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image, ImageFile
from safetensors.torch import save_file

from augment import CAT

# Width and height: one pixel, sizes near the blocks of 8 and 16 pixels, and larger ones.
SIZES = ((1, 1), (2, 5), (7, 9), (16, 8), (17, 16), (33, 31), (200, 3), (5, 257), (150, 120))
# Each colour type of PNG: its number, its channels, its bit depths.
PNG_KINDS = ((0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)), (6, 4, (8, 16)))
# The passes of an interlaced image: first column, first row, steps between columns, steps between rows.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus" / "image"
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
# With its default buffer Pillow fails to write small images of high quality.
ImageFile.MAXBLOCK = 1 << 22


def part(cat: Image.Image, size: tuple[int, int], number: int, rng: np.random.Generator) -> Image.Image:
    """A part of the cat in that size. Every third has noise, which saturates colours and uses all frequencies."""
    left, top = rng.integers(0, 300), rng.integers(0, 250)
    image = cat.crop((left, top, left + 200, top + 150)).resize(size)
    if number % 3:
        return image
    noise = rng.integers(-120, 120, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def jpegs(directory: Path, cat: Image.Image, rng: np.random.Generator) -> None:
    """Each size with each sampling of colours, sequential and progressive, in four qualities; also gray, CMYK and others."""
    kinds = itertools.product(SIZES, SUBSAMPLINGS, (False, True), (20, 75, 95, 100))
    for number, (size, subsampling, progressive, quality) in enumerate(kinds):
        name = f"{size[0]}x{size[1]}_{subsampling.replace(':', '')}_{'p' if progressive else 's'}_{quality}.jpg"
        part(cat, size, number, rng).save(
            directory / name, quality=quality, subsampling=subsampling, progressive=progressive
        )
    for number, size in enumerate(SIZES):
        image = part(cat, size, number, rng)
        name = f"{size[0]}x{size[1]}"
        image.convert("L").save(directory / f"{name}_gray.jpg", quality=60)
        image.convert("CMYK").save(directory / f"{name}_cmyk.jpg", quality=80)
        image.save(directory / f"{name}_rgb.jpg", quality=80, keep_rgb=True)
        image.save(directory / f"{name}_restart.jpg", quality=80, restart_marker_blocks=2, optimize=True)
    # The photo of a camera that was held upright: Pillow's `open` does not rotate it.
    exif = Image.Exif()
    exif[0x0112] = 6
    cat.save(directory / "exif.jpg", exif=exif)


def pngs(directory: Path, cat: Image.Image, rng: np.random.Generator) -> None:
    """Each size in each of Pillow's modes, with and without opacity."""
    for number, size in enumerate(SIZES):
        image = part(cat, size, number, rng)
        name = f"{size[0]}x{size[1]}"
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
            converted = image.convert(mode)
            if mode in ("LA", "RGBA"):
                converted.putalpha(Image.fromarray(rng.integers(0, 256, size[::-1], dtype=np.uint8)))
            converted.save(directory / f"{name}_{mode}.png")
        image.quantize(5).save(directory / f"{name}_5_colours.png", transparency=2, bits=4)
        Image.fromarray(rng.integers(0, 600, size[::-1]).astype(np.uint16)).save(directory / f"{name}_I16.png")


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def raw_png(color: int, channels: int, depth: int, rng: np.random.Generator, interlaced: int = 0, palette: int = 768) -> bytes:
    """A PNG file with random rows and filters, a palette of so many bytes, and a text after the image."""
    width, height = 13, 11
    rows = b""
    for left, top, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns = -((left - width) // across)
        for _ in range(top, height, down):
            rows += bytes([rng.integers(5)]) + rng.bytes((columns * depth * channels + 7) // 8)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    chunks = [chunk(b"IHDR", header), chunk(b"PLTE", rng.bytes(palette)), chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, chunk(b"tEXt", b"key\0value"), chunk(b"IEND", b"")])


def odd_pngs(directory: Path, rng: np.random.Generator) -> None:
    """Every kind of PNG, interlaced and not; palettes of unusual lengths; animated images."""
    for (color, channels, depths), interlaced in itertools.product(PNG_KINDS, (0, 1)):
        for depth in depths:
            name = f"raw_{color}_{depth}_{interlaced}.png"
            (directory / name).write_bytes(raw_png(color, channels, depth, rng, interlaced))
    for palette in (0, 1, 2, 3, 7, 100, 400, 767, 769, 770, 771, 900):
        (directory / f"palette_{palette}.png").write_bytes(raw_png(3, 1, 8, rng, palette=palette))
    frames = [Image.fromarray(rng.integers(0, 256, (9, 8, 3)).astype(np.uint8)) for _ in range(3)]
    frames[0].save(directory / "animated.png", save_all=True, append_images=frames[1:])
    frames[0].save(directory / "animated_apart.png", save_all=True, append_images=frames[1:], default_image=True)
    frames[0].save(directory / "phone.jpg", "MPO", save_all=True, append_images=frames[1:])


def coarse_jpegs(directory: Path, rng: np.random.Generator) -> None:
    """Noise in several qualities, with steps of quantization that make the decoder overflow."""
    for number, factor, progressive in itertools.product(range(4), (1, 3, 20, 255), (False, True)):
        file = io.BytesIO()
        stripes = Image.fromarray((rng.integers(0, 2, (40, 50)) * 255).astype(np.uint8)).convert("RGB")
        stripes.save(file, "JPEG", quality=(1, 2, 50, 95)[number], progressive=progressive)
        content = bytearray(file.getvalue())
        table = -1
        while (table := content.find(b"\xff\xdb", table + 1)) >= 0:
            steps = slice(table + 5, table + 69)
            content[steps] = bytes(min(255, step * factor) for step in content[steps])
        (directory / f"coarse_{number}_{factor}_{'p' if progressive else 's'}.jpg").write_bytes(content)


def damaged(directory: Path, names: list[str], rng: np.random.Generator) -> None:
    """Copies of each file that are cut off at many places, and copies with one wrong bit."""
    for name in names:
        content = (directory / name).read_bytes()
        for end in [*range(0, len(content) - 50, len(content) // 20), *range(len(content) - 50, len(content))]:
            (directory / f"cut_{end}_{name}").write_bytes(content[:end])
        for number in range(30):
            wrong = bytearray(content)
            wrong[rng.integers(len(wrong))] ^= 1 << rng.integers(8)
            (directory / f"wrong_{number}_{name}").write_bytes(wrong)


def read(file: Path) -> torch.Tensor | None:
    """The pixels of a file; None if Pillow refuses it."""
    try:
        return torch.tensor(np.array(Image.open(file).convert("RGB")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    directory = parser.parse_args().out
    cat, rng = Image.open(CAT).convert("RGB"), np.random.default_rng(0)
    jpegs(directory, cat, rng)
    pngs(directory, cat, rng)
    odd_pngs(directory, rng)
    shutil.copytree(CORPUS, directory, dirs_exist_ok=True)
    names = ["33x31_RGB.png", "raw_3_8_0.png", "raw_0_8_1.png", "17x16_444_s_75.jpg", "17x16_420_p_75.jpg"]
    if platform.machine() == "x86_64":  # On other processors libjpeg-turbo has other code, which may overflow differently.
        coarse_jpegs(directory, rng)
        names += [f"sound-RGB-arithmetic{kind}.jpg" for kind in ("", "-progressive")]
    else:
        names = [name for name in names if name.endswith("png")]
    damaged(directory, names, rng)
    warnings.simplefilter("ignore")
    pixels = {file.name: read(file) for file in directory.iterdir()}
    save_file({name: image for name, image in pixels.items() if image is not None}, directory / "pixels.safetensors")
    print(PIL.__version__)


if __name__ == "__main__":
    main()
