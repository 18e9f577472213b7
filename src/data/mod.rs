//! The data: files found, fetched and read; shuffled and batched; augmented.

pub mod fashion_mnist;
mod fetch;
pub mod idx;

pub use fashion_mnist::{FashionMnist, Images};
