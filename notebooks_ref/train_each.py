"""Trains several times in one process, which imports PyTorch once.

    python train_each.py --data-dir DIR --run --recipe nin --out a.json --run --recipe vgg --out b.json

Each --run begins the options of a run of train.py; what stands before the first belongs to all.
"""

import sys

import train


def main() -> None:
    """Runs the command line."""
    shared, *runs = split(sys.argv[1:], "--run")
    for run in runs:
        train.main(shared + run)


def split(words: list[str], at: str) -> list[list[str]]:
    """The words between those that are `at`."""
    parts = [[]]
    for word in words:
        if word == at:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


if __name__ == "__main__":
    main()
