//! Stochastic gradient descent.

use tch::Tensor;

use super::{Optimizer, misfit};
use crate::{Result, torch};

/// PyTorch's `torch.optim.SGD(params, lr)`: p ← p - lr · gradient.
#[derive(Debug)]
pub struct Sgd {
    params: Vec<Tensor>,
    lr: f64,
}

impl Sgd {
    /// Trains `params`, handles that share the network's memory, at the learning rate `lr`.
    pub fn new(params: Vec<Tensor>, lr: f64) -> Self {
        Self { params, lr }
    }
}

impl Optimizer for Sgd {
    fn zero_grad(&mut self) {
        self.params.iter_mut().for_each(torch::clear_grad);
    }

    fn step(&mut self) {
        tch::no_grad(|| {
            for param in &mut self.params {
                let grad = param.grad();
                if grad.defined() {
                    torch::add_alpha_(param, &grad, -self.lr);
                }
            }
        });
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        if state.is_empty() { Ok(()) } else { Err(misfit("plain SGD remembers nothing")) }
    }
}
