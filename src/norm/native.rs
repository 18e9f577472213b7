//! libtorch's batch norm, with the state and the initialization of PyTorch's layer (`tch`'s draws its weight
//! at random and does not count batches).

use tch::{Device, Kind, Tensor};

use super::{Dims, EPS};
use crate::layers::{Module, Slot};

/// The share of the new statistics that an update takes.
pub const MOMENTUM: f64 = 0.1;

/// PyTorch's `nn.BatchNorm1d` or `nn.BatchNorm2d`: all tensors of shape (C,), the count of batches a scalar.
///
/// y = weight ⊙ (x - mean) / sqrt(var + eps) + bias, in training with the batch's mean and biased variance, else with
/// the running ones. A batch of training takes these [`MOMENTUM`] of the way to its mean and its unbiased variance.
///
/// ```
/// use d2l_ch7::layers::{Module, state};
/// use d2l_ch7::norm::{Dims, native::BatchNorm};
/// use tch::Tensor;
///
/// let mut layer = BatchNorm::new(1, Dims::Two);
/// let x = Tensor::from_slice(&[1.0f32, 3.0]).reshape([2, 1]); // mean 2, variance 1, unbiased 2
/// let y = layer.forward(&x, true).detach();
/// assert!((y.double_value(&[1, 0]) - 1.0).abs() < 1e-4); // (3 - 2) / sqrt(1)
/// let value = |i: usize, layer: &mut BatchNorm| state(layer)[i].1.double_value(&[0]);
/// assert!((value(2, &mut layer) - 0.2).abs() < 1e-6); // running_mean: 0.9 * 0 + 0.1 * 2
/// assert!((value(3, &mut layer) - 1.1).abs() < 1e-6); // running_var: 0.9 * 1 + 0.1 * 2
/// ```
#[derive(Debug)]
pub struct BatchNorm {
    dims: Dims,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    num_batches_tracked: Tensor,
}

impl BatchNorm {
    /// weight and running variance 1, bias and running mean 0, no batch seen.
    pub fn new(num_features: i64, dims: Dims) -> Self {
        let options = (Kind::Float, Device::Cpu);
        Self {
            dims,
            weight: Tensor::ones([num_features], options).set_requires_grad(true),
            bias: Tensor::zeros([num_features], options).set_requires_grad(true),
            running_mean: Tensor::zeros([num_features], options),
            running_var: Tensor::ones([num_features], options),
            num_batches_tracked: Tensor::zeros([], (Kind::Int64, Device::Cpu)),
        }
    }
}

impl Module for BatchNorm {
    fn name(&self) -> &'static str {
        match self.dims {
            Dims::Two => "BatchNorm1d",
            Dims::Four => "BatchNorm2d",
        }
    }

    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor {
        if train {
            let _ = self.num_batches_tracked.g_add_scalar_(1);
        }
        x.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            train,
            MOMENTUM,
            EPS,
            true, // cuDNN where it can, as PyTorch
        )
    }

    fn tensors(&mut self) -> Vec<(&'static str, Slot, &mut Tensor)> {
        vec![
            ("weight", Slot::Parameter, &mut self.weight),
            ("bias", Slot::Parameter, &mut self.bias),
            ("running_mean", Slot::Buffer, &mut self.running_mean),
            ("running_var", Slot::Buffer, &mut self.running_var),
            ("num_batches_tracked", Slot::Buffer, &mut self.num_batches_tracked),
        ]
    }
}
