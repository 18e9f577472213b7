//! One variant of a comparison while it is trained: as a notebook run by itself would train it, though variants take
//! turns in one process, and a run may be broken off and resumed.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::checkpoint::Checkpoint;
use crate::data::Batches;
use crate::layers::{Module, load_state, state};
use crate::optim::Optimizer;
use crate::progress::EpochBar;
use crate::report::{metrics_from_csv, metrics_to_csv};
use crate::torch::{self, GeneratorState};
use crate::train::{AfterBatch, Loss, Metric, Progress, Tally};
use crate::{EpochRecord, Result, interrupt, train};

/// A network, its optimizer, and where its random streams stand.
pub struct Side<'a, V, N> {
    /// Which side of the comparison this is.
    pub variant: V,
    /// The network.
    pub net: N,
    optimizer: Box<dyn Optimizer>,
    setting: Setting<'a>,
    /// Between two epochs.
    rest: Rest,
    /// The epoch that a checkpoint broke into, until it is resumed.
    broken_off: Option<BrokenOff>,
}

/// What a variant is trained and tested on, and how.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The training images.
    pub train_iter: &'a dyn Batches,
    /// The test images.
    pub test_iter: &'a dyn Batches,
    /// What a step minimizes.
    pub loss: Loss,
    /// Where the network is trained, one device or more; the first has the random streams of training.
    pub devices: &'a [Device],
    /// Where loss and accuracy are summed.
    pub tally: Tally,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Batches from checkpoint to checkpoint within an epoch; `None`: only when the run is interrupted.
    pub checkpoint_every: Option<usize>,
    /// Show no progress.
    pub quiet: bool,
}

/// A side between two epochs, but for network and optimizer.
struct Rest {
    generators: GeneratorState,
    records: Vec<EpochRecord>,
}

/// An epoch of which some batches are done.
struct BrokenOff {
    done: Progress,
    took: Duration,
    generators: GeneratorState,
}

/// The `state` of a side's checkpoint.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// The finished epochs, as `metrics.csv` has them: floats come back to the same bits.
    records: String,
    within: Option<Within>,
}

/// Where a checkpoint broke into an epoch.
#[derive(Serialize, Deserialize)]
struct Within {
    batches: usize,
    batch_size: usize,
    metric: [u64; 3],
    took: Duration,
}

/// What takes part in a side's training beside it: sees every batch, and puts what it keeps into checkpoints.
pub trait Observer {
    /// Called after every batch, of so many images.
    fn after_batch(&mut self, _batch_size: usize, _net: &mut dyn Module) {}

    /// What must come back when the run is resumed.
    fn tensors(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }
}

/// Nobody.
impl Observer for () {}

impl<'a, V: Display, N: Module> Side<'a, V, N> {
    /// The variant as a notebook begins it: `build` makes network and optimizer right after the seed is set.
    ///
    /// # Errors
    /// If the device's random generator cannot be read.
    pub fn new(
        variant: V,
        seed: u64,
        setting: Setting<'a>,
        build: impl FnOnce() -> (N, Box<dyn Optimizer>),
    ) -> Result<Self> {
        torch::manual_seed(seed);
        let (net, optimizer) = build();
        let rest = Rest { generators: GeneratorState::capture(setting.devices[0])?, records: Vec::new() };
        Ok(Self { variant, net, optimizer, setting, rest, broken_off: None })
    }

    /// Records of the finished epochs.
    pub fn records(&self) -> &[EpochRecord] {
        &self.rest.records
    }

    /// Whether it has trained so many epochs and no further.
    pub fn rests_after(&self, epoch: usize) -> bool {
        self.records().len() == epoch && self.broken_off.is_none()
    }

    /// Trains and evaluates the next epoch on this variant's own random streams, or what is left of it; `None` if it
    /// was interrupted. `save` is given a checkpoint whenever one is due within the epoch.
    ///
    /// # Errors
    /// If a random generator cannot be read or set, or what `save` gives.
    pub fn epoch(
        &mut self,
        observer: &mut dyn Observer,
        save: &dyn Fn(Checkpoint) -> Result<()>,
    ) -> Result<Option<EpochRecord>> {
        let Setting { train_iter, test_iter, loss, devices, tally, epochs, checkpoint_every, quiet } =
            self.setting;
        let device = devices[0];
        let (variant, epoch) = (self.variant.to_string(), self.records().len() + 1);
        self.rest.generators.restore()?;
        let (done, took, batches) = self.resumed_batches()?;
        devices.iter().try_for_each(|&device| torch::reset_peak_memory(device))?;
        let start = Instant::now();
        let bar = EpochBar::new(&variant, epoch, epochs, train_iter, quiet);
        let mut outcome = Ok(());
        let observe = |after: AfterBatch, net: &mut dyn Module, optimizer: &mut dyn Optimizer| {
            bar.show(&after);
            observer.after_batch(after.batch_size, net);
            let interrupted = interrupt::requested();
            if interrupted || checkpoint_every.is_some_and(|every| after.batches.is_multiple_of(every)) {
                outcome = GeneratorState::capture(device).and_then(|generators| {
                    let now = BrokenOff { done: after.progress(), took: took + start.elapsed(), generators };
                    save(self.rest.checkpoint(net, optimizer, observer, Some(&now)))
                });
            }
            if interrupted || outcome.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let optimizer = self.optimizer.as_mut();
        let trained = train::train_epoch(&mut self.net, batches, optimizer, loss, done, tally, observe);
        outcome?;
        let Some(trained) = trained else { return Ok(None) };
        let train_seconds = (took + start.elapsed()).as_secs_f64();
        let tested = train::evaluate(&mut self.net, test_iter, tally);
        let record = EpochRecord {
            variant,
            epoch,
            train_loss: trained.loss(),
            train_acc: trained.accuracy(),
            test_loss: tested.loss(),
            test_acc: tested.accuracy(),
            train_seconds,
            epoch_seconds: (took + start.elapsed()).as_secs_f64(),
            examples_per_second: trained.examples() as f64 / train_seconds,
            peak_memory_bytes: peak_memory_bytes(devices)?,
        };
        self.rest.generators = GeneratorState::capture(device)?;
        self.rest.records.push(record.clone());
        Ok(Some(record))
    }

    /// What is done of the epoch that begins, how long it took, and the batches that are left. The generators stand
    /// where the epoch begins, then where it goes on.
    fn resumed_batches(
        &mut self,
    ) -> Result<(Progress, Duration, Box<dyn Iterator<Item = crate::data::Batch> + 'a>)> {
        let train_iter = self.setting.train_iter;
        let Some(BrokenOff { done, took, generators }) = self.broken_off.take() else {
            return Ok((Progress::default(), Duration::ZERO, train_iter.iter()));
        };
        let batches = train_iter.iter_from(done.batches);
        if !train_iter.draws_ahead() {
            generators.restore()?;
        }
        Ok((done, took, batches))
    }

    /// Everything that decides the bits to come, between two epochs.
    pub fn checkpoint(&mut self, observer: &dyn Observer) -> Checkpoint {
        self.rest.checkpoint(&mut self.net, self.optimizer.as_mut(), observer, None)
    }

    /// Takes over a checkpoint of this variant.
    ///
    /// # Errors
    /// If it is one of another network, optimizer or device.
    pub fn resume(&mut self, checkpoint: &Checkpoint, state: SideState) -> Result<()> {
        let device = self.setting.devices[0];
        load_state(&mut self.net, &checkpoint.group("net"), "the checkpoint")?;
        self.optimizer.load_state(&checkpoint.group("optimizer"))?;
        (self.rest, self.broken_off) = state.moment(checkpoint, device)?;
        Ok(())
    }
}

/// The peaks of all devices together; `None` if one of them is not counted.
fn peak_memory_bytes(devices: &[Device]) -> Result<Option<u64>> {
    let peak = |&device: &Device| Ok(torch::memory(device)?.map(|memory| memory.peak_allocated));
    devices.iter().map(peak).sum()
}

/// What a side's checkpoint holds beside tensors.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct SideState(Saved);

impl SideState {
    /// Where a run on `device` stood, of whose checkpoint this is the state.
    fn moment(self, checkpoint: &Checkpoint, device: Device) -> Result<(Rest, Option<BrokenOff>)> {
        let generators = |group| GeneratorState::from_tensors(device, &checkpoint.group(group));
        let Saved { records, within } = self.0;
        let rest = Rest { generators: generators("generators")?, records: metrics_from_csv(&records)? };
        let Some(Within { batches, batch_size, metric, took }) = within else { return Ok((rest, None)) };
        let done = Progress { batches, batch_size, metric: Metric::from_bits(metric) };
        Ok((rest, Some(BrokenOff { done, took, generators: generators("generators_within")? })))
    }

    /// Takes everything over that [`Side::resume`] does, but for network and optimizer.
    #[cfg(any(test, fuzzing))]
    pub fn take_over(self, checkpoint: &Checkpoint) -> Result<()> {
        let (rest, broken_off) = self.moment(checkpoint, Device::Cpu)?;
        broken_off.map_or(Ok(()), |within| within.generators.restore())?;
        rest.generators.restore()
    }
}

impl Rest {
    fn checkpoint(
        &self,
        net: &mut dyn Module,
        optimizer: &mut dyn Optimizer,
        observer: &dyn Observer,
        broken_off: Option<&BrokenOff>,
    ) -> Checkpoint {
        let within = broken_off.map(|BrokenOff { done, took, .. }| Within {
            batches: done.batches,
            batch_size: done.batch_size,
            metric: done.metric.to_bits(),
            took: *took,
        });
        let generators_within = broken_off.map(|within| within.generators.tensors()).unwrap_or_default();
        Checkpoint::new(&Saved { records: metrics_to_csv(&self.records), within })
            .with("net", state(net))
            .with("optimizer", optimizer.state())
            .with("generators", self.generators.tensors())
            .with("generators_within", generators_within)
            .with("observer", observer.tensors())
    }
}
