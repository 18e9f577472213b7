//! The optimizers of the notebooks, in the order of operations of `torch.optim`'s Python code: the C++
//! optimizers that `tch` binds round differently (Adam) or lack options.

mod adam;
mod sgd;

pub use adam::Adam;
pub use sgd::Sgd;

/// What a training loop needs of an optimizer.
pub trait Optimizer {
    /// Sets every parameter's gradient to none, as `optimizer.zero_grad()`.
    fn zero_grad(&mut self);

    /// Updates every parameter that has a gradient, in place.
    fn step(&mut self);
}
