"""Loads weights into a recipe's net in Python and evaluates it on the test images.

    python evaluate.py run/weights/scratch.safetensors --recipe book --variant scratch

The file must have exactly the net's names. The script prints the same line as `d2l_ch7 evaluate`.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

import fashion_mnist
import loops
from norms import VARIANTS
from recipes import RECIPES


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--recipe", choices=RECIPES, default="book")
    parser.add_argument("--variant", choices=VARIANTS, required=True)
    parser.add_argument("--test-examples", type=int, metavar="N", help="the first N only")
    parser.add_argument("--threads", type=int, help="libtorch's threads (its default)")
    parser.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)

    recipe = RECIPES[arguments.recipe]
    net = recipe.build(arguments.variant)
    net.load_state_dict(load_file(arguments.weights), strict=True)
    examples = None, arguments.test_examples
    _, test_loader = fashion_mnist.memory_loaders(arguments.data_dir, recipe.batch_size, *examples, recipe.resize)
    loss, accuracy = loops.evaluate(net, test_loader, torch.device("cpu"))
    print(f"test loss {loss}  test acc {accuracy}")


if __name__ == "__main__":
    main()
