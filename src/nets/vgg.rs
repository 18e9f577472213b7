//! VGG-11 (Simonyan and Zisserman, 2014; d2l section 7.2): blocks of convolutions.

use tch::nn::Path;

use super::{conv_config, dense_layers};
use crate::layers::{Sequential, conv2d, max_pool2d, relu, sequential};
use crate::norm::{Dims, Norm};

/// The book's VGG-11 for (N, 1, 224, 224). Its convolutions have 1 / `ratio` of the paper's channels: the book shows ratio 1 and
/// trains ratio 4. It has no batch norm; with a `norm`, one follows each convolution and dense layer but the last. Gives (N, 10)
/// logits.
pub fn vgg(p: &Path, norm: &Norm, ratio: i64) -> Sequential {
    let mut net = sequential(p);
    let mut channels = 1;
    for (num_convs, outputs) in [(1, 64), (1, 128), (2, 256), (2, 512), (2, 512)] {
        let inputs = channels;
        channels = outputs / ratio;
        net = net.then(|p| vgg_block(p, norm, num_convs, inputs, channels));
    }
    dense_layers(net, norm, channels * 7 * 7)
}

/// d2l's `vgg_block`: `num_convs` convolutions of 3x3, then a pooling that halves height and width.
fn vgg_block(p: &Path, norm: &Norm, num_convs: usize, in_channels: i64, out_channels: i64) -> Sequential {
    let mut block = sequential(p);
    for i in 0..num_convs {
        let inputs = if i == 0 { in_channels } else { out_channels };
        block = block
            .then(|p| conv2d(p, inputs, out_channels, 3, conv_config(1, 1)))
            .then_optional(|p| norm.batch_norm(p, out_channels, Dims::Four))
            .then(|_| relu());
    }
    block.then(|_| max_pool2d(2, 2, 0)).done()
}
