"""Mixed precision, memory format and deterministic kernels, as users of PyTorch turn them on."""

import os

import torch
from torch import Tensor, nn


def take_deterministic_kernels() -> None:
    """Makes a run on CUDA repeat its bits. To be called before anything is computed there."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True


class Autocast(nn.Module):
    """A net or a loss that is called under torch.autocast, in bfloat16."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """The module's output under autocast; a net's is bfloat16."""
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self.module(x, *others)


class ChannelsLast(nn.Module):
    """A net whose weights and images are in channels_last order: all channels of a pixel side by side."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """The net's output for images in this format."""
        return self.net(x.to(memory_format=torch.channels_last))
