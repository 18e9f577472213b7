//! d2l's training loops, and wrappers that change how a network computes. This folder knows no file and no plot.

pub mod ch13;
pub mod ch6;
mod data_parallel;
mod evaluate;
mod graphed;
mod loss;
mod metric;
mod numerics;

use std::ops::ControlFlow;

use tch_extra::optim::Optimizer;

use crate::Result;

pub use data_parallel::DataParallel;
pub use evaluate::evaluate;
pub use graphed::{Graphed, WARM_UP};
pub use loss::{Loss, cross_entropy, summed_cross_entropy};
pub use metric::{Metric, Reading, Totals};
pub use numerics::Numerics;

/// A callback that a training loop calls after every batch, with the number of images, the sums so far and the optimizer. It may
/// end the epoch. The device may still be computing the batch.
pub type AfterBatch<'a> = &'a mut dyn FnMut(usize, &Metric, &dyn Optimizer) -> Result<ControlFlow<()>>;
