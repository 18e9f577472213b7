"""torchvision's random transforms of PIL images, to compare with: their results on real images.

    python random_transforms.py --draws 20 --out out.safetensors

takes 1,000 images cut from Fashion-MNIST in many shapes, gray and RGB, and writes SET.images, (n, height, width, channels). For each of
TRANSFORMS it writes TRANSFORM.SET.sha256, (n, 32), the digest of each image's draws, and TRANSFORM.SET.next_seed, the number that the
default generator would draw next. every_colour.sha256 is the digest of all 2^24 colours with their hue turned by a fifth. Prints
Pillow's version. crates/torchvision-exact/tests/reference_transforms.py has the list TRANSFORMS.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import PIL
import torch
from PIL.Image import Image
from torch import Tensor
from torchvision.transforms.functional import adjust_hue, to_pil_image

import fashion_mnist

sys.path.append(str(Path(__file__).parent.parent / "crates/torchvision-exact/tests"))
from reference_transforms import TRANSFORMS, drawn

SHAPES = ((28, 28), (28, 28), (27, 19), (13, 28), (28, 9), (5, 3), (2, 2), (1, 28), (28, 1), (1, 1))


def image_sets(data_dir: Path) -> dict[str, Tensor]:
    """1,000 images: 50 of each of SHAPES, gray and RGB. The channels of an RGB image are three pictures of clothes."""
    pictures, _ = fashion_mnist.read_tensors(data_dir, fashion_mnist.TEST, 2000)
    gray, rgb = pictures[:500].permute(0, 2, 3, 1), pictures[500:].reshape(500, 3, 28, 28).permute(0, 2, 3, 1)
    sets = {}
    for i, (height, width) in enumerate(SHAPES):
        # The middle of the picture, where the clothes are.
        top, left = (28 - height) // 2, (28 - width) // 2
        for mode, images in (("gray", gray), ("rgb", rgb)):
            part = images[50 * i : 50 * i + 50, top : top + height, left : left + width]
            sets[f"{mode}{i}_{height}x{width}"] = part.contiguous()
    return sets


def every_colour() -> Image:
    """An image of all 2^24 colours, blue changing fastest: 4096 x 4096."""
    colours = torch.cartesian_prod(*[torch.arange(256, dtype=torch.uint8)] * 3)
    return to_pil_image(colours.reshape(4096, 4096, 3).permute(2, 0, 1))


def main() -> None:
    """Runs the command line."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20, help="of each image")
    parser.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.safetensors")
    arguments = parser.parse_args()
    tensors = {}
    for seed, (set_name, images) in enumerate(image_sets(arguments.data_dir).items()):
        tensors[f"{set_name}.images"] = images
        for name in TRANSFORMS:
            out, next_seed = drawn(name, images, arguments.draws, seed)
            pixels = [b"".join(pil.tobytes() for pil in of_image) for of_image in out]
            digests = [list(hashlib.sha256(of_image).digest()) for of_image in pixels]
            tensors[f"{name}.{set_name}.sha256"] = torch.tensor(digests, dtype=torch.uint8)
            tensors[f"{name}.{set_name}.next_seed"] = next_seed
    turned = hashlib.sha256(adjust_hue(every_colour(), 0.2).tobytes()).digest()
    tensors["every_colour.sha256"] = torch.tensor(list(turned), dtype=torch.uint8)
    save_file(tensors, arguments.out)
    print(PIL.__version__)


if __name__ == "__main__":
    main()
