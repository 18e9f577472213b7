//! The residual block (He et al., 2016; d2l section 7.6): relu(g(x) + x).

use tch::Tensor;

use crate::layers::{Conv2d, Module};
use crate::norm::{Dims, Variant};

/// d2l's `Residual`: g is a 3x3 convolution, batch norm, ReLU, another 3x3 convolution and batch norm; the shortcut
/// beside it is the input itself, or a 1x1 convolution of it.
///
/// As there, the names of the weights begin with `conv1`, `conv2`, `conv3` (the shortcut's, where it has one), `bn1`
/// and `bn2`.
pub struct Residual {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Option<Conv2d>,
    bn1: Box<dyn Module>,
    bn2: Box<dyn Module>,
}

impl Residual {
    /// `Residual(channels, channels)`: (N, channels, H, W) to the same shape, around which x passes unchanged.
    ///
    /// Without a convolution on the shortcut, g(x) must have the shape of x: hence one number of channels, and no
    /// strides.
    pub fn new(norm: Variant, channels: i64) -> Self {
        Self {
            conv1: Conv2d::new(channels, channels, 3).padding(1),
            conv2: Conv2d::new(channels, channels, 3).padding(1),
            conv3: None,
            bn1: norm.batch_norm(channels, Dims::Four),
            bn2: norm.batch_norm(channels, Dims::Four),
        }
    }

    /// `Residual(input_channels, num_channels, use_1x1conv=True, strides=strides)`: (N, input_channels, H, W) to
    /// (N, num_channels, ⌈H / strides⌉, ⌈W / strides⌉).
    pub fn with_1x1conv(norm: Variant, input_channels: i64, num_channels: i64, strides: i64) -> Self {
        // Fields are made in the order in which they stand: it decides which random number becomes which weight.
        Self {
            conv1: Conv2d::new(input_channels, num_channels, 3).padding(1).stride(strides),
            conv2: Conv2d::new(num_channels, num_channels, 3).padding(1),
            conv3: Some(Conv2d::new(input_channels, num_channels, 1).stride(strides)),
            bn1: norm.batch_norm(num_channels, Dims::Four),
            bn2: norm.batch_norm(num_channels, Dims::Four),
        }
    }
}

impl Module for Residual {
    fn name(&self) -> &'static str {
        "Residual"
    }

    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor {
        let y = self.bn1.forward(&self.conv1.forward(x, train), train).relu();
        let mut y = self.bn2.forward(&self.conv2.forward(&y, train), train);
        // After g, as in Python: gradients that meet in x add up in the reverse order.
        let shortcut = match &mut self.conv3 {
            Some(conv3) => conv3.forward(x, train),
            None => x.shallow_clone(),
        };
        y += shortcut;
        y.relu()
    }

    fn children(&mut self) -> Vec<(String, &mut dyn Module)> {
        let mut children: Vec<(String, &mut dyn Module)> =
            vec![("conv1".to_owned(), &mut self.conv1), ("conv2".to_owned(), &mut self.conv2)];
        if let Some(conv3) = &mut self.conv3 {
            children.push(("conv3".to_owned(), conv3));
        }
        children.push(("bn1".to_owned(), self.bn1.as_mut()));
        children.push(("bn2".to_owned(), self.bn2.as_mut()));
        children
    }
}
