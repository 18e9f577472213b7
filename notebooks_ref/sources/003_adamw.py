# %% [markdown]
# # Batch normalization with AdamW, by hand and native
#
# Note 003 trains the book's LeNet with AdamW instead of SGD, once with batch norm written by hand and once with
# torch.nn's, and keeps the figures of ten epochs of each.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here. The
# note takes CUDA where there is one; this notebook stays on the CPU.
#
# > **Rust:** `tch_extra::Signature`, and the option `d2l_ch7 compare --device`

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

from norms import BatchNorm, batch_norm
from recipes import RECIPES
from short_runs import loaders, print_records, settle, short_run

settle()

# %% [markdown]
# ## The data
#
# Fashion-MNIST in batches of 64. A `DataLoader` draws two numbers from the default generator at every epoch: a seed
# for workers, even if there are none, and the seed of the shuffle. Whoever wants the same weights after training must
# draw both, and must keep the last, smaller batch.
#
# > **Rust:** `d2l_ch7::data::FashionMnist`, `d2l_ch7::data::DataLoader`, `torchvision_exact::loader::EpochDraws`

# %%
train_loader, test_loader = loaders(64)
torch.manual_seed(0)
X, y = next(iter(train_loader))
print(tuple(X.shape), X.dtype, "labels", y[:10].tolist())
print([len(y) for _, y in test_loader])

# %% [markdown]
# ## Batch norm by hand
#
# Notebook [004](004_batch_norm.ipynb) builds the formula up; here it is imported. The note warns of batches of one: a
# dense layer's feature then *is* its mean, so that every output is $\beta$ and nothing can be learned.
#
# > **Rust:** `d2l_ch7::norm::scratch::batch_norm`

# %%
gamma, beta = torch.ones(4), torch.full((4,), 0.5)
for rows in (1, 3):
    X = torch.randn(rows, 4, generator=torch.Generator().manual_seed(rows))
    Y, _, _ = batch_norm(X, gamma, beta, torch.zeros(4), torch.ones(4), training=True)
    print(f"batch of {rows}:", [[round(value, 3) for value in row] for row in Y.tolist()])

# %% [markdown]
# ## The layer
#
# By hand: four tensors of shape (1, C) or (1, C, 1, 1). torch.nn's has five of shape (C,), the fifth a count of
# batches. Its momentum 0.1 is the share of the *new* statistics, ours 0.9 that of the old; its running variance is
# unbiased.
#
# > **Rust:** `d2l_ch7::norm::scratch::BatchNorm`, `d2l_ch7::norm::native::BatchNorm`

# %%
X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
for layer in (BatchNorm(2, num_dims=2), nn.BatchNorm1d(2)):
    layer(X)
    for name, tensor in layer.state_dict().items():
        print(f"{type(layer).__name__:<11}  {name:<19}  {str(tuple(tensor.shape)):<6}  {tensor.tolist()}")

# %% [markdown]
# ## The network
#
# The book's LeNet, each batch norm between a layer and its sigmoid.
#
# > **Rust:** `d2l_ch7::nets::lenet::lenet`, `d2l_ch7 shapes lenet`

# %%
print(RECIPES["adamw"].build("scratch"))

# %% [markdown]
# ## Training, shortened
#
# AdamW with learning rate 0.001 and weight decay 0.01 on PyTorch's own initial weights: no Xavier here. The note
# trains ten epochs on 60,000 images. **Here two epochs on the first 4,096 images**, tested on the first 1,000.
#
# > **Rust:** `tch_extra::optim::Adam::decoupled`, `d2l_ch7::train::ch6::train_epoch`, and `d2l_ch7 compare --recipe adamw
# > --variants scratch --seed 0 --epochs 2 --train-examples 4096 --test-examples 1000 --threads 2`

# %%
runs, nets = {}, {}
nets["scratch"], runs["scratch"] = short_run("adamw", "scratch")
print_records(runs)

# %% [markdown]
# ## The concise network
#
# The same with `nn.BatchNorm2d` and `nn.BatchNorm1d`; only these four modules change, and with them the names in
# `state_dict`.
#
# > **Rust:** `d2l_ch7::norm::native::BatchNorm`, `d2l_ch7 shapes lenet --variant native`

# %%
for index, (ours, theirs) in enumerate(zip(*(RECIPES["adamw"].build(variant) for variant in ("scratch", "native")))):
    if type(ours) is not type(theirs):
        print(f"{index:>2}  {list(ours.state_dict())} -> {theirs}: {list(theirs.state_dict())}")

# %% [markdown]
# ## Training it, shortened alike
#
# > **Rust:** `d2l_ch7 compare --recipe adamw --seed 0 --epochs 2 --train-examples 4096 --test-examples 1000 --threads
# > 2`; these are the first columns of its `metrics.csv`, digit for digit.

# %%
nets["native"], runs["native"] = short_run("adamw", "native")
print_records(runs)

# %% [markdown]
# The training losses agree to a hundred-millionth. The test losses differ in the third digit for another reason:
# evaluation uses the running variance, biased by hand and unbiased in torch.nn, 64 / 63 times as large after a dense
# layer. How far apart the weights are after 128 steps, on a logarithmic axis:
#
# > **Rust:** the weights of the run above, `weights/scratch.safetensors` and `weights/native.safetensors`; example
# > `weights_with_python`

# %%
ours, theirs = ([parameter.detach() for parameter in net.parameters()] for net in nets.values())
differences = [float((a.flatten() - b.flatten()).abs().max()) for a, b in zip(ours, theirs)]
names = [name for name, _ in nets["native"].named_parameters()]
figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
axis.barh(names[::-1], differences[::-1])
axis.set_xscale("log")
axis.set_xlabel("largest difference, scratch and native")
axis.tick_params(labelsize=8)

# %% [markdown]
# What stands out are the biases before a batch norm (0, 4, 9, 12). The norm subtracts the mean and with it the bias:
# its gradient is 0 except for rounding, and Adam, which divides by the gradient's size, makes whole steps of that noise.
# They change nothing that the net computes in training.
#
# > **Rust:** `tch_extra::optim::Adam`

# %%
torch.manual_seed(0)
net = RECIPES["adamw"].build("scratch")
X, y = next(iter(test_loader))
nn.functional.cross_entropy(net(X), y).backward()
for name in ("0.weight", "0.bias", "9.weight", "9.bias", "15.bias"):
    print(f"{name:<8}  largest gradient {float(net.get_parameter(name).grad.abs().max()):.0e}")

# %% [markdown]
# ## The note's units
#
# The note's loop prints the training loss as the mean of batch means, and the test loss as the *sum* of batch means
# over the number of *images*: about a 64th of a mean loss. Its last line of the native net, 0.004738 at an accuracy
# of 89.27 %, is therefore a mean loss of 0.004738 · 10,000 / 157 = 0.3018 over its 157 batches. Below, both units for
# the net just trained:
#
# > **Rust:** `d2l_ch7::report::notes` holds the note's twenty epochs, and `report.md` of a run of `adamw` sets them
# > next to its own, converted.

# %%
net = nets["native"].eval()
with torch.no_grad():
    batches = [(float(nn.functional.cross_entropy(net(X), y)), len(y)) for X, y in test_loader]
images = sum(count for _, count in batches)
print("as the note prints it  ", sum(loss for loss, _ in batches) / images)
print("mean of batch means    ", sum(loss for loss, _ in batches) / len(batches))
print("mean over the images   ", sum(loss * count for loss, count in batches) / images)
print("note, last epoch native", 0.00473815803155303 * 10_000 / 157)
