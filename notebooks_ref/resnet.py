"""ResNet-18 as in note 002, and d2l's ResNet-18 for small images, with either batch norm or none.

The names of the modules, and the order in which they are made, are the notebooks'. They decide the names in state_dict,
and which random number becomes which weight.
"""

from torch import Tensor, nn
from torch.nn import functional

from norms import Norm, sequential


class Residual(nn.Module):
    """relu(g(X) + X), where g is convolution, norm, ReLU, convolution, norm; with `strides`, relu(g(X) + conv3(X))."""

    def __init__(self, norm: Norm, input_channels: int, num_channels: int, strides: int | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, kernel_size=3, stride=strides or 1, padding=1)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, padding=1)
        # A 1x1 convolution gives X the shape of g(X).
        self.conv3 = strides and nn.Conv2d(input_channels, num_channels, kernel_size=1, stride=strides)
        self.bn1 = norm(num_channels, 4) or nn.Identity()
        self.bn2 = norm(num_channels, 4) or nn.Identity()

    def forward(self, X: Tensor) -> Tensor:
        Y = functional.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        Y += self.conv3(X) if self.conv3 else X
        return functional.relu(Y)


def stages(norm: Norm) -> list[nn.Sequential]:
    """Four stages of two residual blocks. Each stage after the first halves height and width and doubles the channels."""
    first = nn.Sequential(Residual(norm, 64, 64), Residual(norm, 64, 64))
    halving = (
        nn.Sequential(Residual(norm, channels // 2, channels, strides=2), Residual(norm, channels, channels))
        for channels in (128, 256, 512)
    )
    return [first, *halving]


def resnet18(norm: Norm) -> nn.Sequential:
    """The note's ResNet-18: (N, 1, H, W), in the note 224 x 224, to (N, 10)."""
    stem = sequential(
        nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3), norm(64, 4), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )  # fmt: skip
    return nn.Sequential(stem, *stages(norm), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(512, 10))


def resnet18_cifar(norm: Norm, num_classes: int, in_channels: int) -> nn.Sequential:
    """d2l.resnet18(num_classes, in_channels): (N, in_channels, H, W), such as CIFAR-10's 32 x 32, to (N, num_classes)."""
    net = sequential(nn.Conv2d(in_channels, 64, kernel_size=3, padding=1), norm(64, 4), nn.ReLU())
    for number, stage in enumerate(stages(norm), start=1):
        net.add_module(f"resnet_block{number}", stage)
    net.add_module("global_avg_pool", nn.AdaptiveAvgPool2d((1, 1)))
    net.add_module("fc", nn.Sequential(nn.Flatten(), nn.Linear(512, num_classes)))
    return net
