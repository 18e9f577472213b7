"""nn.DataParallel's arithmetic on the CPU. PyTorch's own class works on accelerators only.

A batch is cut as there, each part goes through the net with the net's parameters, and the outputs are put together. Here the
parts run one after the other; that decides no bit.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Broadcast(torch.autograd.Function):
    """Copies tensors to n devices. Adds the gradients in the order of the devices, as torch.nn.parallel.comm.reduce_add does."""

    @staticmethod
    def forward(ctx, n: int, *tensors: Tensor):
        ctx.n = n
        return tuple(tensor.clone() for _ in range(n) for tensor in tensors)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        per_tensor = len(grads) // ctx.n
        sums = list(grads[:per_tensor])
        for place in range(1, ctx.n):
            others = grads[place * per_tensor : (place + 1) * per_tensor]
            sums = [total + grad for total, grad in zip(sums, others, strict=True)]
        return None, *sums


class Replicas(nn.Module):
    """`net` on several devices, each of which is the CPU."""

    def __init__(self, net: nn.Module, devices: int):
        super().__init__()
        self.net = net
        self.devices = devices

    def forward(self, x: Tensor) -> Tensor:
        """The net's output. The running statistics are those of the first part."""
        parts = x.chunk(self.devices)
        if len(parts) == 1:
            return self.net(x)
        parameters = dict(self.net.named_parameters())
        copies = Broadcast.apply(len(parts), *parameters.values())
        outputs = []
        for place, part in enumerate(parts):
            here = copies[place * len(parameters) : (place + 1) * len(parameters)]
            state = dict(zip(parameters, here, strict=True))
            if place > 0:
                state |= {name: buffer.clone() for name, buffer in self.net.named_buffers()}
            outputs.append(functional_call(self.net, state, part))
        return torch.cat(outputs)
