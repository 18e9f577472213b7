//! DenseNet (Huang et al., 2017; d2l section 7.7): each convolution sees the outputs of all before it.

use tch::Tensor;
use tch::nn::{ModuleT, Path};

use super::{b1, conv_config};
use crate::layers::{
    Layer, Sequential, adaptive_avg_pool2d, avg_pool2d, conv2d, flatten, linear, relu, sequential,
};
use crate::norm::{Dims, Norm};

/// The book's DenseNet for (N, 1, H, W), in the book 96 x 96: four dense blocks of four convolutions, with transitions between them.
/// Gives (N, 10) logits.
pub fn densenet(p: &Path, norm: &Norm) -> Sequential {
    const GROWTH_RATE: i64 = 32;
    let mut net = sequential(p).then(|p| b1(p, norm));
    let mut num_channels = 64;
    let num_convs_in_dense_blocks = [4; 4];
    for (i, num_convs) in num_convs_in_dense_blocks.into_iter().enumerate() {
        net = net.then(|p| DenseBlock::new(p, norm, num_convs, num_channels, GROWTH_RATE));
        num_channels += num_convs * GROWTH_RATE;
        if i + 1 < num_convs_in_dense_blocks.len() {
            net = net.then(|p| transition_block(p, norm, num_channels, num_channels / 2));
            num_channels /= 2;
        }
    }
    net.then_optional(|p| norm.batch_norm(p, num_channels, Dims::Four))
        .then(|_| relu())
        .then(|_| adaptive_avg_pool2d([1, 1]))
        .then(|_| flatten())
        .then(|p| linear(p, num_channels, 10))
        .done()
}

/// d2l's `DenseBlock`: convolutions of 3x3, each of which sees the block's input and the outputs of the convolutions before it,
/// joined along the channels. So does what follows the block.
#[derive(Debug)]
pub struct DenseBlock {
    net: Vec<Sequential>,
}

impl DenseBlock {
    /// `DenseBlock(num_convs, input_channels, num_channels)`: (N, input_channels, H, W) to
    /// (N, input_channels + num_convs * num_channels, H, W).
    pub fn new(p: &Path, norm: &Norm, num_convs: i64, input_channels: i64, num_channels: i64) -> Self {
        let block = |i| conv_block(&(p / "net" / i), norm, input_channels + i * num_channels, num_channels);
        Self { net: (0..num_convs).map(block).collect() }
    }
}

impl ModuleT for DenseBlock {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        self.net.iter().fold(x.shallow_clone(), |x, block| {
            let y = block.forward_t(&x, train);
            Tensor::cat(&[x, y], 1)
        })
    }
}

impl Layer for DenseBlock {
    fn class(&self) -> &'static str {
        "DenseBlock"
    }
}

/// d2l's `conv_block`: batch norm, ReLU and a 3x3 convolution.
fn conv_block(p: &Path, norm: &Norm, input_channels: i64, num_channels: i64) -> Sequential {
    sequential(p)
        .then_optional(|p| norm.batch_norm(p, input_channels, Dims::Four))
        .then(|_| relu())
        .then(|p| conv2d(p, input_channels, num_channels, 3, conv_config(1, 1)))
        .done()
}

/// d2l's `transition_block`: a 1x1 convolution to fewer channels, and a pooling that halves height and width.
fn transition_block(p: &Path, norm: &Norm, input_channels: i64, num_channels: i64) -> Sequential {
    sequential(p)
        .then_optional(|p| norm.batch_norm(p, input_channels, Dims::Four))
        .then(|_| relu())
        .then(|p| conv2d(p, input_channels, num_channels, 1, conv_config(1, 0)))
        .then(|_| avg_pool2d(2))
        .done()
}
