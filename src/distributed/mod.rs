//! Several processes that train one network, on torch's own engine: each is a rank of a job that `torchrun` starts.
//!
//! Without a launcher there is no job, and nothing here runs. How a rank trains is in
//! [`DistributedDataParallel`](tch_c10d::DistributedDataParallel), what it trains on in
//! [`DistributedSampler`](torchvision_exact::loader::DistributedSampler).

mod faults;
mod job;
mod launch;

pub use job::{Distributed, local_rank, together};
pub use launch::Launch;
