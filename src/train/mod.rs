//! The loops. They know networks, batches and optimizers as traits and tensors, and no file and no plot.

mod ch6;
mod evaluate;
mod metric;

pub use ch6::{Progress, train_epoch};
pub use evaluate::evaluate;
pub use metric::Metric;
