"""The table of recipes: the nets that the notes and the chapter train, with their optimizers and hyperparameters.

A recipe is a network, an optimizer, a batch size, a number of epochs and an initialization. Each exists in the three
variants of norms.py. The order of the modules in each nn.Sequential is the notebooks'. It decides the names in state_dict,
and which random number becomes which weight.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chapter import alexnet, densenet, googlenet, nin, vgg
from norms import NORMS, Norm, sequential
from resnet import resnet18


def lenet_sigmoid(norm: Norm, second_pool: int = 2, features: int = 16 * 4 * 4) -> nn.Sequential:
    """LeNet of d2l's batch normalization section: (N, 1, 28, 28) to (N, 10).

    `features` is the number of values that the second pooling, over squares of `second_pool`, leaves of an image.
    """
    return sequential(
        nn.Conv2d(1, 6, kernel_size=5), norm(6, 4), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), norm(16, 4), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=second_pool, stride=second_pool),
        nn.Flatten(),
        nn.Linear(features, 120), norm(120, 2), nn.Sigmoid(),
        nn.Linear(120, 84), norm(84, 2), nn.Sigmoid(),
        nn.Linear(84, 10),
    )  # fmt: skip


def lenet224(norm: Norm) -> nn.Sequential:
    """Note 004's LeNet for larger images, with a wider second pooling: (N, 1, 224, 224) to (N, 10)."""
    return lenet_sigmoid(norm, second_pool=5, features=16 * 21 * 21)


def lenet_relu(norm: Norm, dropout: bool) -> nn.Sequential:
    """LeNet with padding, ReLU and max pooling. With `dropout`, Dropout follows each dense layer's norm."""

    def drop() -> nn.Module | None:
        return nn.Dropout(0.5) if dropout else None

    return sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), norm(6, 4), nn.ReLU(),
        nn.MaxPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), norm(16, 4), nn.ReLU(),
        nn.MaxPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), norm(120, 2), drop(), nn.ReLU(),
        nn.Linear(120, 84), norm(84, 2), drop(), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def sgd(parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
    """d2l.train_ch6's optimizer."""
    return torch.optim.SGD(parameters, lr=lr)


def adamw(parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
    """The optimizer of the recipe `adamw`."""
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=0.01)


def xavier(net: nn.Module) -> None:
    """Draws the weights of convolutions and dense layers again, in module order, as d2l.train_ch6 does."""
    for module in net.modules():
        if type(module) in (nn.Linear, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)


@dataclass(frozen=True)
class Recipe:
    """How a note or a section of the book trains: everything except seed, data and variant."""

    network: Callable[[Norm], nn.Sequential]
    optimizer: Callable[[Iterable[Tensor], float], torch.optim.Optimizer]
    lr: float
    batch_size: int
    epochs: int
    # Whether training begins with Xavier weights, in place of PyTorch's default.
    xavier: bool
    # The length of the images' shorter edge, for torchvision's Resize; None does not resize.
    resize: int | None = None

    @property
    def by_train_ch6(self) -> bool:
        """Whether d2l.train_ch6 trains it: that initializes by Xavier and takes SGD."""
        return self.xavier and self.optimizer is sgd

    def build(self, variant: str) -> nn.Sequential:
        """The net with PyTorch's default weights."""
        return self.network(NORMS[variant])

    def initialize(self, net: nn.Module) -> None:
        """Applies the recipe's initialization."""
        if self.xavier:
            xavier(net)


# The notes' recipes, with LeNets.
LENETS = {
    "book": Recipe(lenet_sigmoid, sgd, lr=1.0, batch_size=256, epochs=10, xavier=True),
    "adamw": Recipe(lenet_sigmoid, adamw, lr=1e-3, batch_size=64, epochs=10, xavier=False),
    "dropout": Recipe(lambda norm: lenet_relu(norm, True), sgd, lr=0.05, batch_size=256, epochs=50, xavier=True),
    "no-dropout": Recipe(lambda norm: lenet_relu(norm, False), sgd, lr=0.05, batch_size=256, epochs=50, xavier=True),
    "lenet224": Recipe(lenet224, sgd, lr=1.0, batch_size=256, epochs=10, xavier=True, resize=224),
}
# The other sections of the chapter, as d2l.train_ch6 trains their nets.
CHAPTER = {
    "alexnet": Recipe(alexnet, sgd, lr=0.01, batch_size=128, epochs=10, xavier=True, resize=224),
    "vgg": Recipe(lambda norm: vgg(norm, ratio=4), sgd, lr=0.05, batch_size=128, epochs=10, xavier=True, resize=224),
    "nin": Recipe(nin, sgd, lr=0.1, batch_size=128, epochs=10, xavier=True, resize=224),
    "googlenet": Recipe(googlenet, sgd, lr=0.1, batch_size=128, epochs=10, xavier=True, resize=96),
    "resnet18": Recipe(resnet18, sgd, lr=0.05, batch_size=256, epochs=10, xavier=True, resize=96),
    "densenet": Recipe(densenet, sgd, lr=0.1, batch_size=256, epochs=10, xavier=True, resize=96),
}
RECIPES = LENETS | CHAPTER
# VGG-11 with all its channels, which the book shows and is not trained here either.
VGG11 = {"vgg11": Recipe(vgg, sgd, lr=0.05, batch_size=128, epochs=10, xavier=True, resize=224)}
