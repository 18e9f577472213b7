//! d2l's `train_ch6` (section 6.6.2), which trains the LeNets.

use std::ops::ControlFlow;

use tch::nn::ModuleT;
use tch_extra::optim::Optimizer;

use super::{AfterBatch, Metric, cross_entropy};
use crate::Result;
use crate::data::{Batch, Epoch};

/// One epoch of `train_ch6`: trains `net` on every batch of `batches`. Each batch's loss and accuracy, as they were before its
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
        let y_hat = net.forward_t(&x, true);
        let l = cross_entropy(&y_hat, &y);
        l.backward();
        optimizer.step();
        metric.add(&(l.detach() * y.size()[0]), &y_hat, &y);
        if after_batch(y.numel(), metric, optimizer)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
