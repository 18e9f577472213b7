"""Takes ten steps of optimizers with fused=True and foreach=True, with the gradients of stored/optim.safetensors."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, dict(lr=0.05)),
    "sgd_momentum": (
        torch.optim.SGD,
        dict(lr=0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    ),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
    "adam": (
        torch.optim.Adam,
        dict(lr=1e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01),
    ),
    "adamw": (torch.optim.AdamW, dict(lr=1e-3, weight_decay=0.01)),
}


def trained(optimizer, options, tensors, device):
    params = [tensors[f"initial.{i}"].to(device, copy=True).requires_grad_(True) for i in range(4)]
    optimizer = optimizer(params, **options)
    for step in range(1, 11):
        for i, param in enumerate(params):
            param.grad = tensors[f"grad.{step}.{i}"].to(device, copy=True)
        optimizer.step()
    return [param.detach().cpu() for param in params]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", type=torch.device, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tensors = load_file(Path(__file__).parent / "stored" / "optim.safetensors")
    results = {}
    for name, (optimizer, options) in OPTIMIZERS.items():
        for kind in "fused", "foreach":
            params = trained(optimizer, options | {kind: True}, tensors, args.device)
            for i, param in enumerate(params):
                results[f"{kind}.{name}.{i}"] = param
    save_file(results, args.out)


if __name__ == "__main__":
    main()
