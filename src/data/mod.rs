//! Data sets found, fetched and read, images transformed, and PyTorch's way of drawing batches from them.

mod checksum;
pub mod cifar10;
mod draws;
pub mod fashion_mnist;
mod fetch;
pub mod idx;
mod image_file;
mod images;
mod loader;
mod place;
mod sampler;
pub mod transforms;

pub use cifar10::Cifar10;
pub use draws::{DefaultGenerator, Draws, Mt19937};
pub use fashion_mnist::FashionMnist;
pub use images::Images;
pub use loader::{Batch, DataLoader, ImageSet};
pub use sampler::{epoch_order, randperm};
