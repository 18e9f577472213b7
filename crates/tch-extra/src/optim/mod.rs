//! Optimizers in the order of operations of `torch.optim`'s Python code: the C++ optimizers that `tch` binds round differently (Adam) or
//! lack options.

mod adam;
mod sgd;

use tch::Tensor;

pub use adam::Adam;
pub use sgd::Sgd;

use crate::{Error, Result};

/// What a training loop needs of an optimizer.
pub trait Optimizer {
    /// Sets every parameter's gradient to none, as `optimizer.zero_grad()`.
    fn zero_grad(&mut self);

    /// Updates every parameter that has a gradient, in place.
    fn step(&mut self);

    /// Whether a recorded [`step`](Self::step) can be repeated: what changes from one to the next is in tensors, not in numbers of
    /// the host.
    fn can_be_recorded(&self) -> bool;

    /// What it remembers from step to step, as `optimizer.state_dict()["state"]` names it: `0.exp_avg`.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes over what [`state`](Self::state) gave of an optimizer of the same parameters.
    ///
    /// # Errors
    /// If there is another number of tensors, or one has another name or shape.
    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()>;
}

/// The state of another optimizer than it was given to.
fn misfit(found: &str) -> Error {
    Error::OptimizerState(found.to_owned())
}
