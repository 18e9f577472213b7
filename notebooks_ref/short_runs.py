"""Functions that the notebooks share: they print the signature, train for a short time from a seed, and print figures.

The environment variable FASHION_MNIST_DIR names the folder with Fashion-MNIST's four files, if it is not Debian's.
"""

import os
from pathlib import Path

import torch
from torch import Tensor, nn

import fashion_mnist
import loops
from bits import signature
from recipes import RECIPES

DATA_DIR = Path(os.environ.get("FASHION_MNIST_DIR", fashion_mnist.DEFAULT_DIR))
THREADS = 2
EPOCHS, TRAIN_EXAMPLES, TEST_EXAMPLES = 2, 4096, 1000


def settle() -> None:
    """Sets the number of threads and prints the signature."""
    torch.set_num_threads(THREADS)
    for name, value in signature("cpu").items():
        if value != {}:
            print(f"{name:<15} {value}")


def loaders(
    batch_size: int,
    train_examples: int = TRAIN_EXAMPLES,
    test_examples: int = TEST_EXAMPLES,
    resize: int | None = None,
) -> tuple[fashion_mnist.MemoryLoader, fashion_mnist.MemoryLoader]:
    """Loaders of the first images of Fashion-MNIST, for training and for testing."""
    return fashion_mnist.memory_loaders(DATA_DIR, batch_size, train_examples, test_examples, resize)


def short_run(
    recipe_name: str,
    variant: str,
    *,
    seed: int = 0,
    epochs: int = EPOCHS,
    batch_size: int | None = None,
    train_examples: int = TRAIN_EXAMPLES,
    test_examples: int = TEST_EXAMPLES,
) -> tuple[nn.Module, list[loops.Epoch]]:
    """Trains a recipe from the seed for a short time. Gives its net and its epochs' figures."""
    recipe = RECIPES[recipe_name]
    batches = loaders(batch_size or recipe.batch_size, train_examples, test_examples, recipe.resize)
    torch.manual_seed(seed)
    net = recipe.build(variant)
    recipe.initialize(net)
    optimizer = recipe.optimizer(net.parameters(), recipe.lr)
    return net, loops.train(net, optimizer, *batches, epochs, torch.device("cpu"))


def print_shapes(net: nn.Sequential, X: Tensor) -> None:
    """Prints what each layer of the net makes of the shape of X, and how many parameters it has."""
    for name, layer in net.named_children():
        X = layer(X)
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        print(f"{name:>2} {type(layer).__name__:<18}{str(tuple(X.shape)):<22}{parameters:>12,}")


def print_records(runs: dict[str, list[loops.Epoch]]) -> None:
    """Prints the figures of each variant's epochs like the first six columns of a run's metrics.csv, with all digits."""
    columns = ("train_loss", "train_acc", "test_loss", "test_acc")
    print("variant", "epoch", *columns, sep=",")
    for epoch, records in enumerate(zip(*runs.values()), start=1):
        for variant, record in zip(runs, records):
            print(variant, epoch, *(getattr(record, column) for column in columns), sep=",")
