"""Writes stored/ddp.safetensors: what torch.distributed computes in three processes that exchange tensors over Gloo.

    python make_references.py            writes the file
    python make_references.py --check    computes everything anew, and fails where a bit differs from the file

It needs torch and safetensors. `pytorch.rs` computes the same.

Every kernel here works element by element, or adds up two numbers: the bits do not depend on the processor. (--check
holds with ATEN_CPU_CAPABILITY=default, avx2 and avx512.) What is exchanged is inexact: the order in which three ranks are
added decides bits.

Names:
    sum.N                 (N), the sum of three ranks' tensors of N elements
    initial.NAME          a parameter before training
    x.RANK                (STEPS, 2, FEATURES), a rank's batches
    step.I.grad.NAME      a gradient of step I, the same on each rank
    step.I.after.NAME     a parameter after step I, the same on each rank
    step.I.rank.R.NAME    a rank's running statistics after step I
    buckets               the bytes of each bucket from the second step on
A tensor that is too large to be stored is NAME.sha256.
"""

import hashlib
import math
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

STORED = Path(__file__).parent / "stored" / "ddp.safetensors"
RANKS, STEPS = 3, 4
# A power of two: its product with a gradient is exact, whether or not a processor adds it in the same instruction.
LR = 0.125
FEATURES = 7
# Number of elements. The first is a bucket of 1 MiB and more, the second one of 25 MiB and more.
LARGE = {"out": 300_000, "bulk": 7_000_000}
SUMS = (1, 2, 3, 5, 64, 1000, 4097)


def inexact(elements: int, salt: int) -> Tensor:
    """Numbers from -1.5 to 1.5 whose sums and products must be rounded."""
    integers = (torch.arange(elements) * 7919 + salt * 104729) % 1009 - 504
    return integers.to(torch.float32) / torch.tensor(337.0)


class BatchNorm(nn.Module):
    """Normalizes a batch (2, FEATURES). PyTorch's kernel rounds otherwise on processors with fused multiply-add."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(inexact(FEATURES, 4))
        self.bias = nn.Parameter(inexact(FEATURES, 5))
        self.register_buffer("running_mean", torch.zeros(FEATURES))
        self.register_buffer("running_var", torch.ones(FEATURES))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(0)
        var = (centred * centred).mean(0)
        with torch.no_grad():
            self.running_mean.mul_(0.875).add_(x.mean(0) * 0.125)
            self.running_var.mul_(0.875).add_(var * 0.125)
        return centred / (var + 1e-5).sqrt() * self.weight + self.bias


class Net(nn.Module):
    """A batch (2, FEATURES) to a vector: scaled and normalized, and two large parameters times a number of it."""

    def __init__(self) -> None:
        super().__init__()
        self.bulk = nn.Parameter(inexact(LARGE["bulk"], 1))
        self.scale = nn.Parameter(inexact(FEATURES, 2))
        self.norm = BatchNorm()
        self.out = nn.Parameter(inexact(LARGE["out"], 3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x * self.scale)
        return torch.cat([y.reshape(-1), self.bulk * x[0][0], self.out * x[1][1]])


def kept(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """The tensor, or its digest if it is large."""
    tensor = tensor.detach().clone()
    if tensor.numel() < 10_000:
        return {name: tensor}
    digest = hashlib.sha256(tensor.numpy().tobytes()).digest()
    return {f"{name}.sha256": torch.tensor(list(digest), dtype=torch.uint8)}


def sums(rank: int) -> dict[str, Tensor]:
    """all_reduce of tensors of several lengths."""
    tensors = {f"sum.{elements}": inexact(elements, 10 + rank) for elements in SUMS}
    for tensor in tensors.values():
        dist.all_reduce(tensor)
    return tensors


def train(rank: int) -> dict[str, Tensor]:
    """STEPS steps of SGD in DistributedDataParallel."""
    net = Net()
    tensors = {}
    for name, parameter in net.named_parameters():
        tensors |= kept(f"initial.{name}", parameter)
    if rank > 0:
        # DistributedDataParallel begins with rank 0's.
        with torch.no_grad():
            for tensor in net.state_dict().values():
                tensor.zero_()
    ddp = DistributedDataParallel(net)
    batches = inexact(STEPS * 2 * FEATURES, 20 + rank).reshape(STEPS, 2, FEATURES)
    tensors[f"x.{rank}"] = batches
    optimizer = torch.optim.SGD(ddp.parameters(), lr=LR)
    for step, x in enumerate(batches, 1):
        optimizer.zero_grad()
        y = ddp(x)
        (y * y).sum().backward()
        optimizer.step()
        for name, parameter in net.named_parameters():
            tensors |= kept(f"step.{step}.grad.{name}", parameter.grad) | kept(f"step.{step}.after.{name}", parameter)
        for name, buffer in net.named_buffers():
            tensors |= kept(f"step.{step}.rank.{rank}.{name}", buffer)
    buckets = ddp._get_ddp_logging_data()["rebuilt_bucket_sizes"]
    return tensors | {"buckets": torch.tensor([int(size) for size in buckets.split(", ")])}


def run(rank: int, folder: Path) -> None:
    """One rank. Leaves its tensors in `folder`."""
    store = dist.FileStore(str(folder / "store"), RANKS)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=RANKS, timeout=timedelta(minutes=1))
    save_file(sums(rank) | train(rank), folder / f"{rank}.safetensors")
    dist.barrier()
    dist.destroy_process_group()


def make() -> dict[str, Tensor]:
    """All tensors. What several ranks have must be the same on each."""
    tensors = {}
    with TemporaryDirectory() as folder:
        mp.spawn(run, (Path(folder),), nprocs=RANKS)
        for rank in range(RANKS):
            for name, tensor in load_file(Path(folder) / f"{rank}.safetensors").items():
                assert same(tensors.setdefault(name, tensor), tensor), f"the ranks differ in {name}"
    return tensors


def same(a: Tensor, b: Tensor) -> bool:
    """Whether shape, type and bits are the same."""
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def orders_of_addition(elements: int, total: Tensor) -> list[int]:
    """In how many elements the sum is that of each order of three ranks, and not that of another order."""
    a, b, c = (inexact(elements, 10 + rank) for rank in range(RANKS))
    equal = torch.stack([total == (a + b) + c, total == (b + c) + a, total == (c + a) + b])
    assert equal.any(0).all()
    return [int((row & (equal.sum(0) == 1)).sum()) for row in equal]


def main() -> None:
    """Runs the command line."""
    tensors = make()
    decided = orders_of_addition(max(SUMS), tensors[f"sum.{max(SUMS)}"])
    assert min(decided) > 0, f"of the longest sum, an order of addition decides nothing: {decided}"
    assert len(tensors["buckets"]) > 2, tensors["buckets"]
    if sys.argv[1:] == ["--check"]:
        stored = load_file(STORED)
        differ = [name for name in sorted(stored.keys() | tensors.keys()) if name not in stored.keys() & tensors.keys()]
        differ += [name for name in sorted(stored.keys() & tensors.keys()) if not same(stored[name], tensors[name])]
        if differ:
            sys.exit(f"{len(differ)} tensors differ from {STORED.name}: {', '.join(differ)}")
        print(f"{len(stored)} tensors are those of {STORED.name}")
        return
    STORED.parent.mkdir(exist_ok=True)
    save_file(dict(sorted(tensors.items())), STORED)
    print(f"{STORED}: {len(tensors)} tensors, {math.ceil(STORED.stat().st_size / 1000)} kB")


if __name__ == "__main__":
    main()
