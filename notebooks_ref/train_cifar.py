"""Trains d2l's ResNet-18 on CIFAR-10 in Python as note 002 does, and writes every number exactly.

    python train_cifar.py --variant augmented --augment flip --seed 0 --epochs 1 --data-dir FOLDER --out run.json

The loop is d2l.train_ch13 itself, the loaders are the note's `load_cifar10`.
"""

import argparse
from pathlib import Path

import torch
from d2l import torch as d2l
from torch import nn

import cifar10
import loops
from numerics import Autocast, ChannelsLast, take_deterministic_kernels
from replicas import Replicas
from train import positive, write

VARIANTS = ("augmented", "plain")


def parse_arguments() -> argparse.Namespace:
    """The command line. An option that is left out takes the note's value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=VARIANTS, default="augmented")
    parser.add_argument("--augment", choices=cifar10.AUGMENTATIONS, default="flip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=positive, default=10)
    parser.add_argument("--batch-size", type=positive, default=256)
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--train-examples", type=positive, metavar="N", help="the first N only")
    parser.add_argument("--test-examples", type=positive, metavar="N", help="the first N only")
    parser.add_argument("--threads", type=positive, help="libtorch's threads (its default)")
    parser.add_argument("--workers", type=int, default=4, help="the loader's worker processes (the note's 4)")
    parser.add_argument("--replicas", type=positive, default=1, metavar="N", help="divide each batch, on the CPU")
    parser.add_argument("--amp", action="store_true", help="bfloat16 where torch.autocast takes it")
    parser.add_argument("--channels-last", action="store_true", help="torch.channels_last")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--deterministic", action="store_true", help="deterministic kernels only")
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder of the six binary files")
    parser.add_argument("--out", type=Path, metavar="OUT.json", help="the numbers")
    parser.add_argument("--weights", type=Path, metavar="OUT.safetensors", help="the final state_dict")
    return parser.parse_args()


def init_weights(m: nn.Module) -> None:
    """The note's initialization: Xavier for the weights of dense and convolutional layers."""
    if type(m) in (nn.Linear, nn.Conv2d):
        nn.init.xavier_uniform_(m.weight)


def run(arguments: argparse.Namespace) -> tuple[nn.Module, list[loops.Epoch]]:
    """Seeds once, builds the net, trains it: the notebook uses random numbers in this order."""
    torch.manual_seed(arguments.seed)
    net = d2l.resnet18(10, 3)
    net.apply(init_weights)
    train_iter, test_iter = cifar10.loaders(
        arguments.data_dir,
        arguments.augment if arguments.variant == "augmented" else None,
        arguments.batch_size,
        arguments.train_examples,
        arguments.test_examples,
        arguments.workers,
    )
    loss = nn.CrossEntropyLoss(reduction="none")
    trained = ChannelsLast(net) if arguments.channels_last else net
    if arguments.amp:
        trained, loss = Autocast(trained), Autocast(loss)
    trained = Replicas(trained, arguments.replicas)
    trainer = torch.optim.Adam(net.parameters(), lr=arguments.lr)
    with loops.observed_d2l(train_iter) as recorder:
        d2l.train_ch13(trained, train_iter, test_iter, loss, trainer, arguments.epochs, [arguments.device])
    return net, recorder.records


def main() -> None:
    """Runs the command line."""
    arguments = parse_arguments()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    if arguments.deterministic:
        take_deterministic_kernels()
    write(arguments, *run(arguments))


if __name__ == "__main__":
    main()
