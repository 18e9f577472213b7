"""Note 002's galleries: computes in Python what `d2l_ch7 augment --pixels` computes.

    python augment.py [IMAGE] --seed 0 --out galleries.safetensors

writes the tensors that `d2l_ch7 augment --pixels` writes to its galleries.safetensors, under the same names: `picture`,
(1, height, width, 3), and eight random results of each transform, (8, height, width, 3), uint8. Without IMAGE the script
takes the project's picture.
"""

import argparse
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torchvision.transforms import ColorJitter, Compose, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip
from torchvision.transforms.functional import pil_to_tensor

CAT = Path(__file__).parent.parent / "assets/cat.jpg"
DRAWS = 8

CROP = RandomResizedCrop((200, 200), scale=(0.3, 0.8), ratio=(0.5, 2))
JITTER = ColorJitter(brightness=0.5, contrast=0.2, saturation=0.6, hue=0.4)
AUGMENTATIONS = {
    "horizontal_flip": RandomHorizontalFlip(),
    "vertical_flip": RandomVerticalFlip(),
    "resized_crop": CROP,
    "color_jitter": JITTER,
    "compose": Compose([RandomHorizontalFlip(), CROP, JITTER]),
}


def stacked(images: list[Image.Image]) -> Tensor:
    """Images of one size as (n, height, width, channels)."""
    return torch.stack([pil_to_tensor(image).permute(1, 2, 0) for image in images]).contiguous()


def galleries(picture: Image.Image, seed: int) -> dict[str, Tensor]:
    """The picture, and the draws of each transform. Each transform begins from the seed anew."""
    tensors = {"picture": stacked([picture])}
    for name, aug in AUGMENTATIONS.items():
        torch.manual_seed(seed)
        tensors[name] = stacked([aug(picture) for _ in range(DRAWS)])
    return tensors


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", default=CAT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    save_file(galleries(Image.open(arguments.image).convert("RGB"), arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
