"""Batch normalization by hand over the batches of all ranks: `norms.batch_norm` with means over all ranks.

PyTorch's own nn.SyncBatchNorm refuses the CPU. torch.distributed.nn adds the sums of the ranks, and their gradients.
"""

import torch
import torch.distributed.nn.functional as exchange
from torch import Tensor

from norms import BatchNorm

MOMENTUM, EPS = 0.9, 1e-5


def sum_of_part(X: Tensor) -> Tensor:
    """Sums over this rank's batch: (C,) of (N, C), (1, C, 1, 1) of (N, C, H, W)."""
    return X.sum(dim=0) if X.dim() == 2 else X.sum(dim=(0, 2, 3), keepdim=True)


class SyncBatchNorm(BatchNorm):
    """The layer that in training normalizes over the batches of all ranks; it trains exactly when gradients are recorded."""

    def forward(self, X: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return super().forward(X)
        own_sum = sum_of_part(X)
        count = torch.full_like(own_sum, X.numel() // own_sum.numel())
        # The ranks' batches may differ in size, so the counts are added too.
        both = exchange.all_reduce(torch.stack([own_sum, count]))
        count = both[1].detach()
        mean = both[0] / count
        var = exchange.all_reduce(sum_of_part((X - mean) ** 2)) / count
        with torch.no_grad():
            self.moving_mean = MOMENTUM * self.moving_mean + (1.0 - MOMENTUM) * mean
            self.moving_var = MOMENTUM * self.moving_var + (1.0 - MOMENTUM) * var
        X_hat = (X - mean) / torch.sqrt(var + EPS)
        return self.gamma * X_hat + self.beta
