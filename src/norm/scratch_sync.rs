//! Batch norm by hand over several processes: the book's formula, with means over the batches of all ranks.
//!
//! PyTorch's `nn.SyncBatchNorm`, which is on CUDA alone, computes the same by other kernels. The notebooks have neither.

use std::sync::Arc;

use tch::Tensor;

use super::scratch::{self, MOMENTUM, moved};
use super::{Dims, EPS};
use crate::layers::{BatchStatistics, Module, Slot, Synchronized};
use crate::torch::ProcessGroup;

/// A batch, of which this rank has a part, as the formula sees it. Tensors are of shape (C,) for a part (N, C), and
/// (1, C, 1, 1) for a part (N, C, H, W).
#[derive(Debug)]
struct Batch {
    /// Values of a channel in this rank's part.
    count: f64,
    /// Over this rank's part: of the values, and of the squares of their distances from `mean`.
    sums: [Tensor; 2],
    /// Over all parts; gradients flow through the exchange.
    mean: Tensor,
    /// Biased.
    var: Tensor,
}

impl Batch {
    /// Exchanges twice over `group`: for the mean, and for the variance about it.
    fn of(x: &Tensor, group: &ProcessGroup) -> Self {
        let sum = sum_of_part(x);
        let count = (x.numel() / sum.numel()) as f64;
        // The counts travel with the sums: parts may differ in size.
        let of_all = sum_over_ranks(&Tensor::stack(&[&sum, &sum.full_like(count)], 0), group);
        let count_of_all = of_all.get(1).detach();
        let mean = of_all.get(0) / &count_of_all;
        let squares = sum_of_part(&(x - &mean).pow_tensor_scalar(2));
        let var = sum_over_ranks(&squares, group) / &count_of_all;
        Self { count, sums: [sum, squares].map(|sum| sum.detach()), mean, var }
    }

    fn without_gradients(&self) -> Self {
        let Self { count, sums, mean, var } = self;
        let sums = sums.each_ref().map(Tensor::shallow_clone);
        Self { count: *count, sums, mean: mean.detach(), var: var.detach() }
    }

    fn statistics(&self) -> BatchStatistics {
        let [own_mean, squares] = self.sums.each_ref().map(|sum| sum / self.count);
        // The squares are about another mean than this part's own.
        let own_var = squares - (&own_mean - &self.mean).pow_tensor_scalar(2);
        let all = [&self.mean, &self.var].map(Tensor::shallow_clone);
        BatchStatistics { own: [own_mean, own_var], all }
    }
}

fn sum_of_part(t: &Tensor) -> Tensor {
    match t.dim() {
        2 => t.sum_dim_intlist(0i64, false, None),
        _ => t.sum_dim_intlist([0i64, 2, 3].as_slice(), true, None),
    }
}

/// The exchange, where a layer cannot give an error: a panic says what libtorch's own says in the backward pass.
fn sum_over_ranks(part: &Tensor, group: &ProcessGroup) -> Tensor {
    group.sum(part).unwrap_or_else(|error| panic!("{error}"))
}

/// [`scratch::BatchNorm`] whose batch in training is that of all ranks together. A rank that has joined no others computes as
/// [`scratch::BatchNorm`] does, to the last bit.
///
/// With N ranks of B images each it computes what [`scratch::BatchNorm`] does in one process with N x B images, rounded
/// otherwise; all ranks have the same moving statistics. A rank's gradients are of the sum of the ranks' losses:
/// [`DistributedDataParallel`](crate::train::DistributedDataParallel), which divides by N, makes them those of the mean.
#[derive(Debug)]
pub struct BatchNorm {
    layer: scratch::BatchNorm,
    group: Option<Arc<ProcessGroup>>,
    last: Option<Batch>,
}

impl BatchNorm {
    /// As [`scratch::BatchNorm::new`]; alone until it joins others.
    pub fn new(num_features: i64, dims: Dims) -> Self {
        Self { layer: scratch::BatchNorm::new(num_features, dims), group: None, last: None }
    }
}

impl Module for BatchNorm {
    fn name(&self) -> &'static str {
        "SyncBatchNorm"
    }

    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor {
        let Some(group) = self.group.as_ref().filter(|_| train) else { return self.layer.forward(x, train) };
        let layer = &mut self.layer;
        layer.move_statistics_to(x.device());
        let batch = Batch::of(x, group);
        let x_hat = (x - &batch.mean) / (&batch.var + EPS).sqrt();
        layer.moving_mean = moved(MOMENTUM, &layer.moving_mean, &batch.mean);
        layer.moving_var = moved(MOMENTUM, &layer.moving_var, &batch.var);
        self.last = Some(batch.without_gradients());
        &layer.gamma * x_hat + &layer.beta
    }

    fn tensors(&mut self) -> Vec<(&'static str, Slot, &mut Tensor)> {
        self.layer.tensors()
    }

    fn synchronized(&mut self) -> Option<&mut dyn Synchronized> {
        Some(self)
    }
}

impl Synchronized for BatchNorm {
    fn join(&mut self, group: &Arc<ProcessGroup>) {
        self.group = Some(Arc::clone(group));
    }

    fn statistics(&self) -> Option<BatchStatistics> {
        self.last.as_ref().map(Batch::statistics)
    }
}

#[cfg(test)]
mod tests;
