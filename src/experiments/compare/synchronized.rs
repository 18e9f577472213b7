//! What the batch norms of `scratch-sync` normalized by, beside what each process's own batch has.

use tch::{Kind, Tensor};

use crate::Result;
use crate::distributed::Distributed;
use crate::norm::scratch_sync::{BatchStatistics, Ranks};
use crate::report::{ChannelStatistics, Synchronization, SynchronizedLayer};

/// Gathers what the layers of `normalized` saw of the last batch of training, in `epoch`; `None` if they saw none: a run that was
/// resumed has not trained yet. Every rank calls it.
///
/// # Errors
/// If another rank is gone.
pub(super) fn gather(
    variant: String,
    epoch: usize,
    normalized: &Ranks,
    ranks: &Distributed,
) -> Result<Option<Synchronization>> {
    let found = normalized.statistics();
    let layer = |(name, BatchStatistics { own, all }): (String, BatchStatistics)| {
        let ranks = ranks.gather(&floats(&own))?.iter().map(|own| channels(own)).collect();
        Ok(SynchronizedLayer { name, all: channels(&floats(&all)), ranks })
    };
    let layers = found.into_iter().map(layer).collect::<Result<Vec<_>>>()?;
    Ok((!layers.is_empty()).then_some(Synchronization { variant, epoch, layers }))
}

/// Means, then variances.
fn channels(both: &[f64]) -> ChannelStatistics {
    let (mean, var) = both.split_at(both.len() / 2);
    ChannelStatistics { mean: mean.to_vec(), var: var.to_vec() }
}

fn floats(mean_and_var: &[Tensor; 2]) -> Vec<f64> {
    let both = Tensor::stack(mean_and_var, 0).to_kind(Kind::Double);
    Vec::try_from(both.reshape([-1])).expect("f64 values in one dimension")
}
