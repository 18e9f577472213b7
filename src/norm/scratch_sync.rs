//! Batch norm by hand over several processes: the book's formula, with means over the batches of all ranks.
//!
//! PyTorch's `nn.SyncBatchNorm`, which exists on CUDA only, computes the same by other kernels. The notebooks have neither.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tch::{Tensor, nn};
use tch_c10d::ProcessGroup;

use super::scratch::{self, MOMENTUM, moved};
use super::{Dims, EPS};
use crate::layers::Layer;

/// The processes whose batches a network normalizes over, and the statistics of each layer's last batch.
#[derive(Debug, Default)]
pub struct Ranks {
    /// `None`: a single process.
    group: Option<Arc<ProcessGroup>>,
    /// The last batch of each layer by the layer's name, in the network's order.
    last: Mutex<Vec<(String, Batch)>>,
}

/// Mean and biased variance of each channel over a batch. All four tensors have one shape; no gradient flows through them.
#[derive(Debug)]
pub struct BatchStatistics {
    /// Over this rank's part of the batch.
    pub own: [Tensor; 2],
    /// Over all ranks' parts: the layer normalized with these.
    pub all: [Tensor; 2],
}

impl Ranks {
    /// The processes of `group`.
    pub fn of(group: &Arc<ProcessGroup>) -> Self {
        Self { group: Some(Arc::clone(group)), last: Mutex::default() }
    }

    /// The statistics of the last training batch, by the layer's name; empty before the first.
    pub fn statistics(&self) -> Vec<(String, BatchStatistics)> {
        self.last().iter().map(|(name, batch)| (name.clone(), batch.statistics())).collect()
    }

    fn keep(&self, layer: &str, batch: Batch) {
        let mut last = self.last();
        match last.iter_mut().find(|(name, _)| name == layer) {
            Some((_, before)) => *before = batch,
            None => last.push((layer.to_owned(), batch)),
        }
    }

    fn last(&self) -> MutexGuard<'_, Vec<(String, Batch)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statistics of a batch that is spread over the ranks. Tensors have the shape (C,) for a part (N, C), and (1, C, 1, 1) for
/// a part (N, C, H, W).
#[derive(Debug)]
struct Batch {
    /// Values of a channel in this rank's part.
    count: f64,
    /// Two sums over this rank's part: of the values, and of the squares of their distances from `mean`.
    sums: [Tensor; 2],
    /// The mean over all parts; gradients flow through the exchange.
    mean: Tensor,
    /// The biased variance over all parts.
    var: Tensor,
}

impl Batch {
    /// Exchanges twice over `group`: for the mean, then for the variance around it.
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

    fn without_gradients(self) -> Self {
        Self { mean: self.mean.detach(), var: self.var.detach(), ..self }
    }

    fn statistics(&self) -> BatchStatistics {
        let [own_mean, squares] = self.sums.each_ref().map(|sum| sum / self.count);
        // The squares are taken around the mean of all parts, not around this part's own.
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

/// The sum over all ranks. A layer cannot return an error: it panics with the words of libtorch's own panic in the backward pass.
fn sum_over_ranks(part: &Tensor, group: &ProcessGroup) -> Tensor {
    group.sum(part).unwrap_or_else(|error| panic!("{error}"))
}

/// [`scratch::BatchNorm`] that in training normalizes over the batches of all ranks. A single process computes as
/// [`scratch::BatchNorm`] does, to the last bit.
///
/// With N ranks of B images each it computes what [`scratch::BatchNorm`] computes in one process with N x B images, except for
/// rounding; all ranks have the same moving statistics. Gradients are those of the sum of the ranks' losses, which
/// [`DistributedDataParallel`](tch_c10d::DistributedDataParallel) divides by N.
#[derive(Debug)]
pub struct BatchNorm {
    layer: scratch::BatchNorm,
    /// The layer's name in the network, such as `1`.
    name: String,
    ranks: Arc<Ranks>,
}

impl BatchNorm {
    /// A layer as [`scratch::BatchNorm::new`] makes it, that normalizes over the batches of `ranks`.
    pub fn new(p: &nn::Path, num_features: i64, dims: Dims, ranks: &Arc<Ranks>) -> Self {
        let name = p.components().collect::<Vec<_>>().join(".");
        Self { layer: scratch::BatchNorm::new(p, num_features, dims), name, ranks: Arc::clone(ranks) }
    }
}

impl nn::ModuleT for BatchNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let Some(group) = self.ranks.group.as_ref().filter(|_| train) else {
            return self.layer.forward_t(x, train);
        };
        let scratch::BatchNorm { gamma, beta, moving_mean, moving_var } = &self.layer;
        let batch = Batch::of(x, group);
        let x_hat = (x - &batch.mean) / (&batch.var + EPS).sqrt();
        self.layer.keep(&moved(MOMENTUM, moving_mean, &batch.mean), &moved(MOMENTUM, moving_var, &batch.var));
        self.ranks.keep(&self.name, batch.without_gradients());
        gamma * x_hat + beta
    }
}

impl Layer for BatchNorm {
    fn class(&self) -> &'static str {
        "SyncBatchNorm"
    }
}
