"""Checksums of the batches of the note's loaders on CIFAR-10: every batch of two epochs, for each augmentation and each number of
worker processes.

    python cifar_batches.py --data-dir FOLDER --examples 300 --batch-size 64 --seed 5
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch

import cifar10
from bits import tensor_bytes
from fashion_mnist import draw_seed

WORKERS = (0, 1, 2, 4)
EPOCHS = 2


def batches(arguments: argparse.Namespace, augment: str | None, workers: int) -> dict:
    """A hash of each batch's images and labels; and the number that the default generator gives next."""
    torch.manual_seed(arguments.seed)
    count = arguments.examples
    train_iter, _ = cifar10.loaders(arguments.data_dir, augment, arguments.batch_size, count, 1, workers)
    hashes = [
        hashlib.sha256(tensor_bytes(X) + tensor_bytes(y)).hexdigest() for _ in range(EPOCHS) for X, y in train_iter
    ]
    return {"batches": hashes, "next_seed": draw_seed()}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps({
        f"{augment or 'plain'}.{workers}": batches(arguments, augment, workers)
        for augment in (None, *cifar10.AUGMENTATIONS)
        for workers in WORKERS
    }))  # fmt: skip


if __name__ == "__main__":
    main()
