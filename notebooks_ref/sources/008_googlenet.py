# %% [markdown]
# # GoogLeNet
#
# Section 7.4 of *Dive into Deep Learning*: a block need not choose the size of its convolutions. It has several, side by side.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import torch

from chapter import Inception, googlenet
from norms import no_norm
from short_runs import print_records, print_shapes, settle, short_run

settle()

# %% [markdown]
# ## The Inception block
#
# Four paths see the same input: 1 x 1; 1 x 1 and 3 x 3; 1 x 1 and 5 x 5; max pooling and 1 x 1. None changes height or width, so
# that their outputs join along the channels: 64 + 128 + 32 + 32 = 256 here.
#
# > **Rust:** `d2l_ch7::nets::googlenet::Inception`

# %%
torch.manual_seed(0)
block = Inception(no_norm, 192, 64, (96, 128), (16, 32), 32)
print(block)
print(tuple(block(torch.rand(1, 192, 12, 12)).shape))

# %% [markdown]
# ## Its shapes
#
# Five parts, each of which ends with a pooling, the last with a mean over all pixels.
#
# > **Rust:** `d2l_ch7 shapes googlenet`

# %%
print_shapes(googlenet(no_norm), torch.rand(1, 1, 96, 96))

# %% [markdown]
# ## Training, shortened
#
# The book trains ten epochs on 60,000 images. Here it is two on the first 40, in batches of 8, tested on 20: enough to compare
# bits, not to learn. The book's net has no batch
# norm. With one, it stands after each convolution, before the activation.
#
# > **Rust:** `d2l_ch7 compare --recipe googlenet`

# %%
SHORT = {"batch_size": 8, "train_examples": 40, "test_examples": 20}
print_records({variant: short_run("googlenet", variant, **SHORT)[1] for variant in ("none", "scratch", "native")})
