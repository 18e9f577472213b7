"""The table of recipes: the nets that the notes train, with their optimizers and hyperparameters.

A recipe is a network, an optimizer, a batch size, a number of epochs and an initialization. Each exists in three
variants: `scratch` uses the batch normalization written out below, `native` uses torch.nn's, `none` has none. The order of the modules
in each nn.Sequential is the notebooks'. It decides the names in state_dict, and which random number becomes which
weight.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


def batch_norm(
    X: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving_mean: Tensor,
    moving_var: Tensor,
    *,
    training: bool,
    eps: float = 1e-5,
    momentum: float = 0.9,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalization as d2l defines it: returns Y and the new moving mean and variance.

    X is (N, C) or (N, C, H, W). Training normalizes with the batch's own mean and biased variance, and the moving
    statistics keep the share `momentum`. Evaluation normalizes with the moving statistics, which stay.
    """
    if training:
        # The statistics have the shape (C,) after a dense layer, (1, C, 1, 1) after a convolution.
        mean_over_batch = {"dim": 0} if X.dim() == 2 else {"dim": (0, 2, 3), "keepdim": True}
        mean = X.mean(**mean_over_batch)
        var = ((X - mean) ** 2).mean(**mean_over_batch)
        with torch.no_grad():
            moving_mean = momentum * moving_mean + (1.0 - momentum) * mean
            moving_var = momentum * moving_var + (1.0 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    # X - mean is computed twice on purpose: sharing it would add up the gradient in another order.
    X_hat = (X - mean) / torch.sqrt(var + eps)
    return gamma * X_hat + beta, moving_mean, moving_var


class BatchNorm(nn.Module):
    """The layer of `batch_norm`. It is in training mode exactly when gradients are recorded.

    The moving statistics are buffers, so state_dict contains them. `num_dims` is 2 after a dense layer and 4 after
    a convolution.
    """

    def __init__(self, num_features: int, num_dims: int):
        super().__init__()
        shape = (1, num_features) + (1,) * (num_dims - 2)
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.register_buffer("moving_mean", torch.zeros(shape))
        self.register_buffer("moving_var", torch.ones(shape))

    def forward(self, X: Tensor) -> Tensor:
        Y, self.moving_mean, self.moving_var = batch_norm(
            X, self.gamma, self.beta, self.moving_mean, self.moving_var, training=torch.is_grad_enabled()
        )
        return Y


# A norm's layer from its number of features and of dimensions; None where the net is to have no such layer.
Norm = Callable[[int, int], nn.Module | None]


def native_norm(num_features: int, num_dims: int) -> nn.Module:
    """torch.nn's batch normalization with BatchNorm's arguments."""
    return nn.BatchNorm1d(num_features) if num_dims == 2 else nn.BatchNorm2d(num_features)


def no_norm(num_features: int, num_dims: int) -> None:
    """No layer, with BatchNorm's arguments."""


# The batch norms by their variant's name, as Rust's Variant::NOTEBOOKS has them.
BATCH_NORMS: dict[str, Norm] = {"scratch": BatchNorm, "native": native_norm}
# The variants, as Rust's Variant::IN_PYTHON has them.
NORMS: dict[str, Norm] = BATCH_NORMS | {"none": no_norm}
VARIANTS = tuple(NORMS)


def sequential(*modules: nn.Module | None) -> nn.Sequential:
    """nn.Sequential of the modules that are not None."""
    return nn.Sequential(*(module for module in modules if module is not None))


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
    """How one of the notes trains: everything except seed, data and variant."""

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


RECIPES = {
    "book": Recipe(lenet_sigmoid, sgd, lr=1.0, batch_size=256, epochs=10, xavier=True),
    "adamw": Recipe(lenet_sigmoid, adamw, lr=1e-3, batch_size=64, epochs=10, xavier=False),
    "dropout": Recipe(lambda norm: lenet_relu(norm, True), sgd, lr=0.05, batch_size=256, epochs=50, xavier=True),
    "no-dropout": Recipe(lambda norm: lenet_relu(norm, False), sgd, lr=0.05, batch_size=256, epochs=50, xavier=True),
    "lenet224": Recipe(lenet224, sgd, lr=1.0, batch_size=256, epochs=10, xavier=True, resize=224),
}
