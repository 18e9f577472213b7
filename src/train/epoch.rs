//! One epoch of d2l's `train_ch6` (section 6.6.2) or `train_ch13` (section 13.1), which differ in the loss.

use std::ops::ControlFlow;

use super::{Loss, Metric};
use crate::data::Batches;
use crate::layers::Module;
use crate::optim::Optimizer;

/// Where an epoch stands after a batch.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Batches done.
    pub batches: usize,
    /// Images of the last one.
    pub batch_size: usize,
    /// Sums over them.
    pub metric: Metric,
}

/// Trains `net` on every batch of `batches` once, and gives the sums of loss and accuracy that were measured
/// while the weights changed; `None` if `observe`, which is called with the network after every batch, breaks off.
pub fn train_epoch(
    net: &mut dyn Module,
    batches: &dyn Batches,
    optimizer: &mut dyn Optimizer,
    loss: Loss,
    observe: &mut dyn FnMut(Progress, &mut dyn Module) -> ControlFlow<()>,
) -> Option<Metric> {
    let mut metric = Metric::default();
    for (i, batch) in batches.iter().enumerate() {
        optimizer.zero_grad();
        let y_hat = net.forward(&batch.x, true);
        let l = loss.of(&y_hat, &batch.y);
        l.backward();
        optimizer.step();
        metric.add(loss, &l, &y_hat, &batch.y);
        let batch_size = batch.y.numel();
        if observe(Progress { batches: i + 1, batch_size, metric }, net).is_break() {
            return None;
        }
    }
    Some(metric)
}
