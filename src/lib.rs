//! PyTorch notebooks on chapter 7 of "Dive into Deep Learning", in Rust on libtorch.
//!
//! With the same seed, libtorch, device and thread count, every number is the number that the Python notebook
//! prints, to the last bit. The map, from what a user runs down to what decides the bits:
//!
//! - [`cli`], [`experiments`]: what can be run; hyperparameters and wiring;
//! - [`train`]: the loops; [`data`]: data sets, and batches in PyTorch's order;
//! - [`distributed`]: several processes that train one network;
//! - [`nets`], [`layers`], [`norm`], [`init`]: networks, and how their weights begin;
//! - [`report`], [`weights`], [`checkpoint`], [`progress`]: what a run leaves and shows;
//! - [`output`], [`interrupt`], [`panics`], [`error`]: how the process speaks and ends;
//! - [`doctor`]: what keeps a run from starting, or from using the GPU;
//! - [`openmp`]: how long idle threads spin.
//!
//! Below are crates that other projects can take: [`tch_extra`] is what `tch` does not bind of libtorch, [`tch_c10d`] is
//! `torch.distributed`, [`torchvision_exact`] is torchvision's transforms and a `DataLoader`'s order.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
// `output` prints: println! panics where nobody reads.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod distributed;
pub mod doctor;
pub mod error;
pub mod experiments;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod init;
pub mod interrupt;
pub mod layers;
pub mod nets;
pub mod norm;
pub mod openmp;
pub mod output;
pub mod panics;
pub mod progress;
mod record;
pub mod report;
pub mod train;
pub mod weights;
mod whole_file;

pub use error::{Error, Result};
pub use record::{CellRecord, CellStatus, ChapterRecord, EpochRecord, Figure, RankRecord, StatisticsRecord};
