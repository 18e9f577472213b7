# %% [markdown]
# # One batch norm layer, looked at closely
#
# Note 001 passes random images through `nn.BatchNorm2d` and inspects what the layer then holds; before that, it
# likens batch norm to scaling the channels of RGB images. Everything here is drawn from seed 0, in the order in which
# `d2l_ch7 basics --seed 0` draws.
#
# `d2l_ch7 ...` is short for `cargo run --bin d2l_ch7 -- ...`. Each cell names its Rust twin; the
# [README](README.md) has all of them in a table, with their tests. The bits hold for the signature printed here.
#
# > **Rust:** `tch_extra::Signature`

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torchvision.transforms import Normalize

from short_runs import settle

settle()

# %% [markdown]
# ## A layer after one pass
#
# A hundred images of 16 channels, uniform in [0, 1): mean 1/2, variance 1/12. One pass in training mode takes the
# running statistics a tenth of the way from their beginnings, 0 and 1, to the batch's own: to about 0.05 and 0.9 +
# 0.1 / 12 = 0.9083. With 78,400 values a channel they hardly scatter.
#
# > **Rust:** `d2l_ch7 basics --seed 0`, `d2l_ch7::norm::native::BatchNorm`

# %%
torch.manual_seed(0)
images = torch.rand(100, 16, 28, 28)
layer = nn.BatchNorm2d(num_features=16)
normalized = layer(images)
print(tuple(normalized.shape))
print("running_mean", layer.running_mean)
print("running_var ", layer.running_var)

# %% [markdown]
# ## A smaller input
#
# One image of 7 x 7 leaves 49 values a channel: the running statistics scatter visibly. The output has the input's
# shape.
#
# > **Rust:** `d2l_ch7 basics --seed 0`

# %%
small = torch.rand(1, 16, 7, 7)
layer = nn.BatchNorm2d(16)
y = layer(small)
print(y.shape)
print("running_mean", layer.running_mean)
print("running_var ", layer.running_var)

# %% [markdown]
# ## Weight and bias
#
# torch.nn calls $\gamma$ the weight and $\beta$ the bias: 16 of each, 1 and 0 until something is trained.
#
# > **Rust:** `d2l_ch7 basics --seed 0`

# %%
print(layer.weight)
print(layer.weight.shape, layer.bias.shape)

# %% [markdown]
# ## All of the layer
#
# `vars(layer)` without the dictionaries of hooks and the like, which are empty: parameters are trained, buffers are
# not but are saved with them, the rest is configuration.
#
# > **Rust:** `d2l_ch7 basics --seed 0`, its listing of the whole state, in `src/experiments/basics/page.rs`; `tch_extra::state_dict::state`

# %%
for name, value in vars(layer).items():
    if name in ("_parameters", "_buffers"):
        print(name)
        for key, tensor in value.items():
            print("   ", key, tensor)
    elif value or value is False:
        print(name, value)

# %% [markdown]
# ## Training and evaluation
#
# Evaluation normalizes by the running statistics and leaves them alone; weight and bias apply in both modes. After a
# single batch the running statistics are still near 0 and 1, and so the output is nearly the input.
#
# > **Rust:** `d2l_ch7 basics --seed 0`, example `train_versus_eval`

# %%
layer.eval()
y, evaluated = y.detach(), layer(small).detach()
for mode, output in (("training", y), ("evaluation", evaluated)):
    var, mean = torch.var_mean(output[:, 0], correction=0)
    print(f"{mode:<10}  channel 0: mean {float(mean) + 0.0:.4f}  variance {float(var):.4f}")
print("largest difference", float((y - evaluated).abs().max()))
print("batches counted", int(layer.num_batches_tracked))

# %% [markdown]
# All 784 values, before and after:
#
# > **Rust:** `d2l_ch7 basics --seed 0`, its table of both modes

# %%
figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.4), sharey=True, layout="constrained")
for axis, title, values in zip(axes, ("input", "training", "evaluation"), (small, y, evaluated), strict=True):
    axis.hist(values.flatten().numpy(), bins=40, range=(-2, 2), color="tab:blue")
    axis.set_title(title, fontsize=10)

# %% [markdown]
# ## Feature scaling
#
# Eight small images with smooth colours, drawn from the same random stream, their light made warm so that the
# channels differ as those of photographs do. `Normalize` subtracts a mean and divides by a standard deviation,
# channel by channel; the constants are ImageNet's. Afterwards the channels lie in like ranges, and a filter reacts
# alike to each of them.
#
# > **Rust:** `d2l_ch7 basics --seed 0`, which takes a picture of yours with `--image FILE`

# %%
corners = torch.rand(8, 3, 2, 2, 1, 1)
across = torch.arange(64) / 63
down = across.reshape(64, 1)
top, bottom = (corners[:, :, row, 0] * (1 - across) + corners[:, :, row, 1] * across for row in (0, 1))
light = torch.tensor([1.0, 0.85, 0.65]).reshape(3, 1, 1)
pixels = ((top * (1 - down) + bottom * down) * light * 255).round().to(torch.uint8)

scale = Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
before = pixels.float() / 255
after = scale(before)
for stage, values in (("before", before), ("after", after)):
    std, mean = torch.std_mean(values, (0, 2, 3))
    for channel, name in enumerate(("red", "green", "blue")):
        print(f"{stage:<6}  {name:<5}  mean {float(mean[channel]):7.4f}  std {float(std[channel]):.4f}")

# %% [markdown]
# The three channels' histograms before and after:
#
# > **Rust:** `d2l_ch7 basics --seed 0`, the picture in its run directory

# %%
figure, axes = plt.subplot_mosaic("ii;ba", figsize=(7.2, 3.8), height_ratios=(1, 2), layout="constrained")
axes["i"].imshow(torch.cat(list(pixels), dim=2).permute(1, 2, 0).numpy())
axes["i"].set_axis_off()
for place, title, values, span in (("b", "before", before, (0, 1)), ("a", "after", after, (-2.2, 2.7))):
    for channel, colour in enumerate(("tab:red", "tab:green", "tab:blue")):
        flat = values[:, channel].flatten().numpy()
        axes[place].hist(flat, 48, range=span, histtype="step", color=colour, linewidth=1.5)
    axes[place].set_title(title, fontsize=10)
    axes[place].set_yticks([])
