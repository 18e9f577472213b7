"""Writes the stored references of tests/pytorch.rs: stored/*.safetensors, and stored/manifest.json.

    python make_references.py            writes them
    python make_references.py --check    makes them again in a temporary directory and compares

It needs PyTorch 2.11.0 and safetensors. Names are paths, their parts joined by dots.
"""

import argparse
import filecmp
import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

STORED = Path(__file__).parent / "stored"
SEEDS = (0, 1, 12345)


def random_int64():
    """The int64 that a DataLoader draws for a seed."""
    return torch.empty((), dtype=torch.int64).random_()


def draws():
    """SEED.int64, three draws; SEED.state, the generator's state after them; SEED.next, the draw after that."""
    tensors = {}
    for seed in SEEDS:
        torch.manual_seed(seed)
        tensors[f"{seed}.int64"] = torch.stack([random_int64() for _ in range(3)])
        tensors[f"{seed}.state"] = torch.get_rng_state()
        tensors[f"{seed}.next"] = random_int64()
    return tensors


def init():
    """LAYER.weight, LAYER.bias of layers that are made one after the other; then xavier, a weight that is drawn after them."""
    torch.manual_seed(0)
    layers = {
        "conv": nn.Conv2d(3, 8, 5),
        "grouped": nn.Conv2d(8, 4, kernel_size=3, padding=1, groups=2),
        "linear": nn.Linear(17, 6),
    }
    tensors = {f"{name}.{key}": value for name, layer in layers.items() for key, value in layer.state_dict().items()}
    tensors["xavier"] = torch.empty(5, 9)
    nn.init.xavier_uniform_(tensors["xavier"])
    return tensors


def switches():
    """The switches that decide bits on CUDA, one row of six 0s and 1s after each way to set them."""
    rows = []

    def read():
        rows.append(
            [
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
                torch.backends.cudnn.deterministic,
                torch.backends.cudnn.benchmark,
                torch.backends.cuda.matmul.allow_tf32,
                torch.backends.cudnn.allow_tf32,
            ]
        )

    read()
    torch.use_deterministic_algorithms(True)
    read()
    torch.use_deterministic_algorithms(True, warn_only=True)
    read()
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = True
    read()
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.benchmark = True
    read()
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = True
    read()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    read()
    torch.backends.cudnn.allow_tf32 = True
    return {"rows": torch.tensor(rows, dtype=torch.uint8)}


# The optimizers whose steps are stored, and the kernels that they take: Python's loop, or those for lists.
OPTIMIZERS = {
    "sgd_1.0": (torch.optim.SGD, dict(lr=1.0), ["plain"]),
    "sgd": (torch.optim.SGD, dict(lr=0.05), ["plain", "foreach", "fused"]),
    "sgd_momentum": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, dampening=0.1, weight_decay=0.01), ["fused"]),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True), ["fused"]),
    "adam": (torch.optim.Adam, dict(lr=1e-3), ["plain", "foreach"]),
    "adam_options": (torch.optim.Adam, dict(lr=1e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01), ["fused"]),
    "adamw": (torch.optim.AdamW, dict(lr=1e-3, weight_decay=0.01), ["plain", "foreach", "fused"]),
}
KERNELS = {"plain": dict(foreach=False), "foreach": dict(foreach=True), "fused": dict(fused=True)}


def given():
    """initial.P and grad.STEP.P (steps 1 to 10) for the parameters P = 0 to 3."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((6, 1, 5, 5), (6,), (1, 6, 1, 1), (17, 13))
    tensors = {f"initial.{i}": torch.randn(shape, generator=generator) for i, shape in enumerate(shapes)}
    for step in range(1, 11):
        tensors |= {f"grad.{step}.{i}": torch.randn(shape, generator=generator) for i, shape in enumerate(shapes)}
    return tensors


def trained(make, options, tensors, device="cpu"):
    """The parameters after one and after ten steps with the given gradients."""
    params = [tensors[f"initial.{i}"].to(device, copy=True).requires_grad_() for i in range(4)]
    optimizer = make(params, **options)
    after = {}
    for step in range(1, 11):
        for i, param in enumerate(params):
            param.grad = tensors[f"grad.{step}.{i}"].to(device, copy=True)
        optimizer.step()
        after[step] = [param.detach().cpu().clone() for param in params]
    return {step: after[step] for step in (1, 10)}


def optim(device="cpu"):
    """What `given` gives, and KERNELS.OPTIMIZER.STEP.P, the parameters after steps 1 and 10."""
    tensors = given()
    results = {}
    for name, (make, options, kernels) in OPTIMIZERS.items():
        for kernel in kernels:
            for step, params in trained(make, options | KERNELS[kernel], tensors, device).items():
                results |= {f"{kernel}.{name}.{step}.{i}": param for i, param in enumerate(params)}
    return tensors | results


def write(folder):
    for make in (draws, init, switches, optim):
        save_file(make(), folder / f"{make.__name__}.safetensors")
    manifest = {
        "torch": torch.__version__.partition("+")[0],
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--cuda", type=Path, metavar="FILE", help="write the optimizers' steps on cuda:0, for a live test")
    arguments = parser.parse_args()
    if arguments.cuda:
        save_file(optim("cuda:0"), arguments.cuda)
    elif arguments.check:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            names = sorted({path.name for path in [*STORED.iterdir(), *Path(folder).iterdir()]})
            _, differing, missing = filecmp.cmpfiles(STORED, folder, names, shallow=False)
        if differing or missing:
            raise SystemExit(f"these come out differently: {', '.join(differing + missing)}")
        print(f"{len(names)} files come out the same")
    else:
        STORED.mkdir(exist_ok=True)
        write(STORED)


if __name__ == "__main__":
    main()
