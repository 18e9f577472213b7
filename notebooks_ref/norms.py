"""The batch norms by variant: `scratch` is written out below, `native` is torch.nn's, and `none` leaves the layers out."""

from collections.abc import Callable

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
