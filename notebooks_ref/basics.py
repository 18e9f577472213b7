"""Batch norm's state after one forward pass, and feature scaling: computes in Python what `d2l_ch7 basics` computes.

    python basics.py --seed 0 --out basics.safetensors [--image FILE.png] [--threads N]

writes the tensors that `d2l_ch7 basics` writes to its basics.safetensors, under the same names.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.transforms import Normalize

Tensors = dict[str, Tensor]

SHAPES = ((100, 16, 28, 28), (1, 16, 7, 7))
IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
LIGHT = [1.0, 0.85, 0.65]
BINS = 64


def one_pass(shape: tuple[int, ...]) -> Tensors:
    """A fresh layer in training, then in evaluation: gives x, y, evaluated, and the layer's state between the two."""
    x = torch.rand(shape)
    layer = nn.BatchNorm2d(shape[1])
    y = layer(x).detach()
    state = {name: tensor.detach().clone() for name, tensor in layer.state_dict().items()}
    layer.eval()
    evaluated = layer(x).detach()
    assert all(tensor.equal(state[name]) for name, tensor in layer.state_dict().items())
    return {"x": x, "y": y, "evaluated": evaluated, **state}


def pass_figures(tensors: Tensors) -> Tensors:
    """The layer's state; mean and biased variance of every channel of both outputs; and the difference of the outputs."""
    y, evaluated = tensors["y"], tensors["evaluated"]
    over = (0, 2, 3)
    return {name: tensor for name, tensor in tensors.items() if name not in ("x", "y", "evaluated")} | {
        "training.mean": y.mean(over),
        "training.var": y.var(over, correction=0),
        "evaluation.mean": evaluated.mean(over),
        "evaluation.var": evaluated.var(over, correction=0),
        "largest_difference": (y - evaluated).abs().max(),
    }


def gradient_images() -> Tensor:
    """Eight colour gradients (8, 3, 64, 64), uint8, between four random corners, in warm light."""
    corners = torch.rand(8, 3, 2, 2, 1, 1)
    across = torch.arange(64) / 63
    down = across.reshape(64, 1)
    top = corners[:, :, 0, 0] * (1 - across) + corners[:, :, 0, 1] * across
    bottom = corners[:, :, 1, 0] * (1 - across) + corners[:, :, 1, 1] * across
    light = torch.tensor(LIGHT).reshape(3, 1, 1)
    return ((top * (1 - down) + bottom * down) * light * 255).round().to(torch.uint8)


def scaled_images(images: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 images after ToTensor, and after Normalize with ImageNet's constants."""
    before = images.to(torch.float32).div(255)
    return before, Normalize(IMAGENET_MEAN, IMAGENET_STD)(before)


def scaling_figures(images: Tensor) -> Tensors:
    """Mean, standard deviation, minimum, maximum and histogram of every channel, before and after Normalize.

    A bin of a histogram covers four of the 256 levels, from half a level below the first to half a level above the last.
    """
    before, after = scaled_images(images)
    shifts, scales = ([0.0] * 3, IMAGENET_MEAN), ([1.0] * 3, IMAGENET_STD)
    tensors = {}
    for stage, values, shift, scale in zip(("before", "after"), (before, after), shifts, scales):
        channels = values.transpose(0, 1).flatten(1)
        counts = [
            torch.histogram(channel.double(), BINS, range=((-0.5 / 255 - m) / s, (255.5 / 255 - m) / s)).hist
            for channel, m, s in zip(channels, shift, scale)
        ]
        tensors |= {
            f"scaling.{stage}.mean": values.mean((0, 2, 3)),
            f"scaling.{stage}.std": values.std((0, 2, 3)),
            f"scaling.{stage}.min": values.amin((0, 2, 3)),
            f"scaling.{stage}.max": values.amax((0, 2, 3)),
            f"scaling.{stage}.histogram": torch.stack(counts).to(torch.int64),
        }
    return tensors


def named(shape: tuple[int, ...], tensors: Tensors) -> Tensors:
    """`100x16x28x28.NAME` for every tensor."""
    return {f"{'x'.join(map(str, shape))}.{name}": tensor for name, tensor in tensors.items()}


def opened(path: Path) -> Tensor:
    """An image file as a batch of one image, uint8."""
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    return pil_to_tensor(Image.open(path).convert("RGB")).unsqueeze(0).contiguous()  # as ToTensor lays it out


def figures(seed: int, image: Path | None = None) -> Tensors:
    """All tensors that `d2l_ch7 basics` stores."""
    torch.manual_seed(seed)
    tensors = {}
    for shape in SHAPES:
        tensors |= named(shape, pass_figures(one_pass(shape)))
    return tensors | scaling_figures(opened(image) if image else gradient_images())


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    save_file(figures(arguments.seed, arguments.image), arguments.out)


if __name__ == "__main__":
    main()
