# %% [markdown]
# # Batch normalization by hand, and LeNet for large images
#
# Note 004 follows section 7.5 of *Dive into Deep Learning*: the formula as a function, a layer around it, and a LeNet
# that takes 224 x 224 images. Here the same computations are written anew, next to the Rust that gives the same bits.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torchvision.transforms import Compose, Resize, ToPILImage, ToTensor

import loops
import norms
import recipes
from short_runs import loaders, print_records, settle, short_run

settle()

# %% [markdown]
# ## The formula
#
# Over a batch of $n$ values of one feature,
#
# $$\mu = \frac{1}{n} \sum_i x_i, \qquad \sigma^2 = \frac{1}{n} \sum_i (x_i - \mu)^2, \qquad
# y_i = \gamma \, \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta .$$
#
# A dense layer's feature is a column of (N, C); a convolution's is a channel of (N, C, H, W), so that batch, height
# and width are averaged over together. The variance is the biased one: divided by $n$.
#
# > **Rust:** `d2l_ch7::norm::scratch::batch_norm`, example `batch_norm_by_hand`

# %%
def moments(X):
    """Mean and biased variance of every feature; a convolution's keep their axes, to broadcast."""
    axes, keepdim = (0, False) if X.dim() == 2 else ((0, 2, 3), True)
    mean = X.mean(axes, keepdim=keepdim)
    return mean, ((X - mean) ** 2).mean(axes, keepdim=keepdim)


def normalize(X, mean, var, gamma, beta, eps):
    return gamma * ((X - mean) / torch.sqrt(var + eps)) + beta


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum, training):
    """What X becomes, and what the moving statistics become: `momentum` is the share of them that stays."""
    if not training:
        return normalize(X, moving_mean, moving_var, gamma, beta, eps), moving_mean, moving_var
    mean, var = moments(X)
    with torch.no_grad():
        moving_mean = momentum * moving_mean + (1.0 - momentum) * mean
        moving_var = momentum * moving_var + (1.0 - momentum) * var
    return normalize(X, mean, var, gamma, beta, eps), moving_mean, moving_var

# %% [markdown]
# Small enough to follow by hand: the first column has mean 3 and variance 4, so it becomes -1 and 1 before $\gamma =
# 2$ and $\beta = 10$; the moving mean goes a tenth of the way from 0 to 3.
#
# > **Rust:** example `batch_norm_by_hand`

# %%
X = torch.tensor([[1.0, 10.0], [5.0, 30.0]])
Y, moving_mean, moving_var = batch_norm(
    X, gamma=torch.tensor(2.0), beta=torch.tensor(10.0), moving_mean=torch.zeros(2), moving_var=torch.ones(2),
    eps=1e-5, momentum=0.9, training=True,
)  # fmt: skip
print("Y          ", Y.tolist())
print("moving_mean", moving_mean.tolist())
print("moving_var ", moving_var.tolist())

# %% [markdown]
# The stored references come from the function in [`norms.py`](norms.py). Written independently, the two agree in
# every bit, gradients included. (Sharing $x - \mu$ between variance and quotient would change the gradient's last
# bits: the terms would be added up in another order.)
#
# > **Rust:** `d2l_ch7::norm::scratch::batch_norm`

# %%
def with_gradient(function, X, **arguments):
    X = X.clone().requires_grad_()
    Y, *moving = function(X, **arguments, training=True)
    return Y.detach(), *moving, *torch.autograd.grad((Y**2).sum(), X)


generator = torch.Generator().manual_seed(0)
for shape, state in (((8, 5), (1, 5)), ((4, 3, 6, 5), (1, 3, 1, 1))):
    X = torch.randn(shape, generator=generator) * 2 + 3
    arguments = dict(
        gamma=torch.ones(state), beta=torch.zeros(state),
        moving_mean=torch.zeros(state), moving_var=torch.ones(state), eps=1e-5, momentum=0.9,
    )  # fmt: skip
    here, there = (with_gradient(function, X, **arguments) for function in (batch_norm, norms.batch_norm))
    print(f"{shape}: equal", all(map(torch.equal, here, there)))

# %% [markdown]
# ## The layer
#
# The layer keeps $\gamma$ and $\beta$, which are trained, and the moving statistics, which are not. Training or
# evaluation is told by whether gradients are recorded; in Rust it is the argument `train`. One batch in training,
# twice in evaluation: training normalizes the batch to mean 0 and variance 1, evaluation hardly, for the statistics
# have gone only a tenth of the way; it leaves them alone.
#
# > **Rust:** `d2l_ch7::norm::scratch::BatchNorm`, example `train_versus_eval`

# %%
layer = norms.BatchNorm(3, num_dims=4)
print({name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()})


def show(mode, Y):
    var, mean = torch.var_mean(Y, (0, 2, 3), correction=0)
    means, vars = ([round(value, 3) + 0.0 for value in values.tolist()] for values in (mean, var))
    print(f"{mode:<11} mean {means}  variance {vars}")


X = torch.randn(16, 3, 8, 8, generator=generator) * torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1) + 5
show("input", X)
show("training", layer(X).detach())
with torch.no_grad():
    show("evaluation", layer(X))
    show("evaluation", layer(X))
print("moving_mean", [round(value, 4) for value in layer.moving_mean.flatten().tolist()])

# %% [markdown]
# ## LeNet for 224 x 224
#
# The second pooling takes squares of 5 x 5 (its stride is its size unless told otherwise), which leaves 16 · 21 · 21
# = 7056 features to the dense layers.
#
# > **Rust:** `d2l_ch7::nets::lenet::lenet224`

# %%
def lenet224(norm):
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5), norm(6, 4), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), norm(16, 4), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=5),
        nn.Flatten(),
        nn.Linear(16 * 21 * 21, 120), norm(120, 2), nn.Sigmoid(),
        nn.Linear(120, 84), norm(84, 2), nn.Sigmoid(),
        nn.Linear(84, 10),
    )  # fmt: skip

# %% [markdown]
# ## Its shapes
#
# What every layer makes of one image, and how many of its numbers are trained. The shapes are the note's.
#
# > **Rust:** `d2l_ch7 shapes lenet224`, example `network_shapes`

# %%
X = torch.rand(1, 1, 224, 224)
total = 0
for name, module in lenet224(norms.BatchNorm).named_children():
    X = module(X)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    total += parameters
    print(f"{name:>2}  {type(module).__name__:<9}  {str(tuple(X.shape)):<17}  {parameters:>6}")
print(f"{total:>42}")

# %% [markdown]
# ## Training the book's LeNet, shortened
#
# The book trains the 28 x 28 LeNet with SGD at the large learning rate 1.0, batches of 256, Xavier weights, ten
# epochs on 60,000 images. **Here two epochs on the first 4,096 images**, tested on the first 1,000: enough to see
# every digit agree. By hand (`scratch`) and with torch.nn's layers (`native`) the losses begin alike and drift apart
# with rounding.
#
# > **Rust:** `d2l_ch7 compare --recipe book --seed 0 --epochs 2 --train-examples 4096 --test-examples 1000 --threads
# > 2`; these are the first columns of its `metrics.csv`, digit for digit.

# %%
runs, nets = {}, {}
for variant in ("scratch", "native"):
    nets[variant], runs[variant] = short_run("book", variant)
print_records(runs)

# %% [markdown]
# ## What the first layer learned
#
# $\gamma$ and $\beta$ of the six channels, as the book prints them after training. The gradients of the two variants
# round differently, so the last digits differ after 32 steps.
#
# > **Rust:** the run above with `d2l_ch7 compare --inspect`

# %%
for variant, net in nets.items():
    gamma, beta = net[1].parameters()
    print(variant)
    print("  gamma", gamma.detach().flatten().tolist())
    print("  beta ", beta.detach().flatten().tolist())

# %% [markdown]
# ## Resizing to 224 x 224
#
# torchvision resizes PIL images, whose bilinear filter works in integers: what comes out are bytes, and they can be
# equal, not just close. Resized batch by batch, the data set needs no more memory than before.
#
# > **Rust:** `torchvision_exact::transforms::Resize`

# %%
class Enlarged:
    """Another loader's images, resized as PIL images when their batch is taken."""

    enlarge = Compose([ToPILImage(), Resize((224, 224)), ToTensor()])

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        for X, y in self.loader:
            yield torch.stack([self.enlarge(image) for image in (X * 255).round().byte()]), y


train_loader, test_loader = loaders(32, train_examples=256, test_examples=64)
small, _ = next(iter(test_loader))
large, _ = next(iter(Enlarged(test_loader)))
bytes_of_first = (large[0] * 255).round()
print(tuple(small.shape), "to", tuple(large.shape), "sum of the first image's bytes", int(bytes_of_first.sum()))

figure, axes = plt.subplots(1, 4, figsize=(6.4, 1.9), layout="constrained")
for axis, image in zip(axes, (small[0], large[0], small[1], large[1]), strict=True):
    axis.imshow(image[0], cmap="gray_r")
    axis.set_title(f"{image.shape[1]} x {image.shape[2]}", fontsize=9)
    axis.set_axis_off()

# %% [markdown]
# ## Training on large images, shortened
#
# The note builds this net and looks at its shapes; the recipe trains it as the book trains the small one. **Here one
# epoch on the first 256 images, in batches of 32, tested on the first 64.**
#
# > **Rust:** `d2l_ch7 compare --recipe lenet224 --seed 0 --epochs 1 --batch-size 32 --train-examples 256
# > --test-examples 64 --threads 2`

# %%
runs = {}
for variant, norm in (("scratch", norms.BatchNorm), ("native", norms.native_norm)):
    torch.manual_seed(0)
    net = lenet224(norm)
    recipes.xavier(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    batches = Enlarged(train_loader), Enlarged(test_loader)
    runs[variant] = loops.train(net, optimizer, *batches, epochs=1, device=torch.device("cpu"))
print_records(runs)
