"""Measures how many images a second the note's DataLoader prepares, for each number of worker processes.

    python bench_loader.py --data-dir FOLDER --augment flip --examples 20000

Each measures one epoch, whose workers were started before the clock. Prints a line for each number of workers.
"""

import argparse
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

import cifar10


def images_per_second(loader: DataLoader) -> float:
    """Images per second in the second epoch. The workers start in the first one and are kept."""
    for _ in loader:
        pass
    start = time.perf_counter()
    count = sum(len(y) for _, y in loader)
    return count / (time.perf_counter() - start)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--augment", choices=cifar10.AUGMENTATIONS, default="flip")
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    arguments = parser.parse_args()
    transform = cifar10.transform(arguments.augment)
    images = cifar10.Cifar10(arguments.data_dir, cifar10.TRAIN_FILES, transform, arguments.examples)
    torch.manual_seed(0)
    for workers in arguments.workers:
        loader = DataLoader(images, 256, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        print(workers, images_per_second(loader), flush=True)


if __name__ == "__main__":
    main()
