//! What the batch norms of `scratch-sync` normalized by, beside what each process's own batch has.

use tch::{Kind, Tensor};

use crate::Result;
use crate::distributed::Distributed;
use crate::norm::Variant;
use crate::norm::scratch_sync::{BatchStatistics, Ranks};
use crate::report::{Synchronization, SynchronizedLayer};

/// Gathers what the layers of `normalized` saw of the last batch of training, in `epoch`; `None` if they saw none: no variant has
/// such layers, or a run that was resumed has not trained yet. Every rank calls it.
///
/// # Errors
/// If another rank is gone.
pub(super) fn gather(
    epoch: usize,
    normalized: &Ranks,
    ranks: &Distributed,
) -> Result<Option<Synchronization>> {
    let layer = |(name, BatchStatistics { own, all }): (String, BatchStatistics)| {
        let ranks = ranks.gather(&floats(&own).concat())?.into_iter().map(|mut means| {
            let variances = means.split_off(means.len() / 2);
            [means, variances]
        });
        Ok(SynchronizedLayer { name, all: floats(&all), ranks: ranks.collect() })
    };
    let layers = normalized.statistics().into_iter().map(layer).collect::<Result<Vec<_>>>()?;
    let variant = Variant::ScratchSync.to_string();
    Ok((!layers.is_empty()).then_some(Synchronization { variant, epoch, layers }))
}

fn floats(mean_and_var: &[Tensor; 2]) -> [Vec<f64>; 2] {
    mean_and_var.each_ref().map(|tensor| {
        Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).expect("f64 values in one dimension")
    })
}
