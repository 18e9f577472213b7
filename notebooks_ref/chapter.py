"""The nets of the chapter's other sections: AlexNet, VGG-11, NiN, GoogLeNet and DenseNet, with either batch norm or none.

The book's nets have no batch norm, except DenseNet. In the variants that have one, it stands after each convolution and dense layer
but the last, before the activation. The names of the modules, and the order in which they are made, are the book's: they decide the
names in state_dict, and which random number becomes which weight.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from norms import Norm, no_norm, sequential


def dense_layers(norm: Norm, features: int) -> list[nn.Module | None]:
    """The end of AlexNet and VGG: (N, C, H, W), with C H W = `features`, to (N, 10)."""
    return [
        nn.Flatten(),
        nn.Linear(features, 4096), norm(4096, 2), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), norm(4096, 2), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 10),
    ]  # fmt: skip


def alexnet(norm: Norm) -> nn.Sequential:
    """Section 7.1: (N, 1, 224, 224) to (N, 10)."""
    return sequential(
        nn.Conv2d(1, 96, kernel_size=11, stride=4, padding=1), norm(96, 4), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(96, 256, kernel_size=5, padding=2), norm(256, 4), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(256, 384, kernel_size=3, padding=1), norm(384, 4), nn.ReLU(),
        nn.Conv2d(384, 384, kernel_size=3, padding=1), norm(384, 4), nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1), norm(256, 4), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        *dense_layers(norm, 256 * 5 * 5),
    )  # fmt: skip


def vgg_block(norm: Norm, num_convs: int, in_channels: int, out_channels: int) -> nn.Sequential:
    """Convolutions of 3x3, then a pooling that halves height and width."""
    layers = []
    for inputs in [in_channels] + [out_channels] * (num_convs - 1):
        layers += [nn.Conv2d(inputs, out_channels, kernel_size=3, padding=1), norm(out_channels, 4), nn.ReLU()]
    return sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


def vgg(norm: Norm, ratio: int = 1) -> nn.Sequential:
    """Section 7.2, VGG-11: (N, 1, 224, 224) to (N, 10). Its convolutions have 1 / `ratio` of the channels of the paper."""
    blocks, channels = [], 1
    for num_convs, outputs in ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)):
        blocks.append(vgg_block(norm, num_convs, channels, outputs // ratio))
        channels = outputs // ratio
    return sequential(*blocks, *dense_layers(norm, channels * 7 * 7))


def nin_block(
    norms: tuple[Norm, Norm, Norm], in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int
) -> nn.Sequential:
    """A convolution and two of 1x1, each with the norm of its place in `norms` and a ReLU."""
    convolutions = (
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding),
        nn.Conv2d(out_channels, out_channels, kernel_size=1),
        nn.Conv2d(out_channels, out_channels, kernel_size=1),
    )
    layers = ((convolution, norm(out_channels, 4), nn.ReLU()) for convolution, norm in zip(convolutions, norms))
    return sequential(*(layer for three in layers for layer in three))


def nin(norm: Norm) -> nn.Sequential:
    """Section 7.3: (N, 1, H, W), in the book 224 x 224, to (N, 10)."""
    each = (norm, norm, norm)
    return nn.Sequential(
        nin_block(each, 1, 96, kernel_size=11, stride=4, padding=0),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nin_block(each, 96, 256, kernel_size=5, stride=1, padding=2),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nin_block(each, 256, 384, kernel_size=3, stride=1, padding=1),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Dropout(0.5),
        nin_block((norm, norm, no_norm), 384, 10, kernel_size=3, stride=1, padding=1),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )


class Inception(nn.Module):
    """Four paths, joined along the channels: 1x1; 1x1 and 3x3; 1x1 and 5x5; max pooling and 1x1. c1 to c4 are their channels."""

    def __init__(self, norm: Norm, in_channels: int, c1: int, c2: tuple[int, int], c3: tuple[int, int], c4: int):
        super().__init__()
        self.p1_1 = nn.Conv2d(in_channels, c1, kernel_size=1)
        self.p2_1 = nn.Conv2d(in_channels, c2[0], kernel_size=1)
        self.p2_2 = nn.Conv2d(c2[0], c2[1], kernel_size=3, padding=1)
        self.p3_1 = nn.Conv2d(in_channels, c3[0], kernel_size=1)
        self.p3_2 = nn.Conv2d(c3[0], c3[1], kernel_size=5, padding=2)
        self.p4_1 = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.p4_2 = nn.Conv2d(in_channels, c4, kernel_size=1)
        self.bn1_1 = norm(c1, 4) or nn.Identity()
        self.bn2_1 = norm(c2[0], 4) or nn.Identity()
        self.bn2_2 = norm(c2[1], 4) or nn.Identity()
        self.bn3_1 = norm(c3[0], 4) or nn.Identity()
        self.bn3_2 = norm(c3[1], 4) or nn.Identity()
        self.bn4_2 = norm(c4, 4) or nn.Identity()

    def forward(self, X: Tensor) -> Tensor:
        p1 = functional.relu(self.bn1_1(self.p1_1(X)))
        p2 = functional.relu(self.bn2_1(self.p2_1(X)))
        p2 = functional.relu(self.bn2_2(self.p2_2(p2)))
        p3 = functional.relu(self.bn3_1(self.p3_1(X)))
        p3 = functional.relu(self.bn3_2(self.p3_2(p3)))
        p4 = functional.relu(self.bn4_2(self.p4_2(self.p4_1(X))))
        return torch.cat((p1, p2, p3, p4), dim=1)


def googlenet(norm: Norm) -> nn.Sequential:
    """Section 7.4: (N, 1, H, W), in the book 96 x 96, to (N, 10)."""

    def halving() -> nn.Module:
        return nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    return nn.Sequential(
        sequential(nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3), norm(64, 4), nn.ReLU(), halving()),
        sequential(
            nn.Conv2d(64, 64, kernel_size=1), norm(64, 4), nn.ReLU(),
            nn.Conv2d(64, 192, kernel_size=3, padding=1), norm(192, 4), nn.ReLU(),
            halving(),
        ),
        nn.Sequential(
            Inception(norm, 192, 64, (96, 128), (16, 32), 32),
            Inception(norm, 256, 128, (128, 192), (32, 96), 64),
            halving(),
        ),
        nn.Sequential(
            Inception(norm, 480, 192, (96, 208), (16, 48), 64),
            Inception(norm, 512, 160, (112, 224), (24, 64), 64),
            Inception(norm, 512, 128, (128, 256), (24, 64), 64),
            Inception(norm, 512, 112, (144, 288), (32, 64), 64),
            Inception(norm, 528, 256, (160, 320), (32, 128), 128),
            halving(),
        ),
        nn.Sequential(
            Inception(norm, 832, 256, (160, 320), (32, 128), 128),
            Inception(norm, 832, 384, (192, 384), (48, 128), 128),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(),
        ),
        nn.Linear(1024, 10),
    )  # fmt: skip


class DenseBlock(nn.Module):
    """Each of `num_convs` convolutions sees the channels of the input and of all convolutions before it, and adds `num_channels`."""

    def __init__(self, norm: Norm, num_convs: int, input_channels: int, num_channels: int):
        super().__init__()
        inputs = (input_channels + i * num_channels for i in range(num_convs))
        self.net = nn.Sequential(
            *(
                sequential(norm(channels, 4), nn.ReLU(), nn.Conv2d(channels, num_channels, kernel_size=3, padding=1))
                for channels in inputs
            )
        )

    def forward(self, X: Tensor) -> Tensor:
        for block in self.net:
            X = torch.cat((X, block(X)), dim=1)
        return X


def densenet(norm: Norm) -> nn.Sequential:
    """Section 7.7: (N, 1, H, W), in the book 96 x 96, to (N, 10). Four dense blocks; what lies between them halves channels, height
    and width."""
    stem = sequential(
        nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3), norm(64, 4), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )  # fmt: skip
    blocks, channels = [], 64
    for last in (False, False, False, True):
        blocks.append(DenseBlock(norm, 4, channels, 32))
        channels += 4 * 32
        if not last:
            transition = norm(channels, 4), nn.ReLU(), nn.Conv2d(channels, channels // 2, kernel_size=1)
            blocks.append(sequential(*transition, nn.AvgPool2d(kernel_size=2, stride=2)))
            channels //= 2
    end = nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(channels, 10)
    return sequential(stem, *blocks, norm(channels, 4), nn.ReLU(), *end)
