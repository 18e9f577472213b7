"""Fashion-MNIST in two forms: torchvision's data set, as d2l loads it, and tensors in memory.

Both read the four IDX files of one folder, either gzipped, as the publisher and Debian's package
dataset-fashion-mnist ship them, or not.
"""

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

TRAIN, TEST = "train", "t10k"


def default_dir() -> Path:
    """The folder of Debian's package, or else that in which `d2l_ch7` keeps what it fetched."""
    debian = Path("/usr/share/datasets/fashion-mnist")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return debian if debian.exists() else cache / "d2l_ch7" / "fashion-mnist"


DEFAULT_DIR = default_dir()


def idx_files(split: str) -> tuple[str, str]:
    """The names of a split's images and labels."""
    return f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"


def read_file(data_dir: Path, name: str) -> bytes:
    """The contents of the IDX file `name`, or of `name`.gz, unzipped."""
    zipped = data_dir / f"{name}.gz"
    if zipped.exists():
        return gzip.decompress(zipped.read_bytes())
    return (data_dir / name).read_bytes()


def read_tensors(data_dir: Path, split: str, examples: int | None) -> tuple[Tensor, Tensor]:
    """The first `examples` images (n, 1, 28, 28), uint8, and labels (n,), int64."""
    images, labels = (read_file(data_dir, name) for name in idx_files(split))
    # An IDX header has 4 bytes, and 4 more for each axis.
    X = torch.frombuffer(bytearray(images), dtype=torch.uint8, offset=16).reshape(-1, 1, 28, 28)[:examples]
    y = torch.frombuffer(bytearray(labels), dtype=torch.uint8, offset=8)[:examples]
    return X, y.to(torch.int64)


def resized(X: Tensor, edge: int) -> Tensor:
    """torchvision's Resize(edge) of each gray image of (n, 1, rows, columns), uint8, as a PIL image."""
    import numpy
    from PIL import Image
    from torchvision.transforms import Resize

    resize = Resize(edge)
    images = [resize(Image.fromarray(image.numpy())) for image in X[:, 0]]
    return torch.from_numpy(numpy.stack([numpy.asarray(image) for image in images])[:, None])


def draw_seed() -> int:
    """Draws a seed as DataLoader and RandomSampler do: one int64 from the default generator."""
    return int(torch.empty((), dtype=torch.int64).random_().item())


@dataclass
class MemoryLoader:
    """Batches in a DataLoader's order, with a DataLoader's draws from the default generator.

    torch/utils/data/dataloader.py draws `_base_seed` whenever an iteration begins, shuffling or not. Then RandomSampler
    (sampler.py) draws the seed of the generator that permutes.
    """

    X: Tensor
    y: Tensor
    batch_size: int
    shuffle: bool
    resize: int | None = None

    def __len__(self) -> int:
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        draw_seed()  # base_seed, for the workers, which this loader does not have
        if not self.shuffle:
            for X, y in zip(self.X.split(self.batch_size), self.y.split(self.batch_size)):
                yield self.transformed(X), y
            return
        generator = torch.Generator().manual_seed(draw_seed())
        for indices in torch.randperm(len(self.X), generator=generator).split(self.batch_size):
            yield self.transformed(self.X[indices]), self.y[indices]

    def transformed(self, X: Tensor) -> Tensor:
        """Images of a batch as float32 in [0, 1], first resized if the loader resizes."""
        if self.resize is not None:
            X = resized(X, self.resize)
        return X.to(torch.float32).div(255)


def memory_loaders(
    data_dir: Path,
    batch_size: int,
    train_examples: int | None,
    test_examples: int | None,
    resize: int | None = None,
) -> tuple[MemoryLoader, MemoryLoader]:
    """The training and the test loader of tensors in memory."""
    return (
        MemoryLoader(*read_tensors(data_dir, TRAIN, train_examples), batch_size, True, resize),
        MemoryLoader(*read_tensors(data_dir, TEST, test_examples), batch_size, False, resize),
    )


def torchvision_loaders(
    data_dir: Path,
    batch_size: int,
    train_examples: int | None,
    test_examples: int | None,
    workers: int,
    resize: int | None = None,
) -> tuple[DataLoader, DataLoader]:
    """The loaders of d2l.load_data_fashion_mnist, without its download; d2l uses 4 workers."""
    from torchvision.datasets import FashionMNIST
    from torchvision.transforms import Compose, Resize, ToTensor

    transform = Compose([Resize(resize), ToTensor()] if resize is not None else [ToTensor()])
    with tempfile.TemporaryDirectory() as root:
        lay_out_for_torchvision(data_dir, Path(root))
        train, test = (FashionMNIST(root, train=train, transform=transform) for train in (True, False))
    if train_examples is not None:
        train = Subset(train, range(min(train_examples, len(train))))
    if test_examples is not None:
        test = Subset(test, range(min(test_examples, len(test))))
    return (
        DataLoader(train, batch_size, shuffle=True, num_workers=workers),
        DataLoader(test, batch_size, shuffle=False, num_workers=workers),
    )


def lay_out_for_torchvision(data_dir: Path, root: Path) -> None:
    """Puts the four files, unzipped, into the folder under `root` where torchvision looks for them."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (*idx_files(TRAIN), *idx_files(TEST)):
        plain, zipped = data_dir / name, data_dir / f"{name}.gz"
        if zipped.exists():
            with gzip.open(zipped) as source, open(raw / name, "wb") as target:
                shutil.copyfileobj(source, target)
        else:
            (raw / name).symlink_to(plain.resolve(strict=True))
