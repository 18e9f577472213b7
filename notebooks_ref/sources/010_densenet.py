# %% [markdown]
# # DenseNet
#
# Section 7.7 of *Dive into Deep Learning*: where ResNet adds a block's input to its output, DenseNet keeps both, side by side.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import torch

from chapter import DenseBlock, densenet
from norms import native_norm
from short_runs import print_records, print_shapes, settle, short_run

settle()

# %% [markdown]
# ## The dense block
#
# Each convolution sees the channels of the block's input and of all convolutions before it, and adds some of its own: from 3 channels,
# two convolutions of 10 make 23.
#
# > **Rust:** `d2l_ch7::nets::densenet::DenseBlock`

# %%
torch.manual_seed(0)
block = DenseBlock(native_norm, 2, 3, 10)
print(block)
print(tuple(block(torch.rand(4, 3, 8, 8)).shape))

# %% [markdown]
# ## Its shapes
#
# Between dense blocks, a transition halves channels, height and width.
#
# > **Rust:** `d2l_ch7 shapes densenet`

# %%
print_shapes(densenet(native_norm).eval(), torch.rand(1, 1, 96, 96))

# %% [markdown]
# ## Training, shortened
#
# The book trains ten epochs on 60,000 images. Here it is two on the first 40, in batches of 8, tested on 20: enough to compare
# bits, not to learn. Batch norm belongs to this net.
#
# > **Rust:** `d2l_ch7 compare --recipe densenet`

# %%
SHORT = {"batch_size": 8, "train_examples": 40, "test_examples": 20}
print_records({variant: short_run("densenet", variant, **SHORT)[1] for variant in ("scratch", "native")})
