"""Trains one variant of one recipe in Python and writes every number exactly.

    python train.py --recipe book --variant scratch --seed 0 --epochs 2 --loop plain --out run.json

`--loop notebook` does what the notebook does: torchvision's data set, a DataLoader with worker processes, and
d2l.train_ch6 (for `adamw`, which d2l has no loop for, the same loop with AdamW). `--loop plain` needs only PyTorch and
takes its batches from tensors in memory. Both give the same bits.
"""

import argparse
import json
import resource
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

import fashion_mnist
import loops
from bits import f64_bits, json_float, sha256, signature
from norms import VARIANTS
from numerics import take_deterministic_kernels
from recipes import RECIPES


def positive(text: str) -> int:
    """Reads an argument that must be at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def parse_arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line, or these words. An option that is left out takes the recipe's value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="book")
    parser.add_argument("--variant", choices=VARIANTS, default="scratch")
    parser.add_argument("--loop", choices=("notebook", "plain"), default="notebook")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=positive)
    parser.add_argument("--batch-size", type=positive)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--train-examples", type=positive, metavar="N", help="the first N only")
    parser.add_argument("--test-examples", type=positive, metavar="N", help="the first N only")
    parser.add_argument("--threads", type=positive, help="libtorch's threads (its default)")
    parser.add_argument("--workers", type=int, default=4, help="the notebook loop's worker processes (d2l's 4)")
    parser.add_argument("--draw", action="store_true", help="plot as d2l does in a notebook (takes time)")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--deterministic", action="store_true", help="deterministic kernels only")
    parser.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    parser.add_argument("--out", type=Path, metavar="OUT.json", help="the numbers")
    parser.add_argument("--weights", type=Path, metavar="OUT.safetensors", help="the final state_dict")
    arguments = parser.parse_args(words)
    recipe = RECIPES[arguments.recipe]
    for name in ("epochs", "batch_size", "lr"):
        if getattr(arguments, name) is None:
            setattr(arguments, name, getattr(recipe, name))
    return arguments


def run(arguments: argparse.Namespace) -> tuple[nn.Module, list[loops.Epoch]]:
    """Seeds once, builds the net, trains it: the notebook uses random numbers in this order."""
    recipe = RECIPES[arguments.recipe]
    examples = arguments.train_examples, arguments.test_examples
    if arguments.loop == "notebook":
        loaders = fashion_mnist.torchvision_loaders(
            arguments.data_dir, arguments.batch_size, *examples, arguments.workers, recipe.resize
        )
    else:
        loaders = fashion_mnist.memory_loaders(arguments.data_dir, arguments.batch_size, *examples, recipe.resize)

    torch.manual_seed(arguments.seed)
    net = recipe.build(arguments.variant)
    if arguments.loop == "notebook" and recipe.by_train_ch6:
        records = loops.train_by_d2l(net, *loaders, arguments.epochs, arguments.lr, arguments.device, arguments.draw)
    else:
        recipe.initialize(net)
        net.to(arguments.device)
        optimizer = recipe.optimizer(net.parameters(), arguments.lr)
        records = loops.train(net, optimizer, *loaders, arguments.epochs, arguments.device)
    return net, records


def epoch_json(number: int, record: loops.Epoch) -> dict:
    """An epoch's figures as numbers; and as bits, except for seconds."""
    figures = {name: json_float(value) for name, value in asdict(record).items()}
    exact = {name: getattr(record, name) for name in ("train_loss", "train_acc", "test_loss", "test_acc")}
    return {
        "epoch": number,
        **figures,
        "bits": {name: f64_bits(value) for name, value in exact.items() if value is not None},
    }


def report(arguments: argparse.Namespace, net: nn.Module, records: list[loops.Epoch]) -> dict:
    """All options, the signature and the numbers."""
    chosen = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("out", "weights", "data_dir", "device", "threads", "deterministic")
    }
    return {
        **chosen,
        **signature(arguments.device),
        "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "epoch_records": [epoch_json(number, record) for number, record in enumerate(records, start=1)],
        "weights_sha256": {name: sha256(tensor) for name, tensor in net.state_dict().items()},
    }


def write(arguments: argparse.Namespace, net: nn.Module, records: list[loops.Epoch]) -> None:
    """Writes the figures and the weights to the files of the command line."""
    text = json.dumps(report(arguments, net, records), indent=1) + "\n"
    if arguments.out is None:
        print(text, end="")
    else:
        arguments.out.write_text(text)
    if arguments.weights is not None:
        from safetensors.torch import save_file

        save_file({name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}, arguments.weights)


def main(words: list[str] | None = None) -> None:
    """Runs the command line, or these words."""
    arguments = parse_arguments(words)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    if arguments.deterministic:
        take_deterministic_kernels()
    try:
        outcome = run(arguments)
    except FileNotFoundError as error:
        raise SystemExit(f"{error}\n--data-dir names the folder with Fashion-MNIST's four files") from error
    write(arguments, *outcome)


if __name__ == "__main__":
    main()
