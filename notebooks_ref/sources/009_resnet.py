# %% [markdown]
# # ResNet-18 on Fashion-MNIST
#
# Section 7.6 of *Dive into Deep Learning*: blocks whose input goes around them and is added to their output. Notebook
# [002](002_resnet18_augmentation.ipynb) trains the same net on augmented images of CIFAR-10.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import torch

from norms import native_norm
from resnet import Residual, resnet18
from short_runs import print_records, print_shapes, settle, short_run

settle()

# %% [markdown]
# ## The residual block
#
# Where a block changes the shape, a convolution of 1 x 1 changes that of the shortcut too.
#
# > **Rust:** `d2l_ch7::nets::residual::Residual`

# %%
torch.manual_seed(0)
for block in (Residual(native_norm, 3, 3), Residual(native_norm, 3, 6, strides=2)):
    print(tuple(block(torch.rand(4, 3, 6, 6)).shape))

# %% [markdown]
# ## Its shapes
#
# The book prints them for 224 x 224 pixels, and trains on 96 x 96.
#
# > **Rust:** `d2l_ch7 shapes resnet18`

# %%
print_shapes(resnet18(native_norm).eval(), torch.rand(1, 1, 224, 224))

# %% [markdown]
# ## Training, shortened
#
# The book trains ten epochs on 60,000 images. Here it is two on the first 40, in batches of 8, tested on 20: enough to compare
# bits, not to learn. Batch norm belongs to this net.
#
# > **Rust:** `d2l_ch7 compare --recipe resnet18`

# %%
SHORT = {"batch_size": 8, "train_examples": 40, "test_examples": 20}
print_records({variant: short_run("resnet18", variant, **SHORT)[1] for variant in ("scratch", "native")})
