//! `torch.distributed` on its own engine, c10d: the store where processes meet, the process group that exchanges tensors, and
//! the reducer of `DistributedDataParallel`.
//!
//! Backend: Gloo, on the CPU. NCCL's header needs those of a CUDA toolkit, which the build does without.

mod ffi;
mod process_group;
mod reducer;
mod store;

pub use process_group::ProcessGroup;
pub use reducer::{ExchangeTimes, Reducer};
pub use store::{Store, StoreAddress};

#[cfg(test)]
pub(crate) mod tests;
