//! One epoch of d2l's `train_ch6` (section 6.6.2).

use std::ops::ControlFlow;

use tch::{Reduction, Tensor};

use super::Metric;
use crate::data::DataLoader;
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
    batches: &DataLoader,
    optimizer: &mut dyn Optimizer,
    observe: &mut dyn FnMut(Progress, &mut dyn Module) -> ControlFlow<()>,
) -> Option<Metric> {
    let mut metric = Metric::default();
    for (i, batch) in batches.iter().enumerate() {
        optimizer.zero_grad();
        let y_hat = net.forward(&batch.x, true);
        let loss = cross_entropy(&y_hat, &batch.y);
        loss.backward();
        optimizer.step();
        metric.add(&loss, &y_hat, &batch.y);
        let batch_size = batch.y.numel();
        if observe(Progress { batches: i + 1, batch_size, metric }, net).is_break() {
            return None;
        }
    }
    Some(metric)
}

/// `nn.CrossEntropyLoss()`: the mean over the batch of -log softmax(y_hat)[y], for logits (B, classes) and
/// labels (B,).
pub(super) fn cross_entropy(y_hat: &Tensor, y: &Tensor) -> Tensor {
    y_hat.cross_entropy_loss(y, None::<Tensor>, Reduction::Mean, -100, 0.0)
}
