//! ResNet-18 (He et al., 2016): the notes' for large images, and d2l's for small ones.

use tch::nn::Path;

use super::residual::Residual;
use super::{b1, conv_config};
use crate::layers::{Sequential, adaptive_avg_pool2d, conv2d, flatten, linear, relu, sequential};
use crate::norm::{Dims, Norm};

/// The notes' ResNet-18 (d2l section 7.6) for (N, 1, H, W), in the notes 224 x 224; the book trains it on 96 x 96. A 7x7 stem and
/// max pooling divide height and width by four before the blocks. Gives (N, 10) logits.
pub fn resnet18(p: &Path, norm: &Norm) -> Sequential {
    sequential(p)
        .then(|p| b1(p, norm))
        .then(|p| resnet_block(p, norm, 64, 64, 2, true))
        .then(|p| resnet_block(p, norm, 64, 128, 2, false))
        .then(|p| resnet_block(p, norm, 128, 256, 2, false))
        .then(|p| resnet_block(p, norm, 256, 512, 2, false))
        .then(|_| adaptive_avg_pool2d([1, 1]))
        .then(|_| flatten())
        .then(|p| linear(p, 512, 10))
        .done()
}

/// `d2l.resnet18(num_classes, in_channels)` (d2l section 12.6) for (N, in_channels, H, W), such as CIFAR-10's 32 x 32. A 3x3 stem
/// without max pooling leaves small images their size up to the blocks. Gives (N, num_classes) logits.
pub fn resnet18_cifar(p: &Path, norm: &Norm, num_classes: i64, in_channels: i64) -> Sequential {
    sequential(p)
        .then(|p| conv2d(p, in_channels, 64, 3, conv_config(1, 1)))
        .then_optional(|p| norm.batch_norm(p, 64, Dims::Four))
        .then(|_| relu())
        .add_module("resnet_block1", |p| resnet_block(p, norm, 64, 64, 2, true))
        .add_module("resnet_block2", |p| resnet_block(p, norm, 64, 128, 2, false))
        .add_module("resnet_block3", |p| resnet_block(p, norm, 128, 256, 2, false))
        .add_module("resnet_block4", |p| resnet_block(p, norm, 256, 512, 2, false))
        .add_module("global_avg_pool", |_| adaptive_avg_pool2d([1, 1]))
        .add_module("fc", |p| sequential(p).then(|_| flatten()).then(|p| linear(p, 512, num_classes)).done())
        .done()
}

/// d2l's `resnet_block`: `num_residuals` residual blocks. The first of them turns `input_channels` into `num_channels` and halves
/// height and width; with `first_block` it does not, because the input has the right shape already.
fn resnet_block(
    p: &Path,
    norm: &Norm,
    input_channels: i64,
    num_channels: i64,
    num_residuals: usize,
    first_block: bool,
) -> Sequential {
    let residual = |i, p: &Path| match i {
        0 if !first_block => Residual::with_1x1conv(p, norm, input_channels, num_channels, 2),
        _ => Residual::new(p, norm, num_channels),
    };
    (0..num_residuals).fold(sequential(p), |block, i| block.then(|p| residual(i, p))).done()
}
