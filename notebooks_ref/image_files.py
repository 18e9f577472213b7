"""Image files of many kinds, and the pixels that Pillow reads from them.

    python image_files.py --out DIR

writes DIR/NAME.jpg and DIR/NAME.png, and DIR/pixels.safetensors: for each, under its file's name, (height, width, 3),
uint8. Prints Pillow's version.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image, ImageFile
from safetensors.torch import save_file

from augment import CAT

# Width and height: from one pixel on, around the blocks of 8 and 16 pixels, and larger.
SIZES = ((1, 1), (2, 5), (7, 9), (16, 8), (17, 16), (33, 31), (200, 3), (5, 257), (150, 120))
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
# Pillow writes small images of high quality only with room to spare.
ImageFile.MAXBLOCK = 1 << 22


def part(cat: Image.Image, size: tuple[int, int], number: int, rng: np.random.Generator) -> Image.Image:
    """A part of the cat in that size; every third with noise, which saturates colours and fills every frequency."""
    left, top = rng.integers(0, 300), rng.integers(0, 250)
    image = cat.crop((left, top, left + 200, top + 150)).resize(size)
    if number % 3:
        return image
    noise = rng.integers(-120, 120, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def jpegs(directory: Path, cat: Image.Image, rng: np.random.Generator) -> None:
    """Each size with each sampling of colours, sequential and progressive, in four qualities; gray; CMYK; a few more."""
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
    # A camera held upright: Pillow's open leaves the turning to others.
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


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    directory = parser.parse_args().out
    cat, rng = Image.open(CAT).convert("RGB"), np.random.default_rng(0)
    jpegs(directory, cat, rng)
    pngs(directory, cat, rng)
    files = [*directory.glob("*.jpg"), *directory.glob("*.png")]
    pixels = {file.name: torch.tensor(np.array(Image.open(file).convert("RGB"))) for file in files}
    save_file(pixels, directory / "pixels.safetensors")
    print(PIL.__version__)


if __name__ == "__main__":
    main()
