#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
// What is unsafe is the C++ of `csrc/`: every block says why it is sound.
#![allow(unsafe_code)]

mod ddp;
mod error;
mod job;
mod launch;
mod process_group;
mod reducer;
mod store;
#[cfg(test)]
mod tests;
mod threads;

pub use ddp::DistributedDataParallel;
pub use error::{Error, Result};
pub use job::{Fault, Job, is_of_exchange};
pub use launch::Launch;
pub use process_group::ProcessGroup;
pub use reducer::{ExchangeTimes, Reducer};
pub use store::{Store, StoreAddress};
pub use threads::ranks_in_threads;
