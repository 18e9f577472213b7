//! `tch`'s layers with the initial weights of PyTorch's classes, drawn in PyTorch's order: the weight, then the bias.

use tch::Tensor;
use tch::nn::{Conv2D, ConvConfig, Linear, LinearConfig, Module, PaddingMode, Path};

use crate::init::{kaiming_uniform, uniform_bias};
use crate::kernels;

/// `nn.Conv2d(inputs, outputs, kernel)`: (N, inputs, H, W) to (N, outputs, (H + 2 padding - kernel) / stride + 1, likewise for W).
///
/// Stride, padding and the like are taken from `config`, its initialization is not.
pub fn conv2d(p: &Path, inputs: i64, outputs: i64, kernel: i64, config: ConvConfig) -> Conv2d {
    // tch would draw the bias first.
    let config = ConvConfig { bias: false, ws_init: kaiming_uniform(), ..config };
    let mut layer = tch::nn::conv2d(p, inputs, outputs, kernel, config);
    let fan_in = layer.ws.size()[1..].iter().product();
    layer.bs = Some(p.var("bias", &[outputs], uniform_bias(fan_in)));
    Conv2d { layer, config }
}

/// The layer of [`conv2d`]: `tch`'s, with [`kernels::conv2d`] where that has its arguments.
#[derive(Debug)]
pub struct Conv2d {
    layer: Conv2D,
    config: ConvConfig,
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        let ConvConfig { stride, padding, dilation, groups, padding_mode, .. } = self.config;
        match (&self.layer.bs, padding_mode) {
            (Some(bias), PaddingMode::Zeros) if (stride, dilation, groups) == (1, 1, 1) => {
                kernels::conv2d(x, &self.layer.ws, bias, padding)
            }
            _ => self.layer.forward(x),
        }
    }
}

/// `nn.Linear(inputs, outputs)`: (N, inputs) to (N, outputs), x Wᵀ + b.
pub fn linear(p: &Path, inputs: i64, outputs: i64) -> Linear {
    let config = LinearConfig { bias: false, ws_init: kaiming_uniform(), bs_init: None };
    let mut linear = tch::nn::linear(p, inputs, outputs, config);
    linear.bs = Some(p.var("bias", &[outputs], uniform_bias(inputs)));
    linear
}
