//! One epoch of d2l's `train_ch6` (section 6.6.2) or `train_ch13` (section 13.1), which differ in the loss.

use std::ops::ControlFlow;

use super::{DistributedDataParallel, Loss, Metric};
use crate::Result;
use crate::data::Batch;
use crate::layers::Module;
use crate::optim::Optimizer;

/// Where an epoch stands after a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Batches done.
    pub batches: usize,
    /// Images of the last one.
    pub batch_size: usize,
    /// Sums over them.
    pub metric: Metric,
}

/// Trains `net` on every batch of `batches` once, and gives the sums of loss and accuracy that were measured
/// while the weights changed; `None` if `observe`, which is called with network and optimizer after every batch, breaks
/// off. Begins after `done`, an epoch's first batches that were trained on before. With `ranks`, gradients are averaged over
/// them; the sums are this rank's own.
///
/// # Errors
/// If the exchange with another rank breaks off.
pub fn train_epoch(
    net: &mut dyn Module,
    batches: impl Iterator<Item = Batch>,
    optimizer: &mut dyn Optimizer,
    ranks: Option<&DistributedDataParallel>,
    loss: Loss,
    done: Progress,
    mut observe: impl FnMut(Progress, &mut dyn Module, &mut dyn Optimizer) -> ControlFlow<()>,
) -> Result<Option<Metric>> {
    let mut progress = done;
    for batch in batches {
        optimizer.zero_grad();
        let y_hat = match ranks {
            Some(ranks) => ranks.forward(net, &batch.x)?,
            None => net.forward(&batch.x, true),
        };
        let l = loss.of(&y_hat, &batch.y);
        l.backward();
        optimizer.step();
        progress.metric.add(loss, &l, &y_hat, &batch.y);
        progress.batches += 1;
        progress.batch_size = batch.y.numel();
        if observe(progress, net, optimizer).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(progress.metric))
}
