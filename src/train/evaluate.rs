//! d2l's `evaluate_accuracy_gpu` (section 6.6.2), which here measures the loss too.

use tch::nn::ModuleT;

use super::{Metric, Totals, cross_entropy};
use crate::data::{Batch, Batches};

/// Loss and accuracy of `net` over every batch of `test_iter`, in evaluation mode and without gradients. They are added to `metric`.
///
/// d2l measures the accuracy only. Measuring the loss draws no random number, so that no bit of a run changes.
pub fn evaluate(net: &dyn ModuleT, test_iter: &dyn Batches, mut metric: Metric) -> Totals {
    let _no_grad = tch::no_grad_guard();
    for Batch { x, y } in test_iter.iter() {
        let y_hat = net.forward_t(&x, false);
        let l = cross_entropy(&y_hat, &y);
        metric.add(&(l * y.size()[0]), &y_hat, &y);
    }
    metric.totals()
}
