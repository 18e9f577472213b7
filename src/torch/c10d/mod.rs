//! `torch.distributed` on its own engine, c10d: the store where processes meet, the process group that exchanges tensors, and
//! the reducer of `DistributedDataParallel`.
//!
//! Backends: Gloo for tensors on the CPU; NCCL for those on CUDA devices, where its headers and CUDA's were found.

mod process_group;
mod reducer;
mod store;

pub use process_group::ProcessGroup;
pub use reducer::{ExchangeTimes, Reducer};
pub use store::{Store, StoreAddress};

#[cfg(test)]
pub(crate) mod tests;
