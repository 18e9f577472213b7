//! d2l's `evaluate_accuracy_gpu` (section 6.6.2), and the loss beside it.

use super::{Loss, Metric, Sums, Tally};
use crate::data::Batches;
use crate::layers::Module;

/// Loss and accuracy of `net` over every batch of `batches`, in evaluation mode and without gradients; `tally` says where the
/// sums are kept.
///
/// d2l measures the accuracy alone; the loss draws no random number and so changes no bit of a run.
pub fn evaluate(net: &mut dyn Module, batches: &dyn Batches, tally: Tally) -> Metric {
    tch::no_grad(|| {
        let mut sums = Sums::after(Metric::default(), tally);
        for batch in batches.iter() {
            let y_hat = net.forward(&batch.x, false);
            sums.add(Loss::Mean, &Loss::Mean.of(&y_hat, &batch.y), &y_hat, &batch.y);
        }
        sums.read()
    })
}
