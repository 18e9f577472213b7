//! Stochastic gradient descent.

use tch::Tensor;

use super::{Optimizer, misfit};
use crate::Result;
use crate::{clear_grad, multi_tensor};

/// PyTorch's `torch.optim.SGD(params, lr)`: p ← p - lr · gradient, as `_multi_tensor_sgd` in `torch/optim/sgd.py`, which Python takes
/// on CUDA. On a CPU its kernel goes through the parameters one by one, to the bits of `_single_tensor_sgd`, which Python takes there.
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
        self.params.iter_mut().for_each(clear_grad);
    }

    fn step(&mut self) {
        let with_grad =
            |param: &Tensor| Some((param.shallow_clone(), param.grad())).filter(|(_, g)| g.defined());
        let (mut params, grads): (Vec<_>, Vec<_>) = self.params.iter().filter_map(with_grad).unzip();
        if !params.is_empty() {
            tch::no_grad(|| multi_tensor::foreach_add_(&mut params, &grads, -self.lr));
        }
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
