//! d2l's `train_ch13` (section 13.1), which trains ResNet-18: `train_ch6` with a loss that is summed over the batch.

use std::ops::ControlFlow;

use tch::nn::ModuleT;
use tch_extra::optim::Optimizer;

use super::{AfterBatch, Metric, summed_cross_entropy};
use crate::Result;
use crate::data::{Batch, Epoch};

/// One epoch of `train_ch13`: trains `net` on every batch of `batches`. Each batch's loss and accuracy, as they were before its
/// step, are added to `metric`.
///
/// # Errors
/// Those of `after_batch`.
pub fn train_epoch(
    net: &dyn ModuleT,
    batches: Epoch,
    optimizer: &mut dyn Optimizer,
    metric: &mut Metric,
    after_batch: AfterBatch,
) -> Result<ControlFlow<()>> {
    for Batch { x, y } in batches {
        optimizer.zero_grad();
        let pred = net.forward_t(&x, true);
        let l = summed_cross_entropy(&pred, &y);
        l.backward();
        optimizer.step();
        metric.add(&l.detach(), &pred, &y);
        if after_batch(y.numel(), metric, optimizer)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
