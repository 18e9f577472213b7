//! PyTorch notebooks on chapter 7 of "Dive into Deep Learning", in Rust on libtorch.

pub mod data;
pub mod error;
pub mod experiments;
pub mod init;
pub mod layers;
pub mod nets;
pub mod norm;
pub mod optim;
pub mod record;
pub mod report;
pub mod torch;
pub mod train;

pub use error::{Error, Result};
pub use record::EpochRecord;
