//! A fresh `BatchNorm2d`, one batch in training, and the same batch in evaluation.

use tch::nn::{ModuleT, VarStore};
use tch::{Device, Kind, Tensor};
use tch_extra::state_dict::state;

use crate::norm::{Dims, native};

/// Every dimension of (N, C, H, W) except the channels'.
pub const CHANNELWISE: &[i64] = &[0, 2, 3];

/// Two forward passes of a fresh layer; no weight is trained.
#[derive(Debug)]
pub struct OnePass {
    /// The input, (N, C, H, W).
    pub x: Tensor,
    /// In training mode: normalized by the batch's own mean and variance.
    pub training: Pass,
    /// In evaluation mode afterwards: normalized by the running statistics, which it leaves as they were.
    pub evaluation: Pass,
}

/// One pass, and the layer after it.
#[derive(Debug)]
pub struct Pass {
    /// The output, (N, C, H, W).
    pub output: Tensor,
    /// The layer's `state_dict()`: weight, bias, running mean and variance, (C,), and the count of batches.
    pub state: Vec<(String, Tensor)>,
}

impl OnePass {
    /// Passes `x` of shape (N, C, H, W) through `nn.BatchNorm2d(C)`.
    pub fn of(x: Tensor) -> Self {
        let vs = VarStore::new(Device::Cpu);
        let layer = native::BatchNorm::new(&vs.root(), x.size()[1], Dims::Four);
        let pass = |train| {
            let output = layer.forward_t(&x, train).detach();
            // In memory of its own.
            let state = state(&vs).into_iter().map(|(name, tensor)| (name, tensor.copy()));
            Pass { output, state: state.collect() }
        };
        let (training, evaluation) = (pass(true), pass(false));
        Self { x, training, evaluation }
    }

    /// The largest difference between an output in training and in evaluation.
    pub fn largest_difference(&self) -> Tensor {
        (&self.training.output - &self.evaluation.output).abs().max()
    }

    /// The state after training, and what sums up the outputs: mean and biased variance by channel, and how far apart they are.
    pub fn figures(&self) -> Vec<(String, Tensor)> {
        let copy = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.copy());
        let mut figures: Vec<_> = self.training.state.iter().map(copy).collect();
        for (mode, pass) in [("training", &self.training), ("evaluation", &self.evaluation)] {
            figures.push((format!("{mode}.mean"), pass.mean()));
            figures.push((format!("{mode}.var"), pass.var()));
        }
        figures.push(("largest_difference".to_owned(), self.largest_difference()));
        figures
    }
}

impl Pass {
    /// The mean of the output by channel, (C,).
    pub fn mean(&self) -> Tensor {
        self.output.mean_dim(CHANNELWISE, false, None::<Kind>)
    }

    /// The biased variance of the output by channel, (C,).
    pub fn var(&self) -> Tensor {
        self.output.var_dim(CHANNELWISE, false, false)
    }

    /// A tensor of the state, by its name in PyTorch.
    ///
    /// # Panics
    /// If `BatchNorm2d` has no such tensor.
    pub fn get(&self, name: &str) -> &Tensor {
        let found = self.state.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("BatchNorm2d has no tensor {name}")).1
    }
}
