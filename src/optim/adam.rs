//! Adam and AdamW.

use std::hint::black_box;

use tch::Tensor;

use super::{Optimizer, misfit};
use crate::{Result, torch};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// PyTorch's `torch.optim.Adam` (Kingma and Ba, 2015) and `torch.optim.AdamW` (Loshchilov and Hutter, 2019)
/// with their default betas and eps.
///
/// The operations and their order are those of `_single_tensor_adam` in `torch/optim/adam.py`.
#[derive(Debug)]
pub struct Adam {
    params: Vec<Param>,
    lr: f64,
    weight_decay: f64,
}

/// A parameter and what Adam remembers of it.
#[derive(Debug)]
struct Param {
    value: Tensor,
    /// Running mean of the gradient.
    exp_avg: Tensor,
    /// Running mean of the squared gradient.
    exp_avg_sq: Tensor,
    /// Updates so far.
    step: u32,
}

impl Adam {
    /// Trains `params`, handles that share the network's memory, at the learning rate `lr`.
    pub fn new(params: Vec<Tensor>, lr: f64) -> Self {
        Self::decoupled(params, lr, 0.0)
    }

    /// AdamW: also shrinks every parameter by the share `lr · weight_decay` at each step.
    pub fn decoupled(params: Vec<Tensor>, lr: f64, weight_decay: f64) -> Self {
        let param = |value: Tensor| Param {
            exp_avg: value.zeros_like().detach(),
            exp_avg_sq: value.zeros_like().detach(),
            value,
            step: 0,
        };
        Self { params: params.into_iter().map(param).collect(), lr, weight_decay }
    }
}

impl Optimizer for Adam {
    fn zero_grad(&mut self) {
        self.params.iter_mut().for_each(|param| torch::clear_grad(&mut param.value));
    }

    fn step(&mut self) {
        tch::no_grad(|| {
            for param in &mut self.params {
                let grad = param.value.grad();
                if grad.defined() {
                    param.update(&grad, self.lr, self.weight_decay);
                }
            }
        });
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let of_param = |(i, param): (usize, &Param)| {
            [
                (format!("{i}.exp_avg"), param.exp_avg.shallow_clone()),
                (format!("{i}.exp_avg_sq"), param.exp_avg_sq.shallow_clone()),
                (format!("{i}.step"), Tensor::from(i64::from(param.step))),
            ]
        };
        self.params.iter().enumerate().flat_map(of_param).collect()
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        if state.len() != 3 * self.params.len() {
            return Err(misfit(&format!("{} tensors for {} parameters", state.len(), self.params.len())));
        }
        for (i, param) in self.params.iter_mut().enumerate() {
            let find = |name: &str, size: Vec<i64>| {
                let name = format!("{i}.{name}");
                let found = state.iter().find(|(n, tensor)| *n == name && tensor.size() == size);
                found.map(|(_, tensor)| tensor).ok_or_else(|| misfit(&name))
            };
            param.exp_avg.copy_(find("exp_avg", param.value.size())?);
            param.exp_avg_sq.copy_(find("exp_avg_sq", param.value.size())?);
            let step = find("step", Vec::new())?.int64_value(&[]);
            param.step = u32::try_from(step).map_err(|_| misfit(&format!("step {step}")))?;
        }
        Ok(())
    }
}

impl Param {
    fn update(&mut self, grad: &Tensor, lr: f64, weight_decay: f64) {
        self.step += 1;
        if weight_decay != 0.0 {
            let _ = self.value.g_mul_scalar_(1.0 - lr * weight_decay);
        }
        let _ = self.exp_avg.lerp_(grad, 1.0 - BETA1);
        let _ = self.exp_avg_sq.g_mul_scalar_(BETA2);
        torch::addcmul_value_(&mut self.exp_avg_sq, grad, grad, 1.0 - BETA2);

        let bias_correction1 = 1.0 - BETA1.powf(self.step.into());
        let bias_correction2 = 1.0 - BETA2.powf(self.step.into());
        let step_size = lr / bias_correction1;
        // Python writes `** 0.5`, which is the C library's pow; the compiler must not make it a sqrt.
        let bias_correction2_sqrt = bias_correction2.powf(black_box(0.5));
        let denom = self.exp_avg_sq.sqrt().g_div_scalar(bias_correction2_sqrt).g_add_scalar_(EPS);
        torch::addcdiv_value_(&mut self.value, &self.exp_avg, &denom, -step_size);
    }
}
