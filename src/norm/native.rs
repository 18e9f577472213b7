//! libtorch's batch norm: `tch`'s layer, with PyTorch's initial values and its count of batches.

use tch::{Kind, Tensor, nn};
use tch_extra::kernels;

use super::{Dims, EPS};
use crate::layers::Layer;

/// The share of the new statistics that an update takes.
pub const MOMENTUM: f64 = 0.1;

/// PyTorch's `nn.BatchNorm1d` or `nn.BatchNorm2d`. Tensors have the shape (C,); the count of batches is a scalar.
///
/// y = weight ⊙ (x - mean) / sqrt(var + eps) + bias. In training, mean and (biased) variance are the batch's; in evaluation, the
/// running ones. Each batch of training moves these by the share [`MOMENTUM`] towards its mean and its unbiased variance.
///
/// ```
/// use d2l_ch7::norm::{Dims, native::BatchNorm};
/// use tch::{Device, Tensor, nn, nn::ModuleT};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let layer = BatchNorm::new(&vs.root(), 1, Dims::Two);
/// let x = Tensor::from_slice(&[1.0f32, 3.0]).reshape([2, 1]); // mean 2, variance 1, unbiased 2
/// let y = layer.forward_t(&x, true).detach();
/// assert!((y.double_value(&[1, 0]) - 1.0).abs() < 1e-4); // (3 - 2) / sqrt(1)
/// let value = |name| vs.variables()[name].double_value(&[0]);
/// assert!((value("running_mean") - 0.2).abs() < 1e-6); // 0.9 * 0 + 0.1 * 2
/// assert!((value("running_var") - 1.1).abs() < 1e-6); // 0.9 * 1 + 0.1 * 2
/// ```
#[derive(Debug)]
pub struct BatchNorm {
    layer: nn::BatchNorm,
    num_batches_tracked: Tensor,
}

impl BatchNorm {
    /// A layer with weight and running variance 1, bias and running mean 0, and no batch counted.
    pub fn new(p: &nn::Path, num_features: i64, dims: Dims) -> Self {
        let config = nn::BatchNormConfig {
            eps: EPS,
            momentum: MOMENTUM,
            ws_init: nn::Init::Const(1.0), // tch would draw it at random
            ..Default::default()
        };
        let layer = match dims {
            Dims::Two => nn::batch_norm1d(p, num_features, config),
            Dims::Four => nn::batch_norm2d(p, num_features, config),
        };
        let zero = Tensor::zeros([], (Kind::Int64, p.device()));
        Self { layer, num_batches_tracked: p.add("num_batches_tracked", zero, false) }
    }
}

impl nn::ModuleT for BatchNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if train {
            let _ = self.num_batches_tracked.shallow_clone().g_add_scalar_(1);
        }
        match (&self.layer.ws, &self.layer.bs) {
            // Faster than libtorch's kernel, with its bits.
            (Some(weight), Some(bias)) if train && x.dim() == 4 && self.layer.nd == 2 => {
                let (mean, var) = (&self.layer.running_mean, &self.layer.running_var);
                kernels::batch_norm_training(x, weight, bias, mean, var, MOMENTUM, EPS)
            }
            _ => self.layer.forward_t(x, train),
        }
    }
}

impl Layer for BatchNorm {
    fn class(&self) -> &'static str {
        if self.layer.nd == 1 { "BatchNorm1d" } else { "BatchNorm2d" }
    }
}
