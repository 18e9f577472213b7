//! Data sets found, fetched and read, images transformed, and PyTorch's way of drawing batches from them.

mod draws;
pub mod fashion_mnist;
mod fetch;
pub mod idx;
mod image_file;
mod loader;
mod sampler;
pub mod transforms;

pub use draws::{DefaultGenerator, Draws, Mt19937};
pub use fashion_mnist::{FashionMnist, Images};
pub use loader::{Batch, DataLoader, ImageSet};
pub use sampler::{epoch_order, randperm};
