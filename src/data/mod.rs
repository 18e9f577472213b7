//! Data sets found, fetched and read, and PyTorch's way of drawing batches from them.

mod batches;
mod checksum;
pub mod cifar10;
mod data_folder;
mod default_generator;
pub mod fashion_mnist;
mod fetch;
pub mod idx;
mod image_loader;
mod images;
mod loader;

pub use batches::{Batch, Batches, Drawn, Epoch};
pub use cifar10::Cifar10;
pub use data_folder::can_be_fetched;
pub use default_generator::DefaultGenerator;
pub use fashion_mnist::FashionMnist;
pub use image_loader::ImageLoader;
pub use images::{DataSet, Images};
pub use loader::{DataLoader, ImageSet};
