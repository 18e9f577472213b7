//! One epoch of d2l's `train_ch6` (section 6.6.2) or `train_ch13` (section 13.1), which differ in the loss.

use std::ops::ControlFlow;

use super::{Loss, Metric, Sums, Tally};
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

/// An epoch after a batch, for who watches it. The device may still be computing that batch.
#[derive(Clone, Copy, Debug)]
pub struct AfterBatch<'a> {
    /// Batches done.
    pub batches: usize,
    /// Images of the last one.
    pub batch_size: usize,
    sums: &'a Sums,
}

impl AfterBatch<'_> {
    /// Where the epoch stands; waits for the device, if the sums are kept there.
    pub fn progress(&self) -> Progress {
        Progress { batches: self.batches, batch_size: self.batch_size, metric: self.sums.read() }
    }
}

/// Trains `net` on every batch of `batches` once, and gives the sums of loss and accuracy that were measured
/// while the weights changed; `None` if `observe`, which is called with network and optimizer after every batch, breaks
/// off. Begins after `done`, an epoch's first batches that were trained on before. `tally` says where the sums are kept.
pub fn train_epoch(
    net: &mut dyn Module,
    batches: impl Iterator<Item = Batch>,
    optimizer: &mut dyn Optimizer,
    loss: Loss,
    done: Progress,
    tally: Tally,
    mut observe: impl FnMut(AfterBatch, &mut dyn Module, &mut dyn Optimizer) -> ControlFlow<()>,
) -> Option<Metric> {
    let mut sums = Sums::after(done.metric, tally);
    for (number, batch) in (done.batches + 1..).zip(batches) {
        optimizer.zero_grad();
        let y_hat = net.forward(&batch.x, true);
        let l = loss.of(&y_hat, &batch.y);
        l.backward();
        optimizer.step();
        sums.add(loss, &l, &y_hat, &batch.y);
        let after = AfterBatch { batches: number, batch_size: batch.y.numel(), sums: &sums };
        if observe(after, net, optimizer).is_break() {
            return None;
        }
    }
    Some(sums.read())
}
