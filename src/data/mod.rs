//! Data sets, and PyTorch's way of drawing batches from them.

mod loader;
mod sampler;

pub use loader::{Batch, DataLoader, ImageSet};
pub use sampler::{epoch_order, randperm};
