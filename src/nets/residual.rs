//! The residual block (He et al., 2016; d2l section 7.6): relu(g(x) + x).

use tch::Tensor;
use tch::nn::{ModuleT, Path};

use super::{conv_config, norm_relu};
use crate::layers::{Conv2d, Layer, conv2d};
use crate::norm::{Dims, Norm};

/// d2l's `Residual`. g is a 3x3 convolution, batch norm, ReLU, another 3x3 convolution and batch norm. The shortcut around it is
/// the input itself, or a 1x1 convolution of it.
#[derive(Debug)]
pub struct Residual {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Option<Conv2d>,
    bn1: Option<Box<dyn Layer>>,
    bn2: Option<Box<dyn Layer>>,
}

impl Residual {
    /// `Residual(channels, channels)`: (N, channels, H, W) to the same shape; the shortcut is x itself.
    ///
    /// Without a convolution on the shortcut, g(x) must have the shape of x, so that there is one number of channels and no stride.
    pub fn new(p: &Path, norm: &Norm, channels: i64) -> Self {
        Self::build(p, norm, channels, channels, false, 1)
    }

    /// `Residual(input_channels, num_channels, use_1x1conv=True, strides=strides)`: (N, input_channels, H, W) to
    /// (N, num_channels, ⌈H / strides⌉, ⌈W / strides⌉).
    pub fn with_1x1conv(p: &Path, norm: &Norm, input_channels: i64, num_channels: i64, strides: i64) -> Self {
        Self::build(p, norm, input_channels, num_channels, true, strides)
    }

    fn build(p: &Path, norm: &Norm, inputs: i64, channels: i64, use_1x1conv: bool, strides: i64) -> Self {
        let conv = |name, inputs, kernel, stride, padding| {
            conv2d(&(p / name), inputs, channels, kernel, conv_config(stride, padding))
        };
        // The order of these fields decides which random number becomes which weight.
        Self {
            conv1: conv("conv1", inputs, 3, strides, 1),
            conv2: conv("conv2", channels, 3, 1, 1),
            conv3: use_1x1conv.then(|| conv("conv3", inputs, 1, strides, 0)),
            bn1: norm.batch_norm(&(p / "bn1"), channels, Dims::Four),
            bn2: norm.batch_norm(&(p / "bn2"), channels, Dims::Four),
        }
    }
}

impl ModuleT for Residual {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let y = norm_relu(&self.bn1, &x.apply(&self.conv1), train);
        let mut y = y.apply(&self.conv2).apply_opt_t(&self.bn2, train);
        // The shortcut comes after g, as in Python: the order decides in which order the gradients of x add up.
        y += x.apply_opt(&self.conv3);
        y.relu()
    }
}

impl Layer for Residual {
    fn class(&self) -> &'static str {
        "Residual"
    }
}
