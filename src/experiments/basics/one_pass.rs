//! A fresh `BatchNorm2d`, one batch in training, and the same batch in evaluation.

use tch::nn::{ModuleT, VarStore};
use tch::{Device, Kind, Tensor};

use crate::norm::{Dims, native};
use crate::state_dict::state;

/// One forward pass in training mode, then one in evaluation mode, of a fresh layer; no weight is trained.
#[derive(Debug)]
pub struct OnePass {
    /// The input, (N, C, H, W).
    pub x: Tensor,
    /// The output in training mode, of the same shape: normalized by the batch's own mean and variance.
    pub y: Tensor,
    /// The output in evaluation mode afterwards: normalized by the running statistics.
    pub evaluated: Tensor,
    /// The layer's `state_dict()` after the pass in training mode: weight, bias, running mean and variance, (C,), and
    /// the count of batches.
    pub state: Vec<(String, Tensor)>,
    /// The same after the pass in evaluation mode, which leaves it as it was.
    pub state_after_evaluation: Vec<(String, Tensor)>,
}

impl OnePass {
    /// Passes `x` of shape (N, C, H, W) through `nn.BatchNorm2d(C)`.
    pub fn of(x: Tensor) -> Self {
        let vs = VarStore::new(Device::Cpu);
        let layer = native::BatchNorm::new(&vs.root(), x.size()[1], Dims::Four);
        let y = layer.forward_t(&x, true).detach();
        let state = snapshot(&vs);
        let evaluated = layer.forward_t(&x, false).detach();
        let state_after_evaluation = snapshot(&vs);
        Self { x, y, evaluated, state, state_after_evaluation }
    }

    /// A tensor of the state after the pass in training mode, by its name in PyTorch.
    ///
    /// # Panics
    /// If `BatchNorm2d` has no such tensor.
    pub fn get(&self, name: &str) -> &Tensor {
        let found = self.state.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("BatchNorm2d has no tensor {name}")).1
    }

    /// The largest difference between an output in training and in evaluation.
    pub fn largest_difference(&self) -> Tensor {
        (&self.y - &self.evaluated).abs().max()
    }

    /// The state, and what sums up the outputs: mean and biased variance by channel, and how far apart they are.
    pub fn figures(&self) -> Vec<(String, Tensor)> {
        let mut figures: Vec<_> = self.state.iter().map(|(name, t)| (name.clone(), t.copy())).collect();
        for (mode, output) in [("training", &self.y), ("evaluation", &self.evaluated)] {
            figures.push((format!("{mode}.mean"), output.mean_dim(CHANNELWISE, false, None::<Kind>)));
            figures.push((format!("{mode}.var"), output.var_dim(CHANNELWISE, false, false)));
        }
        figures.push(("largest_difference".to_owned(), self.largest_difference()));
        figures
    }
}

/// Every dimension of (N, C, H, W) but the channels'.
const CHANNELWISE: &[i64] = &[0, 2, 3];

/// The state as it is now, in memory of its own.
fn snapshot(vs: &VarStore) -> Vec<(String, Tensor)> {
    state(vs).into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}
