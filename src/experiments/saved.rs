//! The contents of a variant's checkpoint: everything that decides the bits of the epochs to come.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tch::Device;
use tch_c10d::DistributedDataParallel;
use tch_extra::GeneratorState;
use tch_extra::optim::Optimizer;

use super::inspector::Inspector;
use crate::checkpoint::Checkpoint;
use crate::nets::Net;
use crate::report::{metrics_from_csv, metrics_to_csv};
use crate::train::Totals;
use crate::{EpochRecord, Result};

/// The state of a variant between two epochs, without network and optimizer.
pub struct BetweenEpochs {
    /// The state of its random streams.
    pub generators: GeneratorState,
    /// Records of the finished epochs.
    pub records: Vec<EpochRecord>,
}

/// The state within an epoch, after some batches or none.
#[derive(Default, Serialize, Deserialize)]
pub struct WithinEpoch {
    /// Batches done.
    pub batches: usize,
    /// Images of the last one; nothing reads it, and earlier programs of this checkpoint version need it.
    pub batch_size: usize,
    /// The bits of this process's sums over the batches, as [`Totals::to_bits`] gives them.
    pub metric: [u64; 3],
    /// Those of every rank, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<[u64; 3]>,
    /// Time spent in this epoch.
    pub took: Duration,
    /// The state of the random streams; `None` at the epoch's beginning.
    #[serde(skip)]
    pub generators: Option<GeneratorState>,
}

/// The JSON under `state` in a variant's checkpoint.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    /// Records of the finished epochs, in the form of `metrics.csv`: floats come back with the same bits.
    records: String,
    within: Option<WithinEpoch>,
}

impl WithinEpoch {
    /// This process's sums over the batches.
    pub fn totals(&self) -> Totals {
        Totals::from_bits(self.metric)
    }
}

impl Saved {
    /// The state of a run on `device`, from this and the tensors of the `checkpoint`. `rank` is this process's, if there are several.
    ///
    /// # Errors
    /// If a random generator or a record cannot be read.
    pub fn moment(
        self,
        checkpoint: &Checkpoint,
        device: Device,
        rank: Option<usize>,
    ) -> Result<(BetweenEpochs, Option<WithinEpoch>)> {
        let generators = |group| GeneratorState::from_tensors(device, &checkpoint.group(group));
        let records = metrics_from_csv(&self.records)?;
        let between = BetweenEpochs { generators: generators("generators")?, records };
        let Some(mut within) = self.within else { return Ok((between, None)) };
        within.generators = Some(generators("generators_within")?);
        if let Some(&own) = rank.and_then(|rank| within.metrics.get(rank)) {
            within.metric = own;
        }
        Ok((between, Some(within)))
    }

    /// Sets the CPU's random generator, as a resumed run does.
    ///
    /// # Errors
    /// As [`moment`](Self::moment), and if a generator cannot be set.
    #[cfg(any(test, fuzzing))]
    pub fn take_over(self, checkpoint: &Checkpoint) -> Result<()> {
        let (between, within) = self.moment(checkpoint, Device::Cpu, None)?;
        within.and_then(|within| within.generators).map_or(Ok(()), |generators| generators.restore())?;
        Ok(between.generators.restore()?)
    }
}

/// The other things that decide the bits to come: network, optimizer, inspector, gradient buckets.
pub type Parts<'a> = (&'a Net, &'a dyn Optimizer, Option<&'a Inspector>, Option<&'a DistributedDataParallel>);

impl BetweenEpochs {
    /// The checkpoint of a variant with these parts, `within` an epoch or between two.
    ///
    /// # Errors
    /// If another rank is gone.
    pub fn checkpoint(
        &self,
        (net, optimizer, inspector, ddp): Parts,
        within: Option<WithinEpoch>,
    ) -> Result<Checkpoint> {
        let layout = ddp.map(DistributedDataParallel::layout).transpose()?;
        let generators_within = within.as_ref().and_then(|within| within.generators.as_ref());
        let generators_within = generators_within.map(GeneratorState::tensors).unwrap_or_default();
        Ok(Checkpoint::new(&Saved { records: metrics_to_csv(&self.records), within })
            .with("net", net.state())
            .with("optimizer", optimizer.state())
            .with("generators", self.generators.tensors())
            .with("generators_within", generators_within)
            .with("observer", inspector.map(Inspector::tensors).unwrap_or_default())
            .with("buckets", layout.map(|layout| ("layout".to_owned(), layout)).into_iter().collect()))
    }
}
