"""Times the training of jobs of several processes, here and in Python in turn, so that both run on the same machine.

    python bench_ddp.py --program ../target/debug/d2l_ch7 --fashion-mnist FOLDER --cifar10 FOLDER --rounds 4

torchrun starts both. Prints a line for each job and round, then the medians over all epochs of all rounds: seconds of training, their
ratio, and for Rust c10d's figures of the exchange and of the part of it that the backward pass hid.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
FEW = "--train-examples 12800 --test-examples 256 --epochs 3"
# Recipe, variant and options of both command lines.
JOBS = (
    ("book", "scratch", FEW),
    ("book", "native", FEW),
    ("adamw", "native", FEW),
    ("cifar", "plain", "--train-examples 384 --test-examples 8 --batch-size 32 --epochs 2 --workers 0"),
)


def torchrun(processes: int, *command: str | Path) -> None:
    """Runs a job with one thread in each process, and waits for its end."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    subprocess.run([*launcher, *map(str, command), "--threads", "1"], check=True, capture_output=True)


def rust(arguments: argparse.Namespace, out: Path, job: tuple[str, str, str], data: Path) -> list[dict[str, str]]:
    """Rank 0's rows of ranks.csv, one for each epoch."""
    recipe, variant, options = job
    command = ["cifar"] if recipe == "cifar" else ["compare", "--recipe", recipe]
    options = [*options.split(), "--device", "cpu", "--quiet", "--data-dir", data, "--out", out]
    torchrun(arguments.processes, "--no-python", arguments.program, *command, "--variants", variant, *options)
    with open(out / "ranks.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if row["rank"] == "0"]


def python(arguments: argparse.Namespace, out: Path, job: tuple[str, str, str], data: Path) -> list[float]:
    """Rank 0's seconds of training, one for each epoch."""
    recipe, variant, options = job
    options = [*options.split(), "--data-dir", data, "--out", out]
    torchrun(arguments.processes, HERE / "train_ddp.py", "--recipe", recipe, "--variant", variant, *options)
    return [epoch["train_seconds"] for epoch in json.loads(out.read_text())["epoch_records"]]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True, help="d2l_ch7")
    parser.add_argument("--fashion-mnist", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", choices=sorted({job[0] for job in JOBS}), help="these only")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    taken = {job: ([], [], []) for job in JOBS if not arguments.recipes or job[0] in arguments.recipes}
    for number in range(arguments.rounds):
        for job, (seconds, theirs, rows) in taken.items():
            data = arguments.cifar10 if job[0] == "cifar" else arguments.fashion_mnist
            with tempfile.TemporaryDirectory() as folder:
                epochs = rust(arguments, Path(folder, "rust"), job, data)
                beside = python(arguments, Path(folder, "python.json"), job, data)
            ours = [float(row["train_seconds"]) for row in epochs]
            print(number + 1, *job[:2], "rust", *ours, "python", *beside, flush=True)
            seconds += ours
            theirs += beside
            rows.append(epochs[-1])
    for job, (seconds, theirs, rows) in taken.items():
        ratio = median(ours / beside for ours, beside in zip(seconds, theirs))
        exchange = median(float(row["exchange_seconds"]) for row in rows)
        hidden = median(float(row["hidden_seconds"]) / float(row["exchange_seconds"]) for row in rows)
        print(
            f"{job[0]} {job[1]}: rust {median(seconds):.3f} s, python {median(theirs):.3f} s, ratio {ratio:.3f}; "
            f"exchange {1e3 * exchange:.2f} ms a step, {hidden:.0%} hidden"
        )


if __name__ == "__main__":
    main()
