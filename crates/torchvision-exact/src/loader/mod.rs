//! What a PyTorch `DataLoader` does besides making batches: it draws seeds and an order for every epoch, deals the batches to worker
//! processes with a random stream each, and has batches prepared ahead of training.

mod order;
mod prefetch;

pub use order::{DistributedSampler, EpochDraws, Sampler};
pub use prefetch::Prefetcher;
