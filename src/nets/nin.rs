//! Network in network (Lin et al., 2013; d2l section 7.3): convolutions of 1x1 in the place of dense layers.

use tch::nn::{ConvConfig, Path};

use super::conv_config;
use crate::layers::{
    Sequential, adaptive_avg_pool2d, conv2d, dropout, flatten, max_pool2d, relu, sequential,
};
use crate::norm::{Dims, Norm};

/// The book's NiN for (N, 1, H, W), in the book 224 x 224. It has no batch norm; with a `norm`, one follows each convolution but the
/// last. Gives (N, 10) logits.
pub fn nin(p: &Path, norm: &Norm) -> Sequential {
    let each = [norm; 3];
    sequential(p)
        .then(|p| nin_block(p, each, 1, 96, 11, conv_config(4, 0)))
        .then(|_| max_pool2d(3, 2, 0))
        .then(|p| nin_block(p, each, 96, 256, 5, conv_config(1, 2)))
        .then(|_| max_pool2d(3, 2, 0))
        .then(|p| nin_block(p, each, 256, 384, 3, conv_config(1, 1)))
        .then(|_| max_pool2d(3, 2, 0))
        .then(|_| dropout(0.5))
        .then(|p| nin_block(p, [norm, norm, &Norm::None], 384, 10, 3, conv_config(1, 1)))
        .then(|_| adaptive_avg_pool2d([1, 1]))
        .then(|_| flatten())
        .done()
}

/// d2l's `nin_block`: a convolution and two of 1x1, each with the norm of its place in `norms` and a ReLU.
fn nin_block(
    p: &Path,
    norms: [&Norm; 3],
    in_channels: i64,
    out_channels: i64,
    kernel_size: i64,
    config: ConvConfig,
) -> Sequential {
    let pointwise = (out_channels, 1, conv_config(1, 0));
    let mut block = sequential(p);
    for (norm, (inputs, kernel_size, config)) in
        norms.into_iter().zip([(in_channels, kernel_size, config), pointwise, pointwise])
    {
        block = block
            .then(|p| conv2d(p, inputs, out_channels, kernel_size, config))
            .then_optional(|p| norm.batch_norm(p, out_channels, Dims::Four))
            .then(|_| relu());
    }
    block.done()
}
