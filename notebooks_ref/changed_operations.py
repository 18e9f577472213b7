"""Finds the operations of libtorch that give other bits with another PyTorch.

    python changed_operations.py trace OLD.json          with the old PyTorch
    python changed_operations.py trace NEW.json          with the new one, on the same machine
    python changed_operations.py compare OLD.json NEW.json

`trace` makes the stored references and writes down each call of an operation: a digest of what it was given (name, arguments, the
generator's state if it draws) and one of its results. `compare` prints the operations that were given the same bits and gave
others, and those that only one of the two called. A change's consequences are not printed: later calls are given other bits.
"""

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import fashion_mnist
from bits import tensor_bytes
from make_references import THREADS, makers

# For each operation, by the digest of what it was given: the digest of its results, and a description of what it was given.
Calls = dict[str, dict[str, tuple[str, str]]]


def described(leaf: object) -> str:
    """A tensor's type, shape and strides; the value of anything else."""
    if isinstance(leaf, Tensor):
        return f"{leaf.dtype} {tuple(leaf.shape)} {leaf.stride()}".removeprefix("torch.")
    return "generator" if isinstance(leaf, torch.Generator) else repr(leaf)


def digest(leaves: list[object]) -> str:
    """A digest of the descriptions and of the tensors' elements."""
    total = hashlib.sha256()
    for leaf in leaves:
        total.update(described(leaf).encode())
        if isinstance(leaf, Tensor):
            total.update(tensor_bytes(leaf))
    return total.hexdigest()


class Trace(TorchDispatchMode):
    """Writes down the operations that are called meanwhile, also by autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Calls = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Calls the operation."""
        kwargs = kwargs or {}
        given = tree_leaves((args, kwargs))
        description = ", ".join(map(described, given))
        if torch.Tag.nondeterministic_seeded in operation.tags:
            given.append((kwargs.get("generator") or torch.default_generator).get_state())
        key = digest(given)
        results = operation(*args, **kwargs)
        name = str(operation)
        # What the profiler is told has no bits, nor has memory that nobody has written to yet.
        if name.startswith("aten.") and not name.startswith(("aten.empty", "aten.new_empty")):
            self.calls.setdefault(name, {})[key] = digest(tree_leaves(results)), description
        return results


def trace(data_dir: Path) -> Calls:
    """The calls that make the stored references."""
    torch.set_num_threads(THREADS)
    with Trace() as traced:
        for make in makers(data_dir).values():
            make()
    return traced.calls


def compare(old: Calls, new: Calls) -> None:
    """Prints the differences."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, {}), new.get(name, {})
        both = before.keys() & after.keys()
        changed = Counter(before[key][1] for key in both if before[key][0] != after[key][0])
        if not before or not after:
            print(f"{name}: called {len(before)} times before, {len(after)} now")
        elif changed:
            print(f"{name}: of {len(both)} calls with equal arguments, {changed.total()} give other bits:")
            print("".join(f"    {count} x {description}\n" for description, count in changed.most_common(10)), end="")
    equal = sum(len(old[name].keys() & new[name].keys()) for name in old.keys() & new.keys())
    print(f"{equal} calls of {len(old.keys() & new.keys())} operations were compared")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    tracing = commands.add_parser("trace", help="write down the operations of this PyTorch")
    tracing.add_argument("out", type=Path)
    tracing.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    comparing = commands.add_parser("compare", help="print what differs between two traces")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "trace":
        arguments.out.write_text(json.dumps(trace(arguments.data_dir)))
    else:
        compare(*(json.loads(path.read_text()) for path in (arguments.old, arguments.new)))


if __name__ == "__main__":
    main()
