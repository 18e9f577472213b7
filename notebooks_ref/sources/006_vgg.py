# %% [markdown]
# # VGG-11
#
# Section 7.2 of *Dive into Deep Learning*: a network of blocks. A block is some convolutions of 3 x 3 and a pooling that halves height
# and width.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import torch

from chapter import vgg, vgg_block
from norms import no_norm
from short_runs import print_records, print_shapes, settle, short_run

settle()

# %% [markdown]
# ## The block
#
# Two convolutions of 3 x 3 see as far as one of 5 x 5, with fewer parameters and a ReLU more.
#
# > **Rust:** `d2l_ch7::nets::vgg::vgg`, in `src/nets/vgg.rs`

# %%
torch.manual_seed(0)
block = vgg_block(no_norm, 2, 1, 8)
print(block)
print(tuple(block(torch.rand(1, 1, 32, 32)).shape))

# %% [markdown]
# ## Its shapes
#
# Each block halves height and width, and the channels double up to 512. This is the net with the channels of the paper.
#
# > **Rust:** `d2l_ch7 shapes vgg11`

# %%
print_shapes(vgg(no_norm), torch.rand(1, 1, 224, 224))

# %% [markdown]
# ## A quarter of the channels
#
# The book trains a smaller net: its convolutions have a quarter of the channels, and so about a sixteenth of the work.
#
# > **Rust:** `d2l_ch7 shapes vgg`

# %%
print_shapes(vgg(no_norm, ratio=4), torch.rand(1, 1, 224, 224))

# %% [markdown]
# ## Training, shortened
#
# The book trains ten epochs on 60,000 images. Here it is two on the first 40, in batches of 8, tested on 20: enough to compare
# bits, not to learn. The book's net has no batch
# norm. With one, it stands after each convolution and dense layer but the last, before the activation.
#
# > **Rust:** `d2l_ch7 compare --recipe vgg`

# %%
SHORT = {"batch_size": 8, "train_examples": 40, "test_examples": 20}
print_records({variant: short_run("vgg", variant, **SHORT)[1] for variant in ("none", "scratch", "native")})
