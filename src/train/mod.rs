//! The loops. They know networks, batches and optimizers as traits and tensors, and no file and no plot.

mod distributed;
mod epoch;
mod evaluate;
mod loss;
mod metric;
mod numerics;
mod parallel;
mod recorded;
mod sums;

pub use distributed::DistributedDataParallel;
pub use epoch::{AfterBatch, Progress, Training, train_epoch};
pub use evaluate::evaluate;
pub use loss::Loss;
pub use metric::Metric;
pub use numerics::{Numerics, WithNumerics};
pub use parallel::DataParallel;
pub use recorded::{RecordedStep, Steps, WARM_UP};
pub use sums::{Reading, Sums, Tally};
