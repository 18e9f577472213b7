//! Adam and AdamW.

use std::hint::black_box;

use tch::Tensor;

use super::{Optimizer, misfit};
use crate::Result;
use crate::{clear_grad, multi_tensor};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// PyTorch's `torch.optim.Adam` (Kingma and Ba, 2015) and `torch.optim.AdamW` (Loshchilov and Hutter, 2019)
/// with their default betas and eps.
///
/// The operations and their order are those of `_multi_tensor_adam` in `torch/optim/adam.py`, which Python takes on CUDA. On a CPU
/// its kernels go through the parameters one by one, to the bits of `_single_tensor_adam`, which Python takes there.
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

    /// Updates the parameters that have a gradient.
    fn update(&mut self) {
        let mut params: Vec<&mut Param> = self
            .params
            .iter_mut()
            .filter_map(|param| param.value.grad().defined().then_some(param))
            .collect();
        if params.is_empty() {
            return;
        }
        params.iter_mut().for_each(|param| param.step += 1);
        let list = |of: fn(&Param) -> Tensor| params.iter().map(|param| of(param)).collect::<Vec<_>>();
        let mut values = list(|param| param.value.shallow_clone());
        let mut exp_avgs = list(|param| param.exp_avg.shallow_clone());
        let mut exp_avg_sqs = list(|param| param.exp_avg_sq.shallow_clone());
        let grads = list(|param| param.value.grad());

        if self.weight_decay != 0.0 {
            multi_tensor::foreach_mul_(&mut values, 1.0 - self.lr * self.weight_decay);
        }
        multi_tensor::foreach_lerp_(&mut exp_avgs, &grads, 1.0 - BETA1);
        multi_tensor::foreach_mul_(&mut exp_avg_sqs, BETA2);
        multi_tensor::foreach_addcmul_(&mut exp_avg_sqs, &grads, &grads, 1.0 - BETA2);

        let corrections: Vec<_> = params.iter().map(|param| Correction::at(param.step, self.lr)).collect();
        let roots: Vec<_> = corrections.iter().map(|correction| correction.bias2_sqrt).collect();
        let step_sizes: Vec<_> = corrections.iter().map(|correction| -correction.step_size).collect();
        let mut denoms = multi_tensor::foreach_sqrt(&exp_avg_sqs);
        multi_tensor::foreach_div_(&mut denoms, &roots);
        multi_tensor::foreach_add_scalar_(&mut denoms, EPS);
        multi_tensor::foreach_addcdiv_(&mut values, &exp_avgs, &denoms, &step_sizes);
    }
}

impl Optimizer for Adam {
    fn zero_grad(&mut self) {
        self.params.iter_mut().for_each(|param| clear_grad(&mut param.value));
    }

    fn step(&mut self) {
        tch::no_grad(|| self.update());
    }

    /// The number of the step decides the factors of an update. Python's `capturable=True` computes them on the device, to other
    /// bits.
    fn can_be_recorded(&self) -> bool {
        false
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

/// What makes up for running means that began at zero.
struct Correction {
    step_size: f64,
    bias2_sqrt: f64,
}

impl Correction {
    /// At the update number `step`, counted from 1.
    fn at(step: u32, lr: f64) -> Self {
        let bias1 = 1.0 - BETA1.powf(step.into());
        let bias2 = 1.0 - BETA2.powf(step.into());
        // Python writes `** 0.5`, which is the C library's pow; the compiler must not make it a sqrt.
        Self { step_size: lr / bias1, bias2_sqrt: bias2.powf(black_box(0.5)) }
    }
}
