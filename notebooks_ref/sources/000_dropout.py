# %% [markdown]
# # Batch normalization with dropout
#
# Note 000 trains a LeNet with ReLU, max pooling, batch norm by hand and dropout after each dense batch norm, for 50
# epochs: loss 0.277, training accuracy 0.904, test accuracy 0.898, 39,096.3 examples per second on cuda:0. Without
# dropout, it remarks, the net clearly overfits.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

from loops import count_correct
from norms import BatchNorm, batch_norm
from recipes import RECIPES
from short_runs import loaders, print_records, settle, short_run

settle()

# %% [markdown]
# ## Batch norm by hand
#
# Notebook [004](004_batch_norm.ipynb) builds the formula up; here it is imported. After it, every channel of a batch
# has mean 0 and variance 1, up to $\epsilon$, wherever the input was.
#
# > **Rust:** `d2l_ch7::norm::scratch::batch_norm`, example `batch_norm_by_hand`

# %%
X = torch.randn(64, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 4 + 7
shape = (1, 3, 1, 1)
Y, moving_mean, moving_var = batch_norm(
    X, torch.ones(shape), torch.zeros(shape), torch.zeros(shape), torch.ones(shape), training=True
)
for name, tensor in (("X", X), ("Y", Y)):
    var, mean = torch.var_mean(tensor, (0, 2, 3), correction=0)
    print(name, "mean", [round(m, 4) + 0.0 for m in mean.tolist()], "variance", [round(v, 4) for v in var.tolist()])
print("moving_mean", [round(m, 4) for m in moving_mean.flatten().tolist()])

# %% [markdown]
# ## The layer
#
# $\gamma$ and $\beta$ are parameters; the moving statistics are kept next to them, and change at every batch in
# training.
#
# > **Rust:** `d2l_ch7::norm::scratch::BatchNorm`, example `train_versus_eval`

# %%
layer = BatchNorm(3, num_dims=4)
layer(X)
print("parameters", [name for name, _ in layer.named_parameters()])
print("statistics", {name: [round(v, 4) for v in tensor.flatten().tolist()] for name, tensor in layer.named_buffers()})

# %% [markdown]
# ## The network
#
# The first convolution is padded, so that 28 x 28 images leave 16 · 5 · 5 features after two poolings. Dropout stands
# between a dense batch norm and its ReLU.
#
# > **Rust:** `d2l_ch7::nets::lenet::lenet_relu`, `d2l_ch7 shapes lenet-relu`

# %%
print(RECIPES["dropout"].build("scratch"))

# %% [markdown]
# ## Dropout
#
# In training, about half of the elements become 0 and the others are doubled, so that the expected value stays. Which
# ones is drawn from the default generator: a port that draws in another order trains another net. Evaluation passes
# everything on.
#
# > **Rust:** `d2l_ch7::layers::dropout`

# %%
torch.manual_seed(0)
dropout = nn.Dropout(0.5)
ones = torch.ones(256, 120)
dropped = dropout(ones)
print("first row in training", [int(value) for value in dropped[0, :24]])
print("share kept           ", float(dropped.ne(0).double().mean()))
dropout.eval()
print("in evaluation        ", dropout(ones).unique().tolist())

# %% [markdown]
# ## Hyperparameters and data
#
# SGD at 0.05, batches of 256, 50 epochs. **Here two epochs on the first 4,096 images**, tested on the first 1,000.
#
# > **Rust:** `d2l_ch7::experiments::recipes::RECIPES`, `d2l_ch7 list`, `d2l_ch7::data::FashionMnist`,
# > `d2l_ch7::data::DataLoader`

# %%
recipe = RECIPES["dropout"]
print(f"lr {recipe.lr}, {recipe.epochs} epochs, batches of {recipe.batch_size}")
train_loader, test_loader = loaders(recipe.batch_size)
print(len(train_loader), "training batches; test batches of", [len(y) for _, y in test_loader])

# %% [markdown]
# ## An epoch, step by step
#
# What `d2l.train_ch6` does with every batch: Xavier weights first, then forward, backward, step; loss times batch
# size and correct predictions are added up while the weights change. The loop below keeps every step's loss as well.
#
# > **Rust:** `d2l_ch7::train::ch6::train_epoch`, `d2l_ch7::init::xavier_weights`, `tch_extra::optim::Sgd`

# %%
def epoch_of_losses(variant):
    torch.manual_seed(0)
    net = recipe.build(variant)
    recipe.initialize(net)
    optimizer = recipe.optimizer(net.parameters(), recipe.lr)
    losses, correct, examples = [], 0.0, 0
    for X, y in train_loader:
        y_hat = net(X)
        loss = nn.functional.cross_entropy(y_hat, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        correct += count_correct(y_hat, y)
        examples += len(y)
    print(f"{variant:<7} loss {sum(losses) / len(losses)}  train acc {correct / examples}")
    return losses


scratch, native = epoch_of_losses("scratch"), epoch_of_losses("native")

# %% [markdown]
# By hand and native compute the same formula in another order of operations. They begin a rounding error apart; ReLU,
# max pooling and a large step turn that into different losses within an epoch. This is why the tests compare bits: no
# tolerance on a whole run would tell a right port from a wrong one.
#
# > **Rust:** the row of differences in the `curves.png` of `d2l_ch7 compare --recipe dropout`

# %%
figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained")
steps = range(1, len(scratch) + 1)
axes[0].plot(steps, scratch, "o-", label="scratch", markersize=4)
axes[0].plot(steps, native, "x--", label="native", markersize=5)
axes[0].legend()
axes[0].set_ylabel("loss")
# A logarithm has no zero: steps whose losses are equal are left out.
apart = {step: abs(a - b) for step, a, b in zip(steps, scratch, native) if a != b}
axes[1].plot(apart.keys(), apart.values(), "o", color="tab:red", markersize=4)
axes[1].set_yscale("log")
axes[1].set_ylabel("|scratch - native|")
for axis in axes:
    axis.set_xlabel("step")
    axis.set_xticks(range(2, 17, 2))

# %% [markdown]
# ## Training, shortened
#
# The note trains by hand only; the comparison does both.
#
# > **Rust:** `d2l_ch7 compare --recipe dropout --seed 0 --epochs 2 --train-examples 4096 --test-examples 1000
# > --threads 2`; these are the first columns of its `metrics.csv`, digit for digit.

# %%
print_records({variant: short_run("dropout", variant)[1] for variant in ("scratch", "native")})

# %% [markdown]
# ## Without dropout
#
# > **Rust:** `d2l_ch7 compare --recipe no-dropout --seed 0 --epochs 2 --train-examples 4096 --test-examples 1000
# > --threads 2`

# %%
print_records({variant: short_run("no-dropout", variant)[1] for variant in ("scratch", "native")})

# %% [markdown]
# ## Overfitting, seen on few images
#
# Two epochs are too short to overfit. **With 512 training images, 20 epochs and batches of 64** the note's remark
# shows: without dropout the training images are soon learned by heart and the test images are not. Training accuracy
# is measured while dropout is at work, which is why it lies lower with it.
#
# > **Rust:** `d2l_ch7 compare --recipe dropout --variants native --seed 0 --epochs 20 --batch-size 64
# > --train-examples 512 --test-examples 1000 --threads 2`, and the same with `--recipe no-dropout`; `curves.png`
# > shows each.

# %%
few = {"epochs": 20, "batch_size": 64, "train_examples": 512}
with_dropout, without = (short_run(name, "native", **few)[1] for name in ("dropout", "no-dropout"))
figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.9), sharey=True, layout="constrained")
for axis, title, records in ((axes[0], "with dropout", with_dropout), (axes[1], "without", without)):
    axis.plot(range(1, 21), [record.train_acc for record in records], label="train acc")
    axis.plot(range(1, 21), [record.test_acc for record in records], "--", label="test acc")
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("epoch")
    axis.set_xticks(range(5, 21, 5))
axes[0].legend()
for name, records in (("with dropout", with_dropout), ("without", without)):
    print(f"{name:<12}  train acc {records[-1].train_acc}  test acc {records[-1].test_acc}")
