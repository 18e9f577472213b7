//! Stochastic gradient descent.

use tch::Tensor;

use super::{Optimizer, misfit, takes_foreach};
use crate::Result;
use crate::torch::{self, multi_tensor};

/// PyTorch's `torch.optim.SGD(params, lr)`: p ← p - lr · gradient.
#[derive(Debug)]
pub struct Sgd {
    params: Vec<Tensor>,
    lr: f64,
    foreach: bool,
}

impl Sgd {
    /// Trains `params`, handles that share the network's memory, at the learning rate `lr`.
    pub fn new(params: Vec<Tensor>, lr: f64) -> Self {
        Self { foreach: takes_foreach(&params), params, lr }
    }

    /// `foreach=`: whether all parameters are updated together. By default on CUDA, as in Python.
    #[must_use]
    pub fn foreach(self, foreach: bool) -> Self {
        Self { foreach, ..self }
    }

    /// `_multi_tensor_sgd` in `torch/optim/sgd.py`.
    fn step_together(&mut self) {
        let with_grad =
            |param: &Tensor| Some((param.shallow_clone(), param.grad())).filter(|(_, g)| g.defined());
        let (mut params, grads): (Vec<_>, Vec<_>) = self.params.iter().filter_map(with_grad).unzip();
        if !params.is_empty() {
            multi_tensor::foreach_add_(&mut params, &grads, -self.lr);
        }
    }
}

impl Optimizer for Sgd {
    fn zero_grad(&mut self) {
        self.params.iter_mut().for_each(torch::clear_grad);
    }

    fn step(&mut self) {
        tch::no_grad(|| {
            if self.foreach {
                return self.step_together();
            }
            for param in &mut self.params {
                let grad = param.grad();
                if grad.defined() {
                    torch::add_alpha_(param, &grad, -self.lr);
                }
            }
        });
    }

    fn can_be_recorded(&self) -> bool {
        true
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        if state.is_empty() { Ok(()) } else { Err(misfit("plain SGD remembers nothing")) }
    }
}
