#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod error;
#[cfg(any(feature = "image-files", feature = "tch"))]
mod foreign;
pub mod image;
#[cfg(feature = "image-files")]
mod image_file;
pub mod loader;
pub mod random;
pub mod transforms;

pub use error::{Error, Result};
