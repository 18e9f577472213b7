# %% [markdown]
# # ResNet-18, and image augmentation
#
# Note 002 goes through batch norm, builds ResNet-18 out of residual blocks, and then trains a network on CIFAR-10
# with augmented images. Each cell names its Rust twin. Neither network nor data set is needed: where the note trains
# on CIFAR-10, random images stand for it.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. The [README](README.md) has all twins in a
# table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import matplotlib.pyplot as plt
import torch
from d2l import torch as d2l
from PIL import Image
from torch import nn
from torch.nn import functional
from torchvision import transforms

from norms import BatchNorm, batch_norm
from recipes import xavier
from short_runs import settle

settle()

# %% [markdown]
# ## Batch norm by hand
#
# The same function and layer as in the other notes; notebook [004](004_batch_norm.ipynb) builds them up. What the
# note adds in words: it stands between a layer and its activation, on features after a dense layer, on channels after
# a convolution.
#
# > **Rust:** `d2l_ch7::norm::scratch::batch_norm`, `d2l_ch7::norm::scratch::BatchNorm`

# %%
generator = torch.Generator().manual_seed(0)
dense, convolved = torch.randn(32, 5, generator=generator), torch.randn(32, 5, 6, 6, generator=generator)
for X in (dense, convolved):
    layer = BatchNorm(5, num_dims=X.dim())
    Y = layer(X)
    arguments = (layer.gamma, layer.beta, torch.zeros_like(layer.moving_mean), torch.ones_like(layer.moving_var))
    again, *_ = batch_norm(X, *arguments, training=True)
    print(tuple(X.shape), "statistics", tuple(layer.moving_mean.shape), "layer and function equal", Y.equal(again))

# %% [markdown]
# ## The concise form
#
# A convolution, torch.nn's batch norm over its 6 output channels, sigmoid, max pooling.
#
# > **Rust:** `d2l_ch7::norm::native::BatchNorm`, `d2l_ch7::layers::max_pool2d`

# %%
net = nn.Sequential(nn.Conv2d(1, 6, kernel_size=5), nn.BatchNorm2d(6), nn.Sigmoid(), nn.MaxPool2d(2, stride=2))
X = torch.rand(2, 1, 28, 28, generator=generator)
for layer in net:
    X = layer(X)
    print(f"{type(layer).__name__:<12} {tuple(X.shape)}")

# %% [markdown]
# ## The residual block
#
# $y = \mathrm{relu}(g(x) + x)$, with $g$ two 3 x 3 convolutions and batch norms: at worst $g$ learns nothing and $x$
# passes. Where the block changes the number of channels or halves height and width, a 1 x 1 convolution fits $x$ to
# $g(x)$.
#
# > **Rust:** `d2l_ch7::nets::residual::Residual`, example `residual_block`

# %%
class Residual(nn.Module):
    def __init__(self, channels_in, channels, shortcut=False, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, kernel_size=3, padding=1, stride=stride)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(channels_in, channels, kernel_size=1, stride=stride) if shortcut else nn.Identity()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, X):
        Y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(X)))))
        return functional.relu(Y + self.conv3(X))

# %% [markdown]
# Equal to the last bit to the package d2l's block, in training, output and every gradient:
#
# > **Rust:** `d2l_ch7::nets::residual::Residual`

# %%
def outcome(make, X):
    torch.manual_seed(0)
    block = make()
    X = X.clone().requires_grad_()
    Y = block(X)
    return [Y, *torch.autograd.grad((Y**2).sum(), [X, *block.parameters()])]


X = torch.randn(4, 3, 6, 6, generator=generator)
for ours, theirs in (
    (lambda: Residual(3, 3), lambda: d2l.Residual(3, 3)),
    (lambda: Residual(3, 6, shortcut=True, stride=2), lambda: d2l.Residual(3, 6, use_1x1conv=True, strides=2)),
):
    here, there = outcome(ours, X), outcome(theirs, X)
    print(tuple(X.shape), "to", tuple(here[0].shape), "equal", all(map(torch.equal, here, there)))

# %% [markdown]
# ## ResNet-18
#
# A stem of a 7 x 7 convolution and max pooling, four stages of two blocks, pooling to one pixel, ten classes. Every
# stage but the first halves height and width and doubles the channels. With the stem's, the blocks' and the dense
# layer that makes 18 layers with weights, not counting the shortcuts.
#
# > **Rust:** `d2l_ch7::nets::resnet18::resnet18`

# %%
def stage(channels_in, channels, blocks):
    """A sequence of blocks, the first of which changes the shape if the number of channels changes."""
    grows = channels_in != channels
    first = Residual(channels_in, channels, shortcut=grows, stride=2 if grows else 1)
    return nn.Sequential(first, *(Residual(channels, channels) for _ in range(blocks - 1)))


def resnet18():
    stem = nn.Sequential(
        nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )  # fmt: skip
    stages = (stage(a, b, 2) for a, b in ((64, 64), (64, 128), (128, 256), (256, 512)))
    return nn.Sequential(stem, *stages, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(512, 10))

# %% [markdown]
# ## Its shapes
#
# > **Rust:** `d2l_ch7 shapes resnet18`, example `network_shapes`

# %%
X = torch.rand(1, 1, 224, 224, generator=generator)
for name, module in resnet18().named_children():
    X = module(X)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    print(f"{name}  {type(module).__name__:<17}  {str(tuple(X.shape)):<17}  {parameters:>9,}")

# %% [markdown]
# ## A picture to augment
#
# The note takes a photo from the web. Here it is the drawn cat that `d2l_ch7 augment` takes if no file is named: the
# galleries below are the ones it leaves.
#
# > **Rust:** `d2l_ch7 augment`, `crates/torchvision-exact/src/image_file.rs`

# %%
picture = Image.open("../assets/cat.jpg")
figure, axis = plt.subplots(figsize=(3, 2.4), layout="constrained")
axis.imshow(picture)
axis.set_axis_off()

# %% [markdown]
# Eight draws of a transform, each gallery from seed 0:
#
# > **Rust:** `d2l_ch7::experiments::augment::apply`, `d2l_ch7 augment`

# %%
def gallery(transform):
    torch.manual_seed(0)
    figure, axes = plt.subplots(2, 4, figsize=(6.4, 2.8), layout="constrained")
    for axis in axes.flat:
        axis.imshow(transform(picture))
        axis.set_axis_off()

# %% [markdown]
# ## Mirroring left and right
#
# > **Rust:** `torchvision_exact::transforms::RandomHorizontalFlip`, `d2l_ch7 augment`

# %%
gallery(transforms.RandomHorizontalFlip())

# %% [markdown]
# ## Mirroring up and down
#
# > **Rust:** `torchvision_exact::transforms::RandomVerticalFlip`, `d2l_ch7 augment`

# %%
gallery(transforms.RandomVerticalFlip())

# %% [markdown]
# ## Cropping
#
# A window of 30 to 80 % of the area, its sides in a ratio of 1/2 to 2, stretched to 200 x 200.
#
# > **Rust:** `torchvision_exact::transforms::RandomResizedCrop`, `d2l_ch7 augment`

# %%
crop = transforms.RandomResizedCrop((200, 200), scale=(0.3, 0.8), ratio=(0.5, 2))
gallery(crop)

# %% [markdown]
# ## Colours
#
# Brightness, contrast, saturation and hue, each by a random factor and in random order.
#
# > **Rust:** `torchvision_exact::transforms::ColorJitter`, `d2l_ch7 augment`

# %%
jitter = transforms.ColorJitter(brightness=0.5, contrast=0.2, saturation=0.6, hue=0.4)
gallery(jitter)

# %% [markdown]
# ## All together
#
# > **Rust:** `torchvision_exact::transforms::Compose`, `d2l_ch7 augment`

# %%
gallery(transforms.Compose([transforms.RandomHorizontalFlip(), crop, jitter]))

# %% [markdown]
# ## What training and testing see
#
# Training images are mirrored at random and become tensors; test images only become tensors.
#
# > **Rust:** `torchvision_exact::transforms::RandomHorizontalFlip`, `torchvision_exact::transforms::ToTensor`

# %%
train_augs = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()])
test_augs = transforms.ToTensor()
torch.manual_seed(0)
small = picture.resize((32, 32))
mirrored = [not train_augs(small).equal(test_augs(small)) for _ in range(12)]
print(tuple(test_augs(small).shape), "mirrored:", mirrored)

# %% [markdown]
# ## Random numbers in worker processes
#
# The note's loader has four worker processes. Worker `w` seeds its own generator with `base_seed + w`, `base_seed` being
# drawn anew for every epoch, and prepares the batches `w`, `w + 4`, ... So which images are mirrored depends on the
# number of workers, and can be worked out without any. Twelve copies of the cat in batches of two, for one worker and for two:
#
# > **Rust:** `d2l_ch7::data::ImageLoader`, `torchvision_exact::random::Mt19937`, `d2l_ch7 cifar --workers`

# %%
class Copies(torch.utils.data.Dataset):
    """The same image again and again, transformed each time."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return train_augs(small)


def mirrored_by_loader(workers):
    torch.manual_seed(0)
    loader = torch.utils.data.DataLoader(Copies(), batch_size=2, num_workers=workers)
    return [not x.equal(test_augs(small)) for X in loader for x in X]


def mirrored_by_hand(workers):
    torch.manual_seed(0)
    base_seed = int(torch.empty((), dtype=torch.int64).random_())
    streams = [torch.Generator().manual_seed(base_seed + w) for w in range(workers)]
    batches = [streams[batch % workers] for batch in range(6)]
    return [bool(torch.rand(1, generator=stream) < 0.5) for stream in batches for _ in range(2)]


for workers in (1, 2):
    by_loader = mirrored_by_loader(workers)
    assert by_loader == mirrored_by_hand(workers)
    print(workers, "workers: mirrored", [i for i, yes in enumerate(by_loader) if yes])

# %% [markdown]
# ## The network for CIFAR-10
#
# d2l's `resnet18(10, 3)` has a 3 x 3 stem and no max pooling: 32 x 32 images would vanish otherwise.
#
# > **Rust:** `d2l_ch7::nets::resnet18::resnet18_cifar`, `d2l_ch7 shapes resnet18-cifar`

# %%
X = torch.rand(1, 3, 32, 32, generator=generator)
for name, module in d2l.resnet18(10, 3).named_children():
    X = module(X)
    print(f"{name:<15}  {type(module).__name__:<17}  {tuple(X.shape)}")

# %% [markdown]
# ## A step of training
#
# Xavier weights, Adam at 0.001, and the *sum* of the losses over the batch, as d2l's `train_batch_ch13` has it. Ten
# epochs of CIFAR-10 take hours on a CPU: **three steps on one batch of 16 random images** stand for them (which the net
# knows by heart after the first).
#
# > **Rust:** `d2l_ch7::init::xavier_weights`, `tch_extra::optim::Adam`, `d2l_ch7::train::Loss`, `d2l_ch7::train::ch13::train_epoch`,
# > `d2l_ch7 cifar`

# %%
torch.manual_seed(0)
net = d2l.resnet18(10, 3)
xavier(net)
optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
X, y = torch.rand(16, 3, 32, 32), torch.randint(0, 10, (16,))
net.train()
for step in range(1, 4):
    optimizer.zero_grad()
    y_hat = net(X)
    loss = functional.cross_entropy(y_hat, y, reduction="none").sum()
    loss.backward()
    optimizer.step()
    print(f"step {step}  summed loss {float(loss.detach())}  correct {int((y_hat.argmax(1) == y).sum())} of {len(y)}")
