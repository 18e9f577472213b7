"""CIFAR-10's binary files as a data set of PIL images, as torchvision makes one of the pickled files.

Both archives hold the same images. As in torchvision, each example is a PIL image, which is transformed when the example is asked
for, in the process of the loader's worker; this decides the bits.
"""

from collections.abc import Callable
from pathlib import Path

import numpy
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)

RECORD = numpy.dtype([("label", "u1"), ("pixels", "u1", (3, 32, 32))])

CROP = transforms.RandomResizedCrop((32, 32), scale=(0.64, 1.0), ratio=(1.0, 1.0))
JITTER = transforms.ColorJitter(brightness=0.5, contrast=0.2, saturation=0.6, hue=0.4)

# The values of `--augment`; ToTensor comes after each. The note trains with `flip`, and its colours are JITTER's.
AUGMENTATIONS = {
    "flip": [transforms.RandomHorizontalFlip()],
    "flip+crop": [transforms.RandomHorizontalFlip(), CROP],
    "flip+jitter": [transforms.RandomHorizontalFlip(), JITTER],
    "all": [transforms.RandomHorizontalFlip(), CROP, JITTER],
}


def transform(augment: str | None) -> transforms.Compose:
    """The transforms of that name, then ToTensor; without a name, ToTensor only."""
    return transforms.Compose([*(AUGMENTATIONS[augment] if augment else []), transforms.ToTensor()])


class Cifar10(Dataset):
    """The first `examples` images of some files, in the form of torchvision.datasets.CIFAR10."""

    def __init__(self, data_dir: Path, files: tuple[str, ...], transform: Callable, examples: int | None = None):
        records = numpy.concatenate([numpy.fromfile(data_dir / name, RECORD) for name in files])[:examples]
        self.data = records["pixels"].transpose(0, 2, 3, 1)
        self.targets = records["label"].tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]


def loaders(
    data_dir: Path,
    augment: str | None,
    batch_size: int,
    train_examples: int | None,
    test_examples: int | None,
    workers: int,
) -> tuple[DataLoader, DataLoader]:
    """The note's `load_cifar10` for training and for testing. `augment` is for training; the note has 4 workers."""
    train = Cifar10(data_dir, TRAIN_FILES, transform(augment), train_examples)
    test = Cifar10(data_dir, TEST_FILES, transform(None), test_examples)
    return (
        DataLoader(train, batch_size, shuffle=True, num_workers=workers),
        DataLoader(test, batch_size, shuffle=False, num_workers=workers),
    )
