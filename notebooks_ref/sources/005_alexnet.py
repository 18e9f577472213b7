# %% [markdown]
# # AlexNet
#
# Section 7.1 of *Dive into Deep Learning*: LeNet made deep. Five convolutions, ReLU in the place of the sigmoid, max pooling, and two
# wide dense layers that dropout keeps from learning the images by heart.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import torch

from chapter import alexnet
from norms import no_norm
from short_runs import print_records, print_shapes, settle, short_run

settle()

# %% [markdown]
# ## The network
#
# Most of its 47 million parameters are in the dense layers, most of its work is in the convolutions.
#
# > **Rust:** `d2l_ch7::nets::alexnet::alexnet`

# %%
torch.manual_seed(0)
net = alexnet(no_norm)
print(net)

# %% [markdown]
# ## Its shapes
#
# A convolution of 11 x 11 with stride 4 takes 224 x 224 pixels to 54 x 54 at once.
#
# > **Rust:** `d2l_ch7 shapes alexnet`

# %%
print_shapes(net, torch.rand(1, 1, 224, 224))

# %% [markdown]
# ## Training, shortened
#
# The book trains ten epochs on 60,000 images. Here it is two on the first 40, in batches of 8, tested on 20: enough to compare
# bits, not to learn. The book's net has no batch
# norm. With one, it stands after each convolution and dense layer but the last, before the activation.
#
# > **Rust:** `d2l_ch7 compare --recipe alexnet`

# %%
SHORT = {"batch_size": 8, "train_examples": 40, "test_examples": 20}
print_records({variant: short_run("alexnet", variant, **SHORT)[1] for variant in ("none", "scratch", "native")})
