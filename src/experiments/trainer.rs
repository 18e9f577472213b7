//! A variant while it is trained: as a notebook run by itself would train it, though variants take turns in one process, and a run
//! may be broken off and resumed.

use std::ops::ControlFlow;
use std::time::Instant;

use tch::Device;

use super::inspector::Inspector;
use super::ranks::{rank_records, totals_of_all, totals_of_ranks};
use super::run_log::RunLog;
use super::saved::{BetweenEpochs, Saved, WithinEpoch};
use crate::checkpoint::Checkpoint;
use crate::data::{Batches, Epoch};
use crate::distributed::Distributed;
use crate::nets::Net;
use crate::optim::Optimizer;
use crate::progress::EpochBar;
use crate::state_dict::load_state;
use crate::torch::{self, GeneratorState};
use crate::train::{DistributedDataParallel, Graphed, Loss, Metric, Totals, ch6, ch13, evaluate};
use crate::{EpochRecord, Result, interrupt};

/// A network, its optimizer, and where its random streams stand.
pub struct Trainer<'a> {
    /// The variant's name.
    pub variant: String,
    /// The network.
    pub net: Net,
    optimizer: Box<dyn Optimizer>,
    setting: Setting<'a>,
    /// Where several processes train it.
    ddp: Option<DistributedDataParallel>,
    /// Where steps are recorded.
    graphed: Option<Graphed>,
    /// Where `--inspect` asks for it.
    pub inspector: Option<Inspector>,
    between: BetweenEpochs,
    /// The epoch that a checkpoint broke into, until it is resumed.
    within: Option<WithinEpoch>,
}

/// What a variant is trained and tested on, and how.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Of the variant's random streams.
    pub seed: u64,
    /// The training images.
    pub train_iter: &'a dyn Batches,
    /// The test images.
    pub test_iter: &'a dyn Batches,
    /// What a step minimizes, and so which of d2l's loops trains.
    pub loss: Loss,
    /// Where the network is trained, one device or more; the first has the random streams of training.
    pub devices: &'a [Device],
    /// Whether loss and accuracy are read after every batch, whatever the device.
    pub eager: bool,
    /// Whether steps are recorded and repeated.
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

impl<'a> Trainer<'a> {
    /// The variant as a notebook begins it: `build` makes network and optimizer right after the seed is set. Then as its last
    /// checkpoint left it, if `log` has one.
    ///
    /// # Errors
    /// If the device's random generator cannot be read, if the checkpoint is damaged or one of another network, optimizer or device,
    /// or if the other ranks cannot be reached.
    pub fn new(
        variant: String,
        setting: Setting<'a>,
        mut inspector: Option<Inspector>,
        log: &RunLog,
        build: impl FnOnce() -> (Net, Box<dyn Optimizer>),
    ) -> Result<Self> {
        let device = setting.devices[0];
        torch::manual_seed(setting.seed);
        let (mut net, mut optimizer) = build();
        let mut between = BetweenEpochs { generators: GeneratorState::capture(device)?, records: Vec::new() };
        let (mut within, mut layout) = (None, None);
        if let Some((checkpoint, saved)) = log.checkpoint::<Saved>(&variant)? {
            load_state(&net.vs, &checkpoint.group("net"), "the checkpoint")?;
            optimizer.load_state(&checkpoint.group("optimizer"))?;
            if let Some(inspector) = &mut inspector {
                inspector.resume(&checkpoint.group("observer"));
            }
            layout = checkpoint.group("buckets").pop().map(|(_, layout)| layout);
            (between, within) = saved.moment(&checkpoint, device, setting.ranks.map(Distributed::rank))?;
        }
        let ddp = |ranks: &Distributed| DistributedDataParallel::new(ranks.group(), &net.vs, layout.as_ref());
        let ddp = setting.ranks.map(ddp).transpose()?;
        if let Some(ddp) = &ddp {
            net = ddp.around(net);
        }
        let graphed = setting.graph.then(|| Graphed::new(device));
        Ok(Self { variant, net, optimizer, setting, ddp, graphed, inspector, between, within })
    }

    /// Records of the finished epochs.
    pub fn records(&self) -> &[EpochRecord] {
        &self.between.records
    }

    /// Whether it has trained so many epochs and no further.
    pub fn rests_after(&self, epoch: usize) -> bool {
        self.records().len() == epoch && self.within.is_none()
    }

    /// Trains and evaluates the next epoch on this variant's own random streams, or what is left of it, and brings the files of `log`
    /// up to date. Where several processes train, the record is of all of them.
    ///
    /// # Errors
    /// An interruption, a loss that is not finite, a file that cannot be written, a random generator that cannot be read or set,
    /// another rank that is gone.
    pub fn epoch(&mut self, log: &mut RunLog) -> Result<()> {
        let Setting { train_iter, devices, ranks, .. } = self.setting;
        let epoch = self.records().len() + 1;
        train_iter.set_epoch(epoch - 1);
        self.between.generators.restore()?;
        let (within, batches) = self.resumed_batches()?;
        devices.iter().try_for_each(|&device| torch::reset_peak_memory(device))?;
        let start = Instant::now();
        let Some(trained) = self.train(batches, &within, start, log)? else { return Err(log.interrupted()) };
        let seconds = (within.took + start.elapsed()).as_secs_f64();
        // Each rank's running statistics are of its own last batch; the weights that are saved are rank 0's.
        self.ddp.as_ref().map_or(Ok(()), DistributedDataParallel::broadcast_buffers)?;
        let tested = self.evaluate()?;
        let times = self.ddp.as_ref().map_or(Ok(None), DistributedDataParallel::times)?;
        let rank_rows = rank_records(ranks, times, &self.variant, epoch, trained.examples(), seconds)?;
        let train_seconds = rank_rows.iter().map(|row| row.train_seconds).fold(seconds, f64::max);
        let (trained, tested) = (totals_of_all(ranks, trained)?, totals_of_all(ranks, tested)?);
        let record = EpochRecord {
            variant: self.variant.clone(),
            epoch,
            train_loss: trained.loss(),
            train_acc: trained.accuracy(),
            test_loss: tested.loss(),
            test_acc: tested.accuracy(),
            train_seconds,
            epoch_seconds: (within.took + start.elapsed()).as_secs_f64(),
            examples_per_second: trained.examples() as f64 / train_seconds,
            peak_memory_bytes: self.peak_memory_bytes()?,
        };
        self.between.generators = GeneratorState::capture(devices[0])?;
        self.between.records.push(record.clone());
        log.add(record, rank_rows, &self.net.state(), || self.checkpoint())
    }

    /// Trains on `batches`, what is left of an epoch after `within`; `None` if it was interrupted. Saves a checkpoint whenever one is
    /// due.
    fn train(
        &mut self,
        batches: Epoch,
        within: &WithinEpoch,
        start: Instant,
        log: &RunLog,
    ) -> Result<Option<Totals>> {
        let Setting { train_iter, loss, devices, ranks, epochs, checkpoint_every, quiet, .. } = self.setting;
        let Self { variant, net, optimizer, ddp, graphed, inspector, between, .. } = self;
        let bar = EpochBar::new(variant, between.records.len() + 1, epochs, train_iter, quiet);
        let mut batches_done = within.batches;
        let after_batch = &mut |images: usize, metric: &Metric, optimizer: &dyn Optimizer| {
            batches_done += 1;
            bar.show(batches_done, metric);
            if let Some(inspector) = inspector {
                inspector.after_batch(images, &net.vs);
            }
            let interrupted = interrupt::requested();
            let due = checkpoint_every.is_some_and(|every| batches_done.is_multiple_of(every));
            // Ranks are interrupted after different batches, which no checkpoint of all of them could hold.
            if due || (interrupted && ranks.is_none()) {
                let now = WithinEpoch {
                    batches: batches_done,
                    batch_size: images,
                    totals: metric.totals(),
                    of_ranks: totals_of_ranks(ranks, metric.totals())?,
                    took: within.took + start.elapsed(),
                    generators: Some(GeneratorState::capture(devices[0])?),
                };
                let parts = (&*net, optimizer, inspector.as_ref(), ddp.as_ref());
                log.save_checkpoint(variant, &between.checkpoint(parts, Some(&now))?)?;
            }
            Ok(if interrupted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let optimizer = optimizer.as_mut();
        if let Some(graphed) = graphed {
            return graphed.train_epoch(net, batches, loss, optimizer, within.totals, after_batch);
        }
        let mut metric = Self::metric(&self.setting, within.totals);
        let outcome = match loss {
            Loss::Mean => ch6::train_epoch(net, batches, optimizer, &mut metric, after_batch),
            Loss::Sum => ch13::train_epoch(net, batches, optimizer, &mut metric, after_batch),
        };
        Ok(outcome?.is_continue().then(|| metric.totals()))
    }

    fn evaluate(&mut self) -> Result<Totals> {
        let test_iter = self.setting.test_iter;
        match &mut self.graphed {
            Some(graphed) => graphed.evaluate(&self.net, test_iter),
            None => Ok(evaluate(&self.net, test_iter, Self::metric(&self.setting, Totals::default()))),
        }
    }

    fn metric(setting: &Setting, done: Totals) -> Metric {
        if setting.eager { Metric::Host(done) } else { Metric::new(setting.devices[0], done) }
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

    /// What is done of the epoch that begins, and the batches that are left. The generators stand where the epoch begins, then where
    /// it goes on.
    fn resumed_batches(&mut self) -> Result<(WithinEpoch, Epoch<'a>)> {
        let train_iter = self.setting.train_iter;
        let within = self.within.take().unwrap_or_default();
        let batches = train_iter.iter_from(within.batches);
        if let Some(generators) = within.generators.as_ref().filter(|_| !train_iter.draws_ahead()) {
            generators.restore()?;
        }
        Ok((within, batches))
    }

    /// Everything that decides the bits to come, between two epochs.
    fn checkpoint(&self) -> Result<Checkpoint> {
        let Self { net, optimizer, inspector, ddp, between, .. } = self;
        between.checkpoint((net, optimizer.as_ref(), inspector.as_ref(), ddp.as_ref()), None)
    }
}

/// Hands `log` the epochs that the trainers' checkpoints have finished.
///
/// # Errors
/// If a file cannot be read or written.
pub fn resume(trainers: &[Trainer], log: &mut RunLog) -> Result<()> {
    let longest = trainers.iter().map(|trainer| trainer.records().len()).max().unwrap_or(0);
    let by_epoch =
        (0..longest).flat_map(|i| trainers.iter().filter_map(move |trainer| trainer.records().get(i)));
    log.resumed(by_epoch.cloned().collect())
}
