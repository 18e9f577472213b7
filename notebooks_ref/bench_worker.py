"""The Python side of `d2l_ch7 bench`: it measures what Rust measures, question by question.

    python bench_worker.py --device cpu --threads 2 --fashion-mnist FOLDER --cifar10 FOLDER

The first line of JSON on standard output is PyTorch's version. A question is a line of JSON on standard input: a subject of
src/experiments/bench/subject.rs, and how often to do it. The answer is a line of JSON: the name of each way to do it, and its
seconds (`{"Ok": 0.5}`) or why it could not be measured (`{"Err": "RuntimeError: ..."}`). Each subject is built once and kept, as the
Rust side keeps its own, and from the same seed.
"""

import argparse
import contextlib
import io
import json
import re
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

import loops
from fashion_mnist import TEST, TRAIN, memory_loaders, read_tensors, resized, torchvision_loaders
from norms import NORMS
from numerics import Autocast, ChannelsLast
from recipes import RECIPES

CIFAR, MIXED = "cifar", "plain, amp, channels last"
LR_CIFAR = 0.001
WORKERS = 4
# The ways that are measured, by their names in the report.
PYTORCH, NOTEBOOK, TIMER = "PyTorch", "the notebook's loop", "the notebook's loop, by its own timer"
PLAIN, GRAPH = "a plain PyTorch loop", "a plain PyTorch loop with a CUDA graph"
LOADER, MEMORY = "the notebook's DataLoader", "tensors in memory"

# A way's seconds for one subject.
Way = Callable[[int], float]


class Bench:
    """Builds and measures the subjects on one device."""

    def __init__(self, device: torch.device, fashion_mnist: Path | None, cifar10: Path | None):
        self.device = device
        self.fashion_mnist = fashion_mnist
        self.cifar10 = cifar10

    @cache
    def ways(self, question: str) -> dict[str, Way]:
        """The ways to do a subject, which is given as JSON."""
        subject = json.loads(question)
        torch.manual_seed(0)
        make = {
            "batch-norm": self.batch_norm,
            "step": self.step,
            "epoch": self.epoch,
            "data": self.data,
        }[subject.pop("subject")]
        return make(**subject)

    def timed(self, once: Callable[[], object]) -> Way:
        """A way that calls `once` repeatedly, waits for the device, and divides the wall-clock time by the number of calls."""

        def way(iterations: int) -> float:
            self.synchronize()
            start = time.perf_counter()
            for _ in range(iterations):
                once()
            self.synchronize()
            return (time.perf_counter() - start) / iterations

        return way

    def synchronize(self) -> None:
        """Waits for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def batch_norm(self, variant: str, shape: list[int], backward: bool) -> dict[str, Way]:
        """One batch norm layer."""
        layer = NORMS[variant](shape[1], len(shape)).to(self.device)
        X = torch.rand(shape, device=self.device, requires_grad=True)

        def once() -> None:
            Y = layer(X)
            if backward:
                X.grad = None
                layer.zero_grad()
                Y.sum().backward()

        return {PYTORCH: self.timed(once)}

    def trained(self, recipe: str, variant: str, capturable: bool = False):
        """The network, optimizer and loss of the recipe."""
        if recipe == CIFAR:
            from d2l import torch as d2l

            net = d2l.resnet18(10, 3).to(self.device)
            if variant == MIXED:
                net = Mixed(net)
            optimizer = torch.optim.Adam(net.parameters(), lr=LR_CIFAR, capturable=capturable)
            return net, optimizer, lambda y_hat, y: nn.functional.cross_entropy(y_hat, y, reduction="none").sum()
        chosen = RECIPES[recipe]
        net = chosen.build(variant)
        chosen.initialize(net)
        net.to(self.device)
        optimizer = chosen.optimizer(net.parameters(), chosen.lr)
        if capturable and "capturable" in optimizer.defaults:
            for group in optimizer.param_groups:
                group["capturable"] = True
        return net, optimizer, nn.functional.cross_entropy

    def step(self, recipe: str, variant: str, batch_size: int, **_: int) -> dict[str, Way]:
        """Forward, backward and optimizer on one batch."""
        net, optimizer, loss = self.trained(recipe, variant)
        channels, edge = (3, 32) if recipe == CIFAR else (1, RECIPES[recipe].resize or 28)
        X = torch.rand(batch_size, channels, edge, edge, device=self.device)
        y = torch.randint(10, (batch_size,), device=self.device)

        def once() -> None:
            optimizer.zero_grad()
            loss(net(X), y).backward()
            optimizer.step()

        return {PYTORCH: self.timed(once)}

    def epoch(self, recipe: str, variant: str, **size: int) -> dict[str, Way]:
        """Training and evaluation: by the notebook's loop, by a plain loop, and on CUDA by a graph."""
        ways = {} if variant == MIXED else self.notebook(recipe, variant, **size)
        if recipe == CIFAR and variant == "augmented":
            return ways
        rest = self.images(recipe, **size), size["batch_size"], recipe == CIFAR
        ways[PLAIN] = self.timed(Plain(*self.trained(recipe, variant), *rest).epoch)
        if self.device.type == "cuda":
            ways[GRAPH] = self.timed(Captured(*self.trained(recipe, variant, capturable=True), *rest).epoch)
        return ways

    def notebook(self, recipe: str, variant: str, **size: int) -> dict[str, Way]:
        """d2l's own loop over a DataLoader, by the wall clock and by its timer; where it has none, `loops.train`, without a timer."""
        loaders = self.loaders(recipe, variant, **size)
        if recipe != CIFAR and not RECIPES[recipe].by_train_ch6:
            net, optimizer, _ = self.trained(recipe, variant)
            return {NOTEBOOK: self.timed(lambda: loops.train(net, optimizer, *loaders, 1, self.device))}
        net, optimizer, _ = self.trained(recipe, variant)
        by_timer = []

        def once() -> None:
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                if recipe == CIFAR:
                    train_by_ch13(net, optimizer, loaders, self.device)
                else:
                    loops.train_by_d2l(net, *loaders, 1, RECIPES[recipe].lr, self.device, draw=False)
            by_timer.append(float(re.search(r"([0-9.]+) examples/sec", said.getvalue())[1]))

        # The loop's own timer, read from the run that the way above has just measured.
        return {NOTEBOOK: self.timed(once), TIMER: lambda _: size["train_examples"] / by_timer[-1]}

    def loaders(self, recipe: str, variant: str, batch_size: int, train_examples: int, test_examples: int):
        """The notebook's loaders with their worker processes."""
        examples = train_examples, test_examples
        if recipe == CIFAR:
            import cifar10

            augment = "flip" if variant == "augmented" else None
            return cifar10.loaders(self.cifar10, augment, batch_size, *examples, WORKERS)
        return torchvision_loaders(self.fashion_mnist, batch_size, *examples, WORKERS, RECIPES[recipe].resize)

    def images(self, recipe: str, batch_size: int, train_examples: int, test_examples: int) -> list[tuple[Tensor, Tensor]]:
        """Training and test images, uint8, and their labels, on the device."""
        if recipe == CIFAR:
            import cifar10

            def read(files, examples):
                images = cifar10.Cifar10(self.cifar10, files, None, examples)
                return torch.from_numpy(images.data.transpose(0, 3, 1, 2).copy()), torch.tensor(images.targets)

            sets = [read(cifar10.TRAIN_FILES, train_examples), read(cifar10.TEST_FILES, test_examples)]
        else:
            sets = [read_tensors(self.fashion_mnist, TRAIN, train_examples), read_tensors(self.fashion_mnist, TEST, test_examples)]
            if (edge := RECIPES[recipe].resize) is not None:
                sets = [(resized(X, edge), y) for X, y in sets]
        return [(X.to(self.device), y.to(self.device)) for X, y in sets]

    def data(self, recipe: str, variant: str, **size: int) -> dict[str, Way]:
        """Preparing the batches of an epoch, without a network."""
        loader, _ = self.loaders(recipe, variant, **size)
        ways = {LOADER: self.timed(lambda: exhaust(loader))}
        if recipe != CIFAR:
            examples = size["train_examples"], size["test_examples"]
            memory, _ = memory_loaders(self.fashion_mnist, size["batch_size"], *examples)
            ways[MEMORY] = self.timed(lambda: exhaust(memory))
        return ways


class Mixed(nn.Module):
    """A net in mixed precision and channels last. It gives float32, from which autocast takes the loss too."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = Autocast(ChannelsLast(net))

    def forward(self, X: Tensor) -> Tensor:
        """The net's output."""
        return self.net(X).float()


def exhaust(loader) -> None:
    """Iterates over all batches."""
    for _ in loader:
        pass


def train_by_ch13(net, trainer, loaders, device: torch.device) -> None:
    """Trains an epoch as note 002 does."""
    from d2l import torch as d2l

    loss = nn.CrossEntropyLoss(reduction="none")
    with loops.observed_d2l(loaders[0]):
        d2l.train_ch13(net, *loaders, loss, trainer, 1, [device])


class Plain:
    """A loop written for speed: tensors on the device, and nothing read from it before the end. `summed` says that the
    loss is the sum over the batch, not the mean."""

    def __init__(self, net, optimizer, loss, images, batch_size: int, summed: bool):
        self.net, self.optimizer, self.loss = net, optimizer, loss
        self.train, self.test = images
        self.batch_size, self.summed = batch_size, summed
        device = self.train[0].device
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)

    def epoch(self) -> list[float]:
        """Trains and evaluates. Gives the sums of losses and of correct predictions in training."""
        X, y = self.train
        self.net.train()
        self.sums.zero_()
        for indices in torch.randperm(len(X)).to(X.device).split(self.batch_size):
            self.batch(X[indices], y[indices])
        sums = self.sums.clone()
        self.evaluate()
        return sums.tolist()

    def batch(self, X: Tensor, y: Tensor) -> None:
        """Takes a step and adds its figures."""
        self.optimizer.zero_grad()
        y_hat = self.net(X.to(torch.float32).div(255))
        loss = self.loss(y_hat, y)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.count(loss if self.summed else loss * len(y), y_hat, y)

    def count(self, loss_sum: Tensor, y_hat: Tensor, y: Tensor) -> None:
        """Adds a batch's figures."""
        self.sums[0] += loss_sum
        self.sums[1] += (y_hat.argmax(dim=1) == y).sum()

    @torch.no_grad()
    def evaluate(self) -> None:
        """Evaluates on the test images."""
        self.net.eval()
        self.sums.zero_()
        for X, y in zip(*(tensor.split(self.batch_size) for tensor in self.test)):
            y_hat = self.net(X.to(torch.float32).div(255))
            self.count(nn.functional.cross_entropy(y_hat, y, reduction="sum"), y_hat, y)


class Captured(Plain):
    """The same with the step of a whole batch in a CUDA graph. The smaller last batch runs as it is."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        X, y = self.train
        self.X, self.y = X[: self.batch_size].clone(), y[: self.batch_size].clone()
        self.net.train()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                super().batch(self.X, self.y)
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            super().batch(self.X, self.y)

    def batch(self, X: Tensor, y: Tensor) -> None:
        """Replays the graph, or takes the step of a smaller batch."""
        if len(y) < self.batch_size:
            super().batch(X, y)
            return
        self.X.copy_(X)
        self.y.copy_(y)
        self.graph.replay()


def answer(bench: Bench, subject: dict, iterations: int) -> list[tuple[str, dict]]:
    """Measures every way of a subject once; of those that fail, gives the reason."""
    try:
        ways = bench.ways(json.dumps(subject))
    except Exception as error:  # noqa: BLE001 whatever keeps one subject from being measured leaves the others
        return [("Python", {"Err": one_line(error)})]
    answers = []
    for who, way in ways.items():
        try:
            answers.append((who, {"Ok": way(iterations)}))
        except Exception as error:  # noqa: BLE001 as above
            answers.append((who, {"Err": one_line(error)}))
    return answers


def one_line(error: BaseException) -> str:
    """The error as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--fashion-mnist", type=Path)
    parser.add_argument("--cifar10", type=Path)
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    bench = Bench(arguments.device, arguments.fashion_mnist, arguments.cifar10)
    print(json.dumps(torch.__version__), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(bench, *json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
