"""The notes' networks by name. The script loads weights from Rust and saves weights for Rust.

    python networks.py FOLDER

For every NETWORK and VARIANT, FOLDER/NETWORK.VARIANT.rust.safetensors must hold weights that Rust saved, with exactly
the net's names. The script writes to the same folder

    NETWORK.VARIANT.images.safetensors    X, and Y, the output for X of the net with Rust's weights, in evaluation
    NETWORK.VARIANT.python.safetensors    weights of a net made here, its running statistics moved by one batch
    NETWORK.VARIANT.expected.safetensors  Y, the output for the same X of the net with those, in evaluation

The native `resnet18-cifar` comes from the package d2l, every other net from this folder.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from d2l import torch as d2l
from safetensors.torch import load_file, save_file
from torch import nn

from fixtures import evaluated
from recipes import NORMS, Norm, lenet224, lenet_relu, lenet_sigmoid, native_norm
from resnet import resnet18, resnet18_cifar

THREADS = 2


def cifar(norm: Norm) -> nn.Sequential:
    """d2l's own net, if the batch norm is torch.nn's."""
    return d2l.resnet18(10, 3) if norm is native_norm else resnet18_cifar(norm, 10, 3)


# Each network, and the shape of two images, small enough to be quick.
NETWORKS: dict[str, tuple[Callable[[Norm], nn.Sequential], tuple[int, ...]]] = {
    "lenet": (lenet_sigmoid, (2, 1, 28, 28)),
    "lenet-relu": (lambda norm: lenet_relu(norm, True), (2, 1, 28, 28)),
    "lenet224": (lenet224, (2, 1, 224, 224)),
    "resnet18": (resnet18, (2, 1, 64, 64)),
    "resnet18-cifar": (cifar, (2, 3, 32, 32)),
}


def carry(folder: Path, network: str, variant: str) -> None:
    """Carries the weights of one network and variant both ways."""
    build, shape = NETWORKS[network]
    file = {
        what: folder / f"{network}.{variant}.{what}.safetensors" for what in ("rust", "images", "python", "expected")
    }
    X = torch.rand(shape)
    net = build(NORMS[variant])
    net.load_state_dict(load_file(file["rust"]), strict=True)
    save_file({"X": X, "Y": evaluated(net, X)}, file["images"])

    net = build(NORMS[variant])
    net(X)
    save_file(net.state_dict(), file["python"])
    save_file({"Y": evaluated(net, X)}, file["expected"])


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    for network in NETWORKS:
        for variant in NORMS:
            carry(arguments.folder, network, variant)


if __name__ == "__main__":
    main()
