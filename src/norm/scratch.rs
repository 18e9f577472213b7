//! The notebook's batch norm by hand: the formula as a function, and the layer that keeps its state.

use tch::{Tensor, nn};
use tch_extra::kernels;

use super::{Dims, EPS};
use crate::layers::Layer;

/// The share of the old moving statistics that an update keeps.
pub const MOMENTUM: f64 = 0.9;

/// Normalizes a batch `x` of shape (N, C) or (N, C, H, W) (d2l section 7.5.3):
///
/// y = gamma ⊙ (x - mean) / sqrt(var + eps) + beta
///
/// In training, `mean` and `var` are the batch's own; the variance is biased (divided by the count). Their shape is (C,) for a 2-D
/// input and (1, C, 1, 1) for a 4-D one. The moving statistics keep the share `momentum` and take the rest from the batch's.
/// In evaluation, `mean` and `var` are the moving statistics, which stay.
///
/// Gives y, and the moving mean and variance after this batch; no gradient flows through these two.
///
/// ```
/// use d2l_ch7::norm::scratch::batch_norm;
/// use tch::Tensor;
///
/// let x = Tensor::from_slice(&[1.0f32, 3.0]).reshape([2, 1]); // mean 2, variance 1
/// let (gamma, beta) = (Tensor::from(2.0f32), Tensor::from(10.0f32));
/// let (moving_mean, moving_var) = (Tensor::zeros_like(&x.get(0)), Tensor::ones_like(&x.get(0)));
/// let (y, moving_mean, _) = batch_norm(&x, &gamma, &beta, &moving_mean, &moving_var, 0.0, 0.9, true);
/// assert_eq!(Vec::<f32>::try_from(y.flatten(0, -1)).unwrap(), [8.0, 12.0]);
/// assert!((moving_mean.double_value(&[0]) - 0.2).abs() < 1e-6); // 0.9 * 0 + 0.1 * 2
/// ```
#[allow(clippy::too_many_arguments)] // the book's signature; `train` stands for `torch.is_grad_enabled()`
pub fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    moving_mean: &Tensor,
    moving_var: &Tensor,
    eps: f64,
    momentum: f64,
    train: bool,
) -> (Tensor, Tensor, Tensor) {
    if !train {
        let x_hat = (x - moving_mean) / (moving_var + eps).sqrt();
        return (gamma * x_hat + beta, moving_mean.shallow_clone(), moving_var.shallow_clone());
    }
    let mean_of_batch = |t: &Tensor| match t.dim() {
        2 => t.mean_dim(0i64, false, None),
        _ => t.mean_dim([0i64, 2, 3].as_slice(), true, None),
    };
    let mean = mean_of_batch(x);
    // `x - mean` is computed twice on purpose: sharing it would add up the gradient in another order.
    let var = mean_of_batch(&(x - &mean).pow_tensor_scalar(2));
    let x_hat = (x - &mean) / (&var + eps).sqrt();
    (gamma * x_hat + beta, moved(momentum, moving_mean, &mean), moved(momentum, moving_var, &var))
}

/// The moving statistics after a batch with statistics `new`.
pub(super) fn moved(momentum: f64, moving: &Tensor, new: &Tensor) -> Tensor {
    tch::no_grad(|| momentum * moving + (1.0 - momentum) * new)
}

/// The layer around [`batch_norm`]: scale `gamma` and shift `beta`, which are trained, and the moving statistics.
/// Each has the shape (1, C) or (1, C, 1, 1).
#[derive(Debug)]
pub struct BatchNorm {
    pub(super) gamma: Tensor,
    pub(super) beta: Tensor,
    pub(super) moving_mean: Tensor,
    pub(super) moving_var: Tensor,
}

impl BatchNorm {
    /// A layer with gamma and moving variance 1, beta and moving mean 0.
    pub fn new(p: &nn::Path, num_features: i64, dims: Dims) -> Self {
        let shape: &[i64] = match dims {
            Dims::Two => &[1, num_features],
            Dims::Four => &[1, num_features, 1, 1],
        };
        Self {
            gamma: p.ones("gamma", shape),
            beta: p.zeros("beta", shape),
            moving_mean: p.zeros_no_train("moving_mean", shape),
            moving_var: p.ones_no_train("moving_var", shape),
        }
    }

    /// Writes the moving statistics into their memory, where the variable store and a CUDA graph find them.
    pub(super) fn keep(&self, moving_mean: &Tensor, moving_var: &Tensor) {
        self.moving_mean.shallow_clone().copy_(moving_mean);
        self.moving_var.shallow_clone().copy_(moving_var);
    }
}

impl nn::ModuleT for BatchNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let Self { gamma, beta, moving_mean, moving_var } = self;
        // On a CPU there is a kernel with the formula's bits, which takes half the time.
        if train
            && let Some(y) =
                kernels::batch_norm_formula(x, gamma, beta, moving_mean, moving_var, MOMENTUM, EPS)
        {
            return y;
        }
        let (y, moving_mean, moving_var) =
            batch_norm(x, gamma, beta, moving_mean, moving_var, EPS, MOMENTUM, train);
        if train {
            self.keep(&moving_mean, &moving_var);
        }
        y
    }
}

impl Layer for BatchNorm {
    fn class(&self) -> &'static str {
        "BatchNorm"
    }
}
