//! Two-dimensional convolution.

use tch::{Device, Kind, Tensor};

use super::{Module, Slot};
use crate::init;

/// PyTorch's `nn.Conv2d`: square kernels, the same stride and padding both ways, with bias.
///
/// Input (N, in, H, W), output (N, out, (H + 2 padding - kernel) / stride + 1, likewise for W).
#[derive(Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// A convolution with PyTorch's default initialization, drawn from the CPU's generator.
    pub fn new(in_channels: i64, out_channels: i64, kernel_size: i64) -> Self {
        let weight =
            Tensor::empty([out_channels, in_channels, kernel_size, kernel_size], (Kind::Float, Device::Cpu));
        let (weight, bias) = init::default_uniform(weight);
        Self { weight, bias, stride: 1, padding: 0 }
    }

    /// The same with another stride than 1.
    #[must_use]
    pub fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// The same with zeros around the image.
    #[must_use]
    pub fn padding(self, padding: i64) -> Self {
        Self { padding, ..self }
    }
}

impl Module for Conv2d {
    fn name(&self) -> &'static str {
        "Conv2d"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        x.conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, 1, 1)
    }

    fn tensors(&mut self) -> Vec<(&'static str, Slot, &mut Tensor)> {
        vec![("weight", Slot::Parameter, &mut self.weight), ("bias", Slot::Parameter, &mut self.bias)]
    }

    fn xavier_weight(&mut self) -> Option<&mut Tensor> {
        Some(&mut self.weight)
    }
}
