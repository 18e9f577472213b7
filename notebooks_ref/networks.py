"""The networks by name. The script loads weights from Rust and saves weights for Rust; or it prints the layers' shapes.

    python networks.py --shapes
    python networks.py FOLDER

With --shapes it prints a row of CSV for each layer of every NETWORK and VARIANT: its name, class, output shape and parameters; then
a row with the multiply-adds of the whole network, which are half of what PyTorch's FlopCounterMode counts. Both are for one image.

For every NETWORK of CARRIED and VARIANT, FOLDER/NETWORK.VARIANT.rust.safetensors must hold weights that Rust saved, with exactly
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
from torch.utils.flop_counter import FlopCounterMode

from chapter import alexnet, densenet, googlenet, nin, vgg
from fixtures import evaluated
from norms import NORMS, Norm, native_norm
from recipes import lenet224, lenet_relu, lenet_sigmoid
from resnet import resnet18, resnet18_cifar

THREADS = 2


def cifar(norm: Norm) -> nn.Sequential:
    """d2l's own net, if the batch norm is torch.nn's."""
    return d2l.resnet18(10, 3) if norm is native_norm else resnet18_cifar(norm, 10, 3)


# Each network, and the shape of its note's or section's images.
NETWORKS: dict[str, tuple[Callable[[Norm], nn.Sequential], tuple[int, ...]]] = {
    "lenet": (lenet_sigmoid, (1, 28, 28)),
    "lenet-relu": (lambda norm: lenet_relu(norm, True), (1, 28, 28)),
    "lenet224": (lenet224, (1, 224, 224)),
    "resnet18": (resnet18, (1, 224, 224)),
    "resnet18-cifar": (cifar, (3, 32, 32)),
    "alexnet": (alexnet, (1, 224, 224)),
    "vgg11": (vgg, (1, 224, 224)),
    "vgg": (lambda norm: vgg(norm, ratio=4), (1, 224, 224)),
    "nin": (nin, (1, 224, 224)),
    "googlenet": (googlenet, (1, 96, 96)),
    "densenet": (densenet, (1, 96, 96)),
}
# Those whose weights are of moderate size.
CARRIED = [network for network in NETWORKS if network not in ("alexnet", "vgg11", "vgg")]


def carry(folder: Path, network: str, variant: str) -> None:
    """Carries the weights of one network and variant both ways."""
    build, shape = NETWORKS[network]
    file = {
        what: folder / f"{network}.{variant}.{what}.safetensors" for what in ("rust", "images", "python", "expected")
    }
    X = torch.rand(2, *shape)
    net = build(NORMS[variant])
    net.load_state_dict(load_file(file["rust"]), strict=True)
    save_file({"X": X, "Y": evaluated(net, X)}, file["images"])

    net = build(NORMS[variant])
    net(X)
    save_file(net.state_dict(), file["python"])
    save_file({"Y": evaluated(net, X)}, file["expected"])


@torch.no_grad()
def print_shapes(network: str, variant: str) -> None:
    """Prints the rows of one network and variant."""
    build, shape = NETWORKS[network]
    net = build(NORMS[variant]).eval()
    X = torch.rand(1, *shape)
    with FlopCounterMode(display=False) as counter:
        for name, layer in net.named_children():
            X = layer(X)
            parameters = sum(parameter.numel() for parameter in layer.parameters())
            print(network, variant, name, type(layer).__name__, "x".join(map(str, X.shape)), parameters, sep=",")
    print(network, variant, "multiply-adds", counter.get_total_flops() // 2, sep=",")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", type=Path, nargs="?")
    what.add_argument("--shapes", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    for network in NETWORKS if arguments.shapes else CARRIED:
        for variant in NORMS:
            if arguments.shapes:
                print_shapes(network, variant)
            else:
                carry(arguments.folder, network, variant)


if __name__ == "__main__":
    main()
