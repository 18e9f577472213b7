//! One variant of a comparison while it is trained: as a notebook run by itself would train it, though variants take
//! turns in one process, and a run may be broken off and resumed.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::checkpoint::Checkpoint;
use crate::data::{Batches, Epoch};
use crate::distributed::Distributed;
use crate::layers::{Module, load_state, state};
use crate::optim::Optimizer;
use crate::progress::EpochBar;
use crate::report::{metrics_from_csv, metrics_to_csv};
use crate::torch::{self, GeneratorState};
use crate::train::{
    AfterBatch, DistributedDataParallel, Loss, Metric, Progress, RecordedStep, Steps, Tally, Training,
};
use crate::{EpochRecord, RankRecord, Result, interrupt, train};

/// A network, its optimizer, and where its random streams stand.
pub struct Side<'a, V, N> {
    /// Which side of the comparison this is.
    pub variant: V,
    /// The network.
    pub net: N,
    optimizer: Box<dyn Optimizer>,
    /// Where several processes train it.
    ddp: Option<DistributedDataParallel<'a>>,
    /// Training and evaluation, where steps are recorded.
    recorded: Option<[RecordedStep; 2]>,
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
    /// Whether steps are recorded and repeated; loss and accuracy are summed on the device then.
    pub graph: bool,
    /// The processes that train together, if there are several.
    pub ranks: Option<&'a Distributed<'a>>,
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
    /// Of every rank, where there are several.
    metrics: Vec<Metric>,
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
    /// The other ranks' too, by rank, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<[u64; 3]>,
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
    /// If the device's random generator cannot be read, or the other ranks cannot be reached.
    pub fn new(
        variant: V,
        seed: u64,
        setting: Setting<'a>,
        build: impl FnOnce() -> (N, Box<dyn Optimizer>),
    ) -> Result<Self> {
        torch::manual_seed(seed);
        let (mut net, optimizer) = build();
        let ddp = setting.ranks.map(|ranks| DistributedDataParallel::new(ranks.group(), &mut net, None));
        let ddp = ddp.transpose()?;
        let rest = Rest { generators: GeneratorState::capture(setting.devices[0])?, records: Vec::new() };
        let recorded = setting.graph.then(|| RecordedStep::pair(setting.devices[0]));
        Ok(Self { variant, net, optimizer, ddp, recorded, setting, rest, broken_off: None })
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
    /// was interrupted. `save` is given a checkpoint whenever one is due within the epoch. Where several processes train, the
    /// record is of all of them, and what each did stands beside it.
    ///
    /// # Errors
    /// If a random generator cannot be read or set, if another rank is gone, or what `save` gives.
    pub fn epoch(
        &mut self,
        observer: &mut dyn Observer,
        save: &dyn Fn(Checkpoint) -> Result<()>,
    ) -> Result<Option<(EpochRecord, Vec<RankRecord>)>> {
        let Setting { train_iter, test_iter, loss, devices, ranks, epochs, checkpoint_every, quiet, .. } =
            self.setting;
        let device = devices[0];
        let (variant, epoch) = (self.variant.to_string(), self.records().len() + 1);
        train_iter.set_epoch(epoch - 1);
        self.rest.generators.restore()?;
        let (done, took, batches) = self.resumed_batches()?;
        devices.iter().try_for_each(|&device| torch::reset_peak_memory(device))?;
        let start = Instant::now();
        let bar = EpochBar::new(&variant, epoch, epochs, train_iter, quiet);
        let ddp = self.ddp.as_ref();
        let mut outcome = Ok(());
        let observe = |after: AfterBatch, net: &mut dyn Module, optimizer: &mut dyn Optimizer| {
            bar.show(&after);
            observer.after_batch(after.batch_size, net);
            let interrupted = interrupt::requested();
            let due = checkpoint_every.is_some_and(|every| after.batches.is_multiple_of(every));
            // Ranks are interrupted after different batches, which no checkpoint of all of them could hold.
            if due || (interrupted && ranks.is_none()) {
                let done = after.progress();
                outcome = of_ranks(ranks, done.metric).and_then(|metrics| {
                    let generators = GeneratorState::capture(device)?;
                    let now = BrokenOff { done, metrics, took: took + start.elapsed(), generators };
                    let layout = layout(ddp)?;
                    save(self.rest.checkpoint(net, optimizer, observer, layout, Some(&now)))
                });
            }
            if interrupted || outcome.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let optimizer = self.optimizer.as_mut();
        let [steps, evaluation] = Steps::of_epoch(self.recorded.as_mut(), self.setting.tally);
        let training = Training { loss, steps, ranks: ddp };
        let trained = train::train_epoch(&mut self.net, batches, optimizer, training, done, observe)?;
        outcome?;
        let Some(trained) = trained else { return Ok(None) };
        let seconds = (took + start.elapsed()).as_secs_f64();
        // Each rank's running statistics are of its own last batch; the weights that are saved are rank 0's.
        ddp.map_or(Ok(()), |ddp| ddp.broadcast_buffers(&mut self.net))?;
        let tested = train::evaluate(&mut self.net, test_iter, evaluation)?;
        let rows = rank_records(ranks, ddp, &variant, epoch, trained.examples(), seconds)?;
        let train_seconds = rows.iter().map(|row| row.train_seconds).fold(seconds, f64::max);
        let trained = all_together(ranks, trained)?;
        let tested = all_together(ranks, tested)?;
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
            peak_memory_bytes: self.peak_memory_bytes()?,
        };
        self.rest.generators = GeneratorState::capture(device)?;
        self.rest.records.push(record.clone());
        Ok(Some((record, rows)))
    }

    /// The peaks of all devices together; `None` if one of them is not counted. Replays work in memory that was taken in the epoch
    /// in which their step was recorded: its peak is theirs.
    fn peak_memory_bytes(&self) -> Result<Option<u64>> {
        let peak = |&device: &Device| Ok(torch::memory(device)?.map(|memory| memory.peak_allocated));
        let now: Option<u64> = self.setting.devices.iter().map(peak).sum::<Result<_>>()?;
        if !self.setting.graph {
            return Ok(now);
        }
        let before = self.records().iter().map(|record| record.peak_memory_bytes);
        Ok(before.fold(now, Option::max))
    }

    /// What is done of the epoch that begins, how long it took, and the batches that are left. The generators stand
    /// where the epoch begins, then where it goes on.
    fn resumed_batches(&mut self) -> Result<(Progress, Duration, Epoch<'a>)> {
        let train_iter = self.setting.train_iter;
        let Some(BrokenOff { done, took, generators, .. }) = self.broken_off.take() else {
            return Ok((Progress::default(), Duration::ZERO, train_iter.iter()));
        };
        let batches = train_iter.iter_from(done.batches);
        if !train_iter.draws_ahead() {
            generators.restore()?;
        }
        Ok((done, took, batches))
    }

    /// Everything that decides the bits to come, between two epochs.
    ///
    /// # Errors
    /// If another rank is gone.
    pub fn checkpoint(&mut self, observer: &dyn Observer) -> Result<Checkpoint> {
        let layout = layout(self.ddp.as_ref())?;
        Ok(self.rest.checkpoint(&mut self.net, self.optimizer.as_mut(), observer, layout, None))
    }

    /// Takes over a checkpoint of this variant.
    ///
    /// # Errors
    /// If it is one of another network, optimizer or device.
    pub fn resume(&mut self, checkpoint: &Checkpoint, state: SideState) -> Result<()> {
        let device = self.setting.devices[0];
        load_state(&mut self.net, &checkpoint.group("net"), "the checkpoint")?;
        self.optimizer.load_state(&checkpoint.group("optimizer"))?;
        if let Some(ranks) = self.setting.ranks {
            // The hooks of the one before are gone before those of the next are made.
            self.ddp = None;
            let saved = checkpoint.group("buckets");
            let layout = saved.first().map(|(_, layout)| layout);
            self.ddp = Some(DistributedDataParallel::new(ranks.group(), &mut self.net, layout)?);
        }
        let rank = self.setting.ranks.map(Distributed::rank);
        (self.rest, self.broken_off) = state.moment(checkpoint, device, rank)?;
        Ok(())
    }
}

/// What a side's checkpoint holds beside tensors.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct SideState(Saved);

impl SideState {
    /// Where a run on `device` stood, of whose checkpoint this is the state; of several processes, this `rank`.
    fn moment(
        self,
        checkpoint: &Checkpoint,
        device: Device,
        rank: Option<usize>,
    ) -> Result<(Rest, Option<BrokenOff>)> {
        let generators = |group| GeneratorState::from_tensors(device, &checkpoint.group(group));
        let Saved { records, within } = self.0;
        let rest = Rest { generators: generators("generators")?, records: metrics_from_csv(&records)? };
        let Some(Within { batches, batch_size, metric, metrics, took }) = within else {
            return Ok((rest, None));
        };
        let metric = rank.and_then(|rank| metrics.get(rank).copied()).unwrap_or(metric);
        let done = Progress { batches, batch_size, metric: Metric::from_bits(metric) };
        let generators = generators("generators_within")?;
        Ok((rest, Some(BrokenOff { done, metrics: Vec::new(), took, generators })))
    }

    /// Takes everything over that [`Side::resume`] does, but for network and optimizer.
    #[cfg(any(test, fuzzing))]
    pub fn take_over(self, checkpoint: &Checkpoint) -> Result<()> {
        let (rest, broken_off) = self.moment(checkpoint, Device::Cpu, None)?;
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
        layout: Option<Tensor>,
        broken_off: Option<&BrokenOff>,
    ) -> Checkpoint {
        let within = broken_off.map(|BrokenOff { done, metrics, took, .. }| Within {
            batches: done.batches,
            batch_size: done.batch_size,
            metric: done.metric.to_bits(),
            metrics: metrics.iter().map(|metric| metric.to_bits()).collect(),
            took: *took,
        });
        let generators_within = broken_off.map(|within| within.generators.tensors()).unwrap_or_default();
        Checkpoint::new(&Saved { records: metrics_to_csv(&self.records), within })
            .with("net", state(net))
            .with("optimizer", optimizer.state())
            .with("generators", self.generators.tensors())
            .with("generators_within", generators_within)
            .with("observer", observer.tensors())
            .with("buckets", layout.map(|layout| ("layout".to_owned(), layout)).into_iter().collect())
    }
}

/// The metric of every rank; none where there is one process.
fn of_ranks(ranks: Option<&Distributed>, metric: Metric) -> Result<Vec<Metric>> {
    let Some(ranks) = ranks else { return Ok(Vec::new()) };
    let gathered = ranks.gather(&metric.to_bits().map(f64::from_bits))?;
    let metric = |values: Vec<f64>| Metric::from_bits([0, 1, 2].map(|i| values[i].to_bits()));
    Ok(gathered.into_iter().map(metric).collect())
}

/// The sums of all processes.
fn all_together(ranks: Option<&Distributed>, metric: Metric) -> Result<Metric> {
    let metrics = of_ranks(ranks, metric)?;
    Ok(if metrics.is_empty() { metric } else { Metric::sum(metrics) })
}

/// How fast each process trained; none where there is one.
fn rank_records(
    ranks: Option<&Distributed>,
    ddp: Option<&DistributedDataParallel>,
    variant: &str,
    epoch: usize,
    examples: usize,
    seconds: f64,
) -> Result<Vec<RankRecord>> {
    let Some(ranks) = ranks else { return Ok(Vec::new()) };
    let times = ddp.map_or(Ok(None), DistributedDataParallel::times)?;
    let [exchange, hidden] =
        times.map_or([f64::NAN; 2], |times| [times.exchange, times.hidden].map(|time| time.as_secs_f64()));
    let gathered = ranks.gather(&[examples as f64, seconds, exchange, hidden])?;
    let known = |seconds: f64| Some(seconds).filter(|seconds| seconds.is_finite());
    let row = |(rank, values): (usize, Vec<f64>)| RankRecord {
        variant: variant.to_owned(),
        epoch,
        rank,
        examples: values[0] as usize,
        train_seconds: values[1],
        examples_per_second: values[0] / values[1],
        exchange_seconds: known(values[2]),
        hidden_seconds: known(values[3]),
    };
    Ok(gathered.into_iter().enumerate().map(row).collect())
}

fn layout(ddp: Option<&DistributedDataParallel>) -> Result<Option<Tensor>> {
    ddp.map(DistributedDataParallel::layout).transpose()
}
