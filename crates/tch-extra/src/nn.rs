//! `tch`'s layers with the initial weights of PyTorch's classes, drawn in PyTorch's order: the weight, then the bias.

use tch::nn::{Conv2D, ConvConfig, Linear, LinearConfig, Path};

use crate::init::{kaiming_uniform, uniform_bias};

/// `nn.Conv2d(inputs, outputs, kernel)`: (N, inputs, H, W) to (N, outputs, (H + 2 padding - kernel) / stride + 1, likewise for W).
///
/// Stride, padding and the like are taken from `config`, its initialization is not.
pub fn conv2d(p: &Path, inputs: i64, outputs: i64, kernel: i64, config: ConvConfig) -> Conv2D {
    // tch would draw the bias first.
    let config = ConvConfig { bias: false, ws_init: kaiming_uniform(), ..config };
    let mut conv = tch::nn::conv2d(p, inputs, outputs, kernel, config);
    let fan_in = conv.ws.size()[1..].iter().product();
    conv.bs = Some(p.var("bias", &[outputs], uniform_bias(fan_in)));
    conv
}

/// `nn.Linear(inputs, outputs)`: (N, inputs) to (N, outputs), x Wᵀ + b.
pub fn linear(p: &Path, inputs: i64, outputs: i64) -> Linear {
    let config = LinearConfig { bias: false, ws_init: kaiming_uniform(), bs_init: None };
    let mut linear = tch::nn::linear(p, inputs, outputs, config);
    linear.bs = Some(p.var("bias", &[outputs], uniform_bias(inputs)));
    linear
}
