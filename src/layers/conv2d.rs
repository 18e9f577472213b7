//! Convolutions.

use tch::Tensor;
use tch::nn::{Conv2D, ConvConfig, ModuleT, PaddingMode, Path};
use tch_extra::kernels;

use super::Layer;

/// `nn.Conv2d(inputs, outputs, kernel)`: (N, inputs, H, W) to (N, outputs, (H + 2 padding - kernel) / stride + 1, likewise for W).
///
/// Stride, padding and the like are taken from `config`, its initialization is not: the initial weights are PyTorch's.
pub fn conv2d(p: &Path, inputs: i64, outputs: i64, kernel: i64, config: ConvConfig) -> Conv2d {
    Conv2d { layer: tch_extra::nn::conv2d(p, inputs, outputs, kernel, config), config }
}

/// The layer of [`conv2d`]: `tch`'s, with a faster kernel of the same bits where there is one.
#[derive(Debug)]
pub struct Conv2d {
    layer: Conv2D,
    config: ConvConfig,
}

impl ModuleT for Conv2d {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        match (&self.layer.bs, self.config) {
            (
                Some(bias),
                ConvConfig {
                    stride: 1,
                    dilation: 1,
                    groups: 1,
                    padding,
                    padding_mode: PaddingMode::Zeros,
                    ..
                },
            ) => kernels::conv2d(x, &self.layer.ws, bias, padding),
            _ => self.layer.forward_t(x, train),
        }
    }
}

impl Layer for Conv2d {
    fn class(&self) -> &'static str {
        "Conv2d"
    }
}
