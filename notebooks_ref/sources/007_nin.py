# %% [markdown]
# # Network in network
#
# Section 7.3 of *Dive into Deep Learning*: no dense layer at all. Convolutions of 1 x 1 compute at each pixel what a dense layer would,
# and the mean over each of ten channels is a class's logit.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import torch

from chapter import nin, nin_block
from norms import no_norm
from short_runs import print_records, print_shapes, settle, short_run

settle()

# %% [markdown]
# ## The block
#
# A convolution of any size, and two of 1 x 1.
#
# > **Rust:** `d2l_ch7::nets::nin::nin`, in `src/nets/nin.rs`

# %%
torch.manual_seed(0)
block = nin_block((no_norm, no_norm, no_norm), 1, 8, kernel_size=5, stride=1, padding=2)
print(block)
print(tuple(block(torch.rand(1, 1, 32, 32)).shape))

# %% [markdown]
# ## Its shapes
#
# The last block has ten channels. Without dense layers there are two million parameters, a twentieth of AlexNet's.
#
# > **Rust:** `d2l_ch7 shapes nin`

# %%
print_shapes(nin(no_norm), torch.rand(1, 1, 224, 224))

# %% [markdown]
# ## Training, shortened
#
# The book trains ten epochs on 60,000 images. Here it is two on the first 40, in batches of 8, tested on 20: enough to compare
# bits, not to learn. The book's net has no batch
# norm. With one, it stands after each convolution but the last, before the activation.
#
# > **Rust:** `d2l_ch7 compare --recipe nin`

# %%
SHORT = {"batch_size": 8, "train_examples": 40, "test_examples": 20}
print_records({variant: short_run("nin", variant, **SHORT)[1] for variant in ("none", "scratch", "native")})
