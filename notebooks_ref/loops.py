"""Two training loops: d2l's own, whose figures are recorded, and a loop with the same arithmetic for any loader.

Both give a list of `Epoch`s. They accumulate losses as d2l's Accumulator does: the mean loss of a batch times its size
in float32, then a sum in float64.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Epoch:
    """The figures of one epoch. The seconds are wall-clock time; `epoch_seconds` includes the evaluation."""

    train_loss: float
    train_acc: float
    test_loss: float | None
    test_acc: float
    train_seconds: float
    epoch_seconds: float


def count_correct(y_hat: Tensor, y: Tensor) -> float:
    """The number of correct predictions."""
    return float((y_hat.argmax(dim=1) == y).sum())


def batches_on(loader, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """The loader's batches, moved to the device."""
    for X, y in loader:
        yield X.to(device), y.to(device)


def train_one_epoch(net, optimizer, loader, device) -> tuple[float, float]:
    """One pass over the training data. Gives mean loss and accuracy, computed while the weights change."""
    cross_entropy = nn.CrossEntropyLoss()
    loss_sum, correct, examples = 0.0, 0.0, 0
    net.train()
    for X, y in batches_on(loader, device):
        optimizer.zero_grad()
        y_hat = net(X)
        loss = cross_entropy(y_hat, y)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            loss_sum += float(loss * len(X))
            correct += count_correct(y_hat, y)
            examples += len(X)
    return loss_sum / examples, correct / examples


@torch.no_grad()
def evaluate(net, loader, device) -> tuple[float, float]:
    """Mean loss and accuracy of the net in evaluation."""
    cross_entropy = nn.CrossEntropyLoss()
    loss_sum, correct, examples = 0.0, 0.0, 0
    net.eval()
    for X, y in batches_on(loader, device):
        y_hat = net(X)
        loss_sum += float(cross_entropy(y_hat, y) * len(X))
        correct += count_correct(y_hat, y)
        examples += len(X)
    return loss_sum / examples, correct / examples


def train(net, optimizer, train_loader, test_loader, epochs: int, device) -> list[Epoch]:
    """Trains and evaluates epoch by epoch."""
    records = []
    for _ in range(epochs):
        start = time.perf_counter()
        train_loss, train_acc = train_one_epoch(net, optimizer, train_loader, device)
        trained = time.perf_counter()
        test_loss, test_acc = evaluate(net, test_loader, device)
        done = time.perf_counter()
        records.append(Epoch(train_loss, train_acc, test_loss, test_acc, trained - start, done - start))
    return records


def train_by_d2l(net, train_loader, test_loader, epochs: int, lr: float, device, draw: bool) -> list[Epoch]:
    """Trains by d2l.train_ch6 itself, which initializes by Xavier and takes SGD. With `draw` it also plots."""
    from d2l import torch as d2l

    with observed_d2l(train_loader, draw) as recorder:
        d2l.train_ch6(net, train_loader, test_loader, epochs, lr, device)
    return recorder.records


@contextmanager
def observed_d2l(train_loader, draw: bool = False):
    """A context in which a recorder gets the figures that a loop of d2l plots. With `draw` the loop also plots them."""
    if len(train_loader) < 5:
        raise SystemExit(
            f"d2l's loop divides by num_batches // 5 and there are {len(train_loader)} batches\n"
            "take more training examples or smaller batches"
        )
    import matplotlib

    matplotlib.use("Agg")
    from d2l import torch as d2l

    animator = d2l.Animator
    d2l.Animator, recorder = observed(animator if draw else Silent)
    try:
        yield recorder
    finally:
        d2l.Animator = animator


class Silent:
    """A d2l.Animator that draws nothing."""

    def __init__(self, **_settings):
        pass

    def add(self, x, y):
        pass


class Recorder:
    """Makes epochs of the calls of Animator.add by train_ch6 or train_ch13: (loss, accuracy, None) about five times an
    epoch, the last time after the last batch, then (None, None, test accuracy)."""

    def __init__(self):
        self.records: list[Epoch] = []
        self.epoch_start = self.trained = time.perf_counter()
        self.train_loss = self.train_acc = float("nan")

    def add(self, y):
        train_loss, train_acc, test_acc = y
        now = time.perf_counter()
        if test_acc is None:
            self.train_loss, self.train_acc, self.trained = train_loss, train_acc, now
            return
        seconds = self.trained - self.epoch_start, now - self.epoch_start
        self.records.append(Epoch(self.train_loss, self.train_acc, None, test_acc, *seconds))
        self.epoch_start = now


def observed(animator):
    """A subclass of `animator`, and a recorder that gets the arguments of its `add`."""
    recorder = Recorder()

    class Observed(animator):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            recorder.epoch_start = time.perf_counter()

        def add(self, x, y):
            super().add(x, y)
            recorder.add(y)

    return Observed, recorder
