//! d2l's training loops, and what changes how a network computes: it wraps the network. No file and no plot is known here.

pub mod ch13;
pub mod ch6;
mod data_parallel;
mod distributed;
mod evaluate;
mod graphed;
mod loss;
mod metric;
mod numerics;

use std::ops::ControlFlow;

use crate::Result;
use crate::optim::Optimizer;

pub use data_parallel::DataParallel;
pub use distributed::DistributedDataParallel;
pub use evaluate::evaluate;
pub use graphed::{Graphed, WARM_UP};
pub use loss::Loss;
pub use metric::{Metric, Reading, Totals};
pub use numerics::Numerics;

/// What a training loop calls after every batch, with the number of its images, the sums so far and the optimizer. It may end the
/// epoch. The device may still be computing the batch.
pub type AfterBatch<'a> = &'a mut dyn FnMut(usize, &Metric, &dyn Optimizer) -> Result<ControlFlow<()>>;
