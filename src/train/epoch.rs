//! One epoch of d2l's `train_ch6` (section 6.6.2) or `train_ch13` (section 13.1), which differ in the loss.

use std::ops::ControlFlow;

use super::{DistributedDataParallel, Loss, Metric, Reading, Steps, Sums, Tally};
use crate::Result;
use crate::data::Epoch;
use crate::layers::{Module, parameters};
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
    /// Begins to read the sums; nobody waits for the device.
    ///
    /// # Errors
    /// If the device does not take it.
    pub fn begin_reading(&self) -> Result<Reading> {
        self.sums.begin_reading()
    }

    /// Where the epoch stands; waits for the device, if the sums are kept there.
    pub fn progress(&self) -> Progress {
        Progress { batches: self.batches, batch_size: self.batch_size, metric: self.sums.read() }
    }
}

/// What a step does beside the network and the optimizer.
#[derive(Debug)]
pub struct Training<'a> {
    /// What it minimizes.
    pub loss: Loss,
    /// How it is done.
    pub steps: Steps<'a>,
    /// The processes over which gradients are averaged, if there are several.
    pub ranks: Option<&'a DistributedDataParallel<'a>>,
}

impl Training<'_> {
    /// d2l's: one process, sums on the host.
    pub fn alone(loss: Loss) -> Self {
        Self { loss, steps: Steps::Run(Tally::Host), ranks: None }
    }
}

/// Trains `net` on every batch of `epoch` once, and gives the sums of loss and accuracy that were measured
/// while the weights changed; `None` if `observe`, which is called with network and optimizer after every batch, breaks
/// off. Begins after `done`, an epoch's first batches that were trained on before. Of several ranks, the sums are this one's.
///
/// # Errors
/// If the exchange with another rank breaks off, or if CUDA does not take a recorded step.
pub fn train_epoch(
    net: &mut dyn Module,
    mut epoch: Epoch,
    optimizer: &mut dyn Optimizer,
    training: Training,
    done: Progress,
    mut observe: impl FnMut(AfterBatch, &mut dyn Module, &mut dyn Optimizer) -> ControlFlow<()>,
) -> Result<Option<Metric>> {
    let Training { loss, mut steps, ranks } = training;
    let mut sums = steps.begin(net, &epoch, done.metric);
    let params = parameters(net);
    // An update that the host takes part in follows what is recorded.
    let updates_within = matches!(steps, Steps::Run(_)) || optimizer.can_be_recorded();
    let mut batches = done.batches;
    while let Some(drawn) = epoch.draw() {
        steps.run(&epoch, &drawn, &params, &mut sums, |batch, sums| {
            optimizer.zero_grad();
            let y_hat = match ranks {
                Some(ranks) => ranks.forward(net, &batch.x)?,
                None => net.forward(&batch.x, true),
            };
            let l = loss.of(&y_hat, &batch.y);
            l.backward();
            if updates_within {
                optimizer.step();
            }
            sums.add(loss, &l, &y_hat, &batch.y);
            Ok(())
        })?;
        if !updates_within {
            optimizer.step();
        }
        batches += 1;
        let after = AfterBatch { batches, batch_size: drawn.images(), sums: &sums };
        if observe(after, net, optimizer).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(sums.read()))
}
