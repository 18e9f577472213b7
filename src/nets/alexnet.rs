//! AlexNet (Krizhevsky et al., 2012; d2l section 7.1).

use tch::nn::Path;

use super::{conv_config, dense_layers};
use crate::layers::{Sequential, conv2d, max_pool2d, relu, sequential};
use crate::norm::{Dims, Norm};

/// The book's AlexNet for (N, 1, 224, 224). It has no batch norm; with a `norm`, one follows each convolution and dense layer but the
/// last. Gives (N, 10) logits.
pub fn alexnet(p: &Path, norm: &Norm) -> Sequential {
    let net = sequential(p)
        .then(|p| conv2d(p, 1, 96, 11, conv_config(4, 1)))
        .then_optional(|p| norm.batch_norm(p, 96, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(3, 2, 0))
        .then(|p| conv2d(p, 96, 256, 5, conv_config(1, 2)))
        .then_optional(|p| norm.batch_norm(p, 256, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(3, 2, 0))
        .then(|p| conv2d(p, 256, 384, 3, conv_config(1, 1)))
        .then_optional(|p| norm.batch_norm(p, 384, Dims::Four))
        .then(|_| relu())
        .then(|p| conv2d(p, 384, 384, 3, conv_config(1, 1)))
        .then_optional(|p| norm.batch_norm(p, 384, Dims::Four))
        .then(|_| relu())
        .then(|p| conv2d(p, 384, 256, 3, conv_config(1, 1)))
        .then_optional(|p| norm.batch_norm(p, 256, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(3, 2, 0));
    dense_layers(net, norm, 256 * 5 * 5)
}
