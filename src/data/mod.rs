//! Data sets found, fetched and read, images transformed, and PyTorch's way of drawing batches from them.

mod batches;
mod checksum;
pub mod cifar10;
mod data_folder;
mod draws;
pub mod fashion_mnist;
mod fetch;
pub mod idx;
mod image_file;
mod image_loader;
mod images;
mod loader;
mod sampler;
pub mod transforms;

pub use batches::{Batch, Batches, Drawn, Epoch};
pub use cifar10::Cifar10;
pub use data_folder::can_be_fetched;
pub use draws::{DefaultGenerator, Draws, Mt19937};
pub use fashion_mnist::FashionMnist;
pub use image_loader::ImageLoader;
pub use images::{DataSet, Images};
pub use loader::{DataLoader, ImageSet};
pub use sampler::{EpochDraws, Sampler, Share, epoch_order, randperm};
