//! d2l's `evaluate_accuracy_gpu` (section 6.6.2), and the loss beside it.

use super::{Loss, Metric, Steps};
use crate::Result;
use crate::data::Batches;
use crate::layers::Module;

/// Loss and accuracy of `net` over every batch of `batches`, in evaluation mode and without gradients; `steps` says how, or just
/// where the sums are kept.
///
/// d2l measures the accuracy alone; the loss draws no random number and so changes no bit of a run.
///
/// # Errors
/// If CUDA does not take a recorded step.
pub fn evaluate<'a>(
    net: &mut dyn Module,
    batches: &dyn Batches,
    steps: impl Into<Steps<'a>>,
) -> Result<Metric> {
    let mut steps = steps.into();
    let _no_grad = tch::no_grad_guard();
    let mut epoch = batches.iter();
    let mut sums = steps.begin(net, &epoch, Metric::default());
    while let Some(drawn) = epoch.draw() {
        steps.run(&epoch, &drawn, &[], &mut sums, |batch, sums| {
            let y_hat = net.forward(&batch.x, false);
            sums.add(Loss::Mean, &Loss::Mean.of(&y_hat, &batch.y), &y_hat, &batch.y);
            Ok(())
        })?;
    }
    Ok(sums.read())
}
