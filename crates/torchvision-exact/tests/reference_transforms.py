"""torchvision's transforms of PIL images, to compare with."""

import torch
from PIL.Image import Image
from torch import Tensor
from torchvision.transforms import (
    ColorJitter,
    Compose,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
)
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

# common/listed.rs has the same list.
TRANSFORMS = {
    "horizontal_flip": RandomHorizontalFlip(),
    "horizontal_flip_0.3": RandomHorizontalFlip(0.3),
    "vertical_flip": RandomVerticalFlip(),
    "vertical_flip_0.8": RandomVerticalFlip(0.8),
    "resized_crop": RandomResizedCrop(12),
    "resized_crop_note": RandomResizedCrop((9, 11), scale=(0.1, 1), ratio=(0.5, 2)),
    "resized_crop_wide": RandomResizedCrop((5, 7), scale=(0.5, 2.0), ratio=(1.5, 3)),
    "resized_crop_high": RandomResizedCrop((7, 6), scale=(0.5, 2.0), ratio=(0.2, 0.4)),
    "brightness": ColorJitter(brightness=0.5),
    "brightness_extreme": ColorJitter(brightness=(0, 100)),
    "contrast": ColorJitter(contrast=0.5),
    "contrast_extreme": ColorJitter(contrast=(0, 100)),
    "saturation": ColorJitter(saturation=1.5),
    "saturation_extreme": ColorJitter(saturation=(0, 100)),
    "hue": ColorJitter(hue=0.5),
    "hue_low_end": ColorJitter(hue=(-0.5, -0.5)),
    "hue_high_end": ColorJitter(hue=(0.5, 0.5)),
    "jitter": ColorJitter(0.5, 0.5, 0.5, 0.5),
    "jitter_nothing": ColorJitter(),
    "composed": Compose(
        [
            RandomHorizontalFlip(),
            Resize((10, 8)),
            ColorJitter(0.5, 0.5, 0.5, 0.5),
            RandomVerticalFlip(),
            RandomResizedCrop((6, 9)),
        ]
    ),
}


def draw_seed() -> int:
    """A random int64 of the default generator, as PyTorch draws its seeds."""
    return int(torch.empty((), dtype=torch.int64).random_())


def transformed(name: str, images: Tensor, draws: int, seed: int) -> tuple[Tensor, Tensor]:
    """Each image of (n, height, width, channels) after TRANSFORMS[name], `draws` times in a row.

    Gives (n, draws, height, width, channels), and the next seed of the default generator.
    """
    out, next_seed = drawn(name, images, draws, seed)
    tensors = [torch.stack([pil_to_tensor(pil).permute(1, 2, 0) for pil in of_image]) for of_image in out]
    return torch.stack(tensors), next_seed


def drawn(name: str, images: Tensor, draws: int, seed: int) -> tuple[list[list[Image]], Tensor]:
    """The results of `transformed` as PIL images."""
    torch.manual_seed(seed)
    transform = TRANSFORMS[name]
    pils = [to_pil_image(image.permute(2, 0, 1)) for image in images]
    return [[transform(pil) for _ in range(draws)] for pil in pils], torch.tensor(draw_seed())
