//! ResNet-18 (He et al., 2016), as the notes build it for large images and as d2l does for small ones.

use super::residual::Residual;
use crate::layers::{AdaptiveAvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential};
use crate::norm::{Dims, Variant};

/// The notes' ResNet-18 (d2l section 7.6) for (N, 1, H, W), there 224 x 224: a 7x7 stem and max pooling quarter
/// height and width before the blocks. Gives (N, 10) logits.
pub fn resnet18(norm: Variant) -> Sequential {
    let b1 = Sequential::new()
        .then(Conv2d::new(1, 64, 7).stride(2).padding(3))
        .then_boxed(norm.batch_norm(64, Dims::Four))
        .then(ReLU)
        .then(MaxPool2d { size: 3, stride: 2, padding: 1 });
    Sequential::new()
        .then(b1)
        .then(resnet_block(norm, 64, 64, 2, true))
        .then(resnet_block(norm, 64, 128, 2, false))
        .then(resnet_block(norm, 128, 256, 2, false))
        .then(resnet_block(norm, 256, 512, 2, false))
        .then(AdaptiveAvgPool2d { output_size: [1, 1] })
        .then(Flatten)
        .then(Linear::new(512, 10))
}

/// `d2l.resnet18(num_classes, in_channels)` (d2l section 12.6) for (N, in_channels, H, W), as CIFAR-10's 32 x 32: a
/// 3x3 stem and no max pooling, so that small images keep their size up to the blocks. Gives (N, num_classes)
/// logits.
pub fn resnet18_cifar(norm: Variant, num_classes: i64, in_channels: i64) -> Sequential {
    Sequential::new()
        .then(Conv2d::new(in_channels, 64, 3).padding(1))
        .then_boxed(norm.batch_norm(64, Dims::Four))
        .then(ReLU)
        .add_module("resnet_block1", resnet_block(norm, 64, 64, 2, true))
        .add_module("resnet_block2", resnet_block(norm, 64, 128, 2, false))
        .add_module("resnet_block3", resnet_block(norm, 128, 256, 2, false))
        .add_module("resnet_block4", resnet_block(norm, 256, 512, 2, false))
        .add_module("global_avg_pool", AdaptiveAvgPool2d { output_size: [1, 1] })
        .add_module("fc", Sequential::new().then(Flatten).then(Linear::new(512, num_classes)))
}

/// `num_residuals` blocks, the first of which takes `input_channels` to `num_channels` and halves height and width:
/// unless it is the network's first block, whose input has the right shape already.
fn resnet_block(
    norm: Variant,
    input_channels: i64,
    num_channels: i64,
    num_residuals: usize,
    first_block: bool,
) -> Sequential {
    (0..num_residuals).fold(Sequential::new(), |block, i| {
        block.then(match i {
            0 if !first_block => Residual::with_1x1conv(norm, input_channels, num_channels, 2),
            _ => Residual::new(norm, num_channels),
        })
    })
}
