"""Trains one variant of one recipe with DistributedDataParallel on Gloo or NCCL, and writes every number exactly.

    torchrun --nproc-per-node 2 train_ddp.py --recipe book --variant scratch --seed 0 --epochs 2 --out run.json

Every rank seeds with --seed. Its training images come from DistributedSampler; of N ranks, rank r tests images r, r + N, ... Batch size
and learning rate are those of one rank. Figures are sums over the ranks; rank 0 writes. `cifar` is d2l's ResNet-18 with the step of
d2l.train_ch13. The variant `scratch-sync` normalizes over the batches of all ranks.
"""

import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import cifar10
import fashion_mnist
import loops
from norms import VARIANTS
from numerics import take_deterministic_kernels
from recipes import RECIPES
from synchronized import SyncBatchNorm
from train import positive, write

CIFAR, SYNC = "cifar", "scratch-sync"


def parse_arguments() -> argparse.Namespace:
    """The command line. An option that is left out takes the recipe's value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=(*RECIPES, CIFAR), default="book")
    parser.add_argument("--variant", choices=(*VARIANTS, SYNC, "plain", "augmented"), default="scratch")
    parser.add_argument("--augment", choices=cifar10.AUGMENTATIONS, default="flip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=positive)
    parser.add_argument("--batch-size", type=positive)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--train-examples", type=positive, metavar="N", help="the first N only")
    parser.add_argument("--test-examples", type=positive, metavar="N", help="the first N only")
    parser.add_argument("--device", type=torch.device, default="cpu", help="cpu, or cuda: each rank's own")
    parser.add_argument("--deterministic", action="store_true", help="deterministic kernels only")
    parser.add_argument("--threads", type=positive, help="libtorch's threads (its default)")
    parser.add_argument("--workers", type=int, default=0, help="each rank's worker processes")
    parser.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    parser.add_argument("--out", type=Path, metavar="OUT.json", help="the numbers")
    parser.add_argument("--weights", type=Path, metavar="OUT.safetensors", help="the final state_dict")
    arguments = parser.parse_args()
    if arguments.device.type == "cuda":
        arguments.device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    note = {"epochs": 10, "batch_size": 256, "lr": 0.001}
    for name, value in note.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value if arguments.recipe == CIFAR else getattr(RECIPES[arguments.recipe], name))
    return arguments


def data_sets(arguments: argparse.Namespace) -> tuple[Dataset, Dataset]:
    """Training and test images."""
    if arguments.recipe == CIFAR:
        augment = arguments.augment if arguments.variant == "augmented" else None
        train, test = cifar10.transform(augment), cifar10.transform(None)
        return (
            cifar10.Cifar10(arguments.data_dir, cifar10.TRAIN_FILES, train, arguments.train_examples),
            cifar10.Cifar10(arguments.data_dir, cifar10.TEST_FILES, test, arguments.test_examples),
        )
    splits = ((fashion_mnist.TRAIN, arguments.train_examples), (fashion_mnist.TEST, arguments.test_examples))
    tensors = (fashion_mnist.read_tensors(arguments.data_dir, *split) for split in splits)
    train, test = (TensorDataset(X.to(torch.float32).div(255), y) for X, y in tensors)
    return train, test


def begin(arguments: argparse.Namespace) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The initialized net and its optimizer."""
    if arguments.recipe == CIFAR:
        from d2l import torch as d2l
        from train_cifar import init_weights

        net = d2l.resnet18(10, 3)
        net.apply(init_weights)
        return net.to(arguments.device), torch.optim.Adam(net.parameters(), lr=arguments.lr)
    recipe = RECIPES[arguments.recipe]
    net = recipe.network(SyncBatchNorm) if arguments.variant == SYNC else recipe.build(arguments.variant)
    recipe.initialize(net)
    net.to(arguments.device)
    return net, recipe.optimizer(net.parameters(), arguments.lr)


def summed(sums: tuple[float, float, float]) -> tuple[float, float]:
    """Mean loss and accuracy over all ranks. The sums of losses, correct predictions and examples are added in the order of ranks."""
    gathered = [torch.empty(3, dtype=torch.float64) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, torch.tensor(sums, dtype=torch.float64))
    loss_sum, correct, examples = (sum(column) for column in zip(*(rank.tolist() for rank in gathered)))
    return loss_sum / examples, correct / examples


def train_one_epoch(net, optimizer, loader, device, summed_loss: bool) -> tuple[float, float, float]:
    """One pass over this rank's share. Gives its sums, measured while the weights were changing."""
    cross_entropy = nn.CrossEntropyLoss(reduction="none" if summed_loss else "mean")
    loss_sum, correct, examples = 0.0, 0.0, 0
    net.train()
    for X, y in loops.batches_on(loader, device):
        optimizer.zero_grad()
        y_hat = net(X)
        loss = cross_entropy(y_hat, y)
        loss = loss.sum() if summed_loss else loss
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            loss_sum += float(loss if summed_loss else loss * len(X))
            correct += loops.count_correct(y_hat, y)
            examples += len(X)
    return loss_sum, correct, examples


@torch.no_grad()
def evaluate(net, loader, device) -> tuple[float, float, float]:
    """This rank's sums over its test images. It uses rank 0's running statistics, which are the ones that are saved."""
    for buffer in net.buffers():
        dist.broadcast(buffer, 0)
    cross_entropy = nn.CrossEntropyLoss()
    loss_sum, correct, examples = 0.0, 0.0, 0
    net.eval()
    for X, y in loops.batches_on(loader, device):
        y_hat = net(X)
        loss_sum += float(cross_entropy(y_hat, y) * len(X))
        correct += loops.count_correct(y_hat, y)
        examples += len(X)
    return loss_sum, correct, examples


def run(arguments: argparse.Namespace) -> tuple[nn.Module, list[loops.Epoch]]:
    """Seeds once, builds the net, trains it: a notebook uses random numbers in this order."""
    train, test = data_sets(arguments)
    torch.manual_seed(arguments.seed)
    net, optimizer = begin(arguments)
    trained = DistributedDataParallel(net)
    sampler = DistributedSampler(train, shuffle=True, seed=arguments.seed)
    share = Subset(test, range(dist.get_rank(), len(test), dist.get_world_size()))
    train_loader = DataLoader(train, arguments.batch_size, sampler=sampler, num_workers=arguments.workers)
    test_loader = DataLoader(share, arguments.batch_size, num_workers=arguments.workers)

    records = []
    for epoch in range(arguments.epochs):
        sampler.set_epoch(epoch)
        start = time.perf_counter()
        trained_sums = train_one_epoch(trained, optimizer, train_loader, arguments.device, arguments.recipe == CIFAR)
        seconds = time.perf_counter() - start
        figures = *summed(trained_sums), *summed(evaluate(net, test_loader, arguments.device))
        records.append(loops.Epoch(*figures, seconds, time.perf_counter() - start))
    return net, records


def main() -> None:
    """Runs the command line on this rank."""
    arguments = parse_arguments()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    if arguments.deterministic:
        take_deterministic_kernels()
    if arguments.device.type == "cuda":
        torch.cuda.set_device(arguments.device)
    dist.init_process_group("gloo" if arguments.device.type == "cpu" else "cpu:gloo,cuda:nccl")
    outcome = run(arguments)
    if dist.get_rank() == 0:
        write(arguments, *outcome)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
