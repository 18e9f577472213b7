"""Writes the stored references, stored/*.safetensors, and their manifest.

    python make_references.py            writes them
    python make_references.py --check    makes them again in a temporary directory and compares
    python make_references.py --only resnets --out DIR    makes one of them in another folder, for a live test

Two runs on machines with the same signature (see the manifest) give the same files.
"""

import argparse
import filecmp
import hashlib
import inspect
import json
import platform
import tempfile
from functools import partial
from pathlib import Path

import PIL
import safetensors
import torch
from safetensors.torch import save_file

import fashion_mnist
import fixtures
from bits import signature
from recipes import CHAPTER, LENETS, VGG11

STORED = Path(__file__).parent / "stored"
THREADS = 2


def makers(data_dir: Path) -> dict[str, partial]:
    """The name of each file and the function that makes its tensors."""
    first_step = partial(fixtures.first_step, seed=0, data_seed=2024)
    return {
        "init_book": partial(fixtures.init, recipe="book", seed=0),
        "init_dropout": partial(fixtures.init, recipe="dropout", seed=0),
        "init_digests": partial(fixtures.init_digests, seeds=[0, 1, 7]),
        "batch_norm": partial(fixtures.batch_norm, seed=0),
        "residual": partial(fixtures.residual, seed=0),
        "resnets": partial(fixtures.resnets, seed=0, data_seed=2024),
        "basics": partial(fixtures.basics, seeds=[0, 1, 7, 12345]),
        "dropout": partial(fixtures.dropout, seeds=[0, 1]),
        "resize": partial(fixtures.resize, data_dir),
        # A recipe's own batch of large images would take gigabytes.
        **{
            f"first_step_{name}": partial(first_step, recipe=name, **({} if of.resize is None else {"examples": 8}))
            for name, of in LENETS.items()
        },
        **{
            f"chapter_{name}": partial(fixtures.chapter, recipe=name, seeds=[0, 7], data_seed=2024, examples=4)
            for name in CHAPTER | VGG11
        },
        "epoch4096": partial(fixtures.epoch4096, data_dir, seed=0),
    }


def described(make: partial) -> dict[str, str | dict]:
    """The function that makes a file, its arguments and its documentation."""
    return {
        "made_by": f"fixtures.{make.func.__name__}",
        "with": make.keywords,
        "holds": " ".join(inspect.getdoc(make.func).split()),
    }


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(directory: Path, data_dir: Path) -> None:
    """Writes every file and the manifest."""
    files = {}
    for name, make in makers(data_dir).items():
        path = directory / f"{name}.safetensors"
        save_file(make(), path)
        files[path.name] = described(make) | {"sha256": file_sha256(path)}
    manifest = {
        "signature": signature("cpu"),
        "signature_says": "Integers hold everywhere. Floats hold to the last bit where all of the signature is the same.",
        "made_with": {
            "python": platform.python_version(),
            "safetensors": safetensors.__version__,
            "pillow": PIL.__version__,
        },
        "fashion_mnist_sha256": {
            name: hashlib.sha256(fashion_mnist.read_file(data_dir, name)).hexdigest()
            for split in (fashion_mnist.TRAIN, fashion_mnist.TEST)
            for name in fashion_mnist.idx_files(split)
        },
        "batch_norm_inputs": {case: {"base": shape, "input": how} for case, (shape, how, _) in fixtures.VIEWS.items()},
        "files": files,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def say_signature() -> None:
    """Prints whether floats come out on this machine as they are stored."""
    stored, here = json.loads((STORED / "manifest.json").read_text())["signature"], signature("cpu")
    others = sorted(part for part in stored.keys() | here.keys() if stored.get(part) != here.get(part))
    print(f"another signature than the stored one: {', '.join(others)}" if others else "the stored signature", flush=True)


def replace(data_dir: Path) -> None:
    """Writes every file and the manifest to STORED, once all are made."""
    with tempfile.TemporaryDirectory(dir=STORED.parent) as directory:
        write(Path(directory), data_dir)
        for path in Path(directory).iterdir():
            path.replace(STORED / path.name)


def check(data_dir: Path) -> None:
    """Compares. Exits with 1 and the names of the files that differ, if any do."""
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory), data_dir)
        names = {path.name for folder in (STORED, Path(directory)) for path in folder.iterdir()}
        _, differing, missing = filecmp.cmpfiles(STORED, directory, sorted(names), shallow=False)
    if differing or missing:
        raise SystemExit(f"these come out differently: {', '.join(differing + missing)}\nsee the manifest's signature")
    print(f"{len(names)} files come out the same")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--only", action="append", metavar="NAME", help="of the files, this one; needs --out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where --only writes, without a manifest")
    parser.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    arguments = parser.parse_args()
    makers_of = makers(arguments.data_dir)
    if bool(arguments.only) != bool(arguments.out) or not makers_of.keys() >= set(arguments.only or ()):
        parser.error(f"--only and --out go together, and the files are {', '.join(makers_of)}")
    torch.set_num_threads(THREADS)
    if arguments.only:
        for name in arguments.only:
            save_file(makers_of[name](), arguments.out / f"{name}.safetensors")
        return
    say_signature()
    if arguments.check:
        check(arguments.data_dir)
    else:
        replace(arguments.data_dir)


if __name__ == "__main__":
    main()
