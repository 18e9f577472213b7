//! Batch norm by hand over several processes: the book's formula, with means over the batches of all ranks.
//!
//! PyTorch's `nn.SyncBatchNorm`, which is on CUDA alone, computes the same by other kernels. The notebooks have neither.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tch::{Tensor, nn};

use super::scratch::{self, MOMENTUM, moved};
use super::{Dims, EPS};
use crate::layers::Layer;
use crate::torch::ProcessGroup;

/// The processes over whose batches a network normalizes, and what its layers last normalized by.
#[derive(Debug, Default)]
pub struct Ranks {
    /// `None`: this process alone.
    group: Option<Arc<ProcessGroup>>,
    /// By the layer's name.
    last: Mutex<BTreeMap<String, Batch>>,
}

/// Mean and biased variance of each channel over a batch: tensors of one shape each, which no gradient flows through.
#[derive(Debug)]
pub struct BatchStatistics {
    /// Of this rank's part of the batch.
    pub own: [Tensor; 2],
    /// Of all ranks' parts, as the layer normalized by.
    pub all: [Tensor; 2],
}

impl Ranks {
    /// The processes of `group`.
    pub fn of(group: &Arc<ProcessGroup>) -> Self {
        Self { group: Some(Arc::clone(group)), last: Mutex::default() }
    }

    /// The statistics of the last batch of training, by the layer's name; empty before the first.
    pub fn statistics(&self) -> Vec<(String, BatchStatistics)> {
        self.last().iter().map(|(name, batch)| (name.clone(), batch.statistics())).collect()
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<String, Batch>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

    fn without_gradients(self) -> Self {
        Self { mean: self.mean.detach(), var: self.var.detach(), ..self }
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

/// [`scratch::BatchNorm`] whose batch in training is that of all ranks together. Alone, a rank computes as
/// [`scratch::BatchNorm`] does, to the last bit.
///
/// With N ranks of B images each it computes what [`scratch::BatchNorm`] does in one process with N x B images, rounded
/// otherwise; all ranks have the same moving statistics. A rank's gradients are of the sum of the ranks' losses:
/// [`DistributedDataParallel`](crate::train::DistributedDataParallel), which divides by N, makes them those of the mean.
#[derive(Debug)]
pub struct BatchNorm {
    layer: scratch::BatchNorm,
    /// In the network: `1`.
    name: String,
    ranks: Arc<Ranks>,
}

impl BatchNorm {
    /// As [`scratch::BatchNorm::new`], over the batches of `ranks`.
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
        self.ranks.last().insert(self.name.clone(), batch.without_gradients());
        gamma * x_hat + beta
    }
}

impl Layer for BatchNorm {
    fn class(&self) -> &'static str {
        "SyncBatchNorm"
    }
}

#[cfg(test)]
mod tests;
