"""Makes everything that this folder stores: the references, their manifest and the executed notebooks.

    python make.py            writes stored/ and *.ipynb
    python make.py --check    makes them again, compares, and checks that the named Rust twins exist
"""

import argparse
from pathlib import Path

import torch

import fashion_mnist
import make_notebooks
import make_references
import twins


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    arguments = parser.parse_args()
    torch.set_num_threads(make_references.THREADS)
    if arguments.check:
        twins.check()
        make_references.check(arguments.data_dir)
        make_notebooks.check(arguments.data_dir)
    else:
        make_references.replace(arguments.data_dir)
        make_notebooks.write(arguments.data_dir)


if __name__ == "__main__":
    main()
