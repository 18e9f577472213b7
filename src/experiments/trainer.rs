//! A trainer is a variant while it is trained. It trains as a notebook run by itself does, although variants take turns in one
//! process and a run may break off and be resumed.

use std::ops::ControlFlow;
use std::time::Instant;

use tch::Device;
use tch_c10d::DistributedDataParallel;
use tch_extra::optim::Optimizer;
use tch_extra::state_dict::load_state;
use tch_extra::{self, GeneratorState};

use super::inspector::Inspector;
use super::options::RunOptions;
use super::ranks::{rank_records, totals_of_all, totals_of_ranks};
use super::run_log::RunLog;
use super::saved::{BetweenEpochs, WithinEpoch};
use crate::checkpoint::Checkpoint;
use crate::data::{Batches, Epoch};
use crate::distributed::Distributed;
use crate::nets::Net;
use crate::progress::EpochBar;
use crate::train::{Graphed, Loss, Metric, Totals, ch6, ch13, evaluate};
use crate::{EpochRecord, Result, interrupt};

/// A variant's network, its optimizer, and the state of its random streams.
pub struct Trainer<'a> {
    /// The variant's name.
    pub variant: String,
    /// The network.
    pub net: Net,
    optimizer: Box<dyn Optimizer>,
    setting: Setting<'a>,
    /// Set if several processes train the variant.
    ddp: Option<DistributedDataParallel>,
    /// Set with `--graph`.
    graphed: Option<Graphed>,
    /// Set with `--inspect`.
    pub inspector: Option<Inspector>,
    between: BetweenEpochs,
    /// The unfinished epoch of a checkpoint, until it goes on.
    within: Option<WithinEpoch>,
}

/// How a variant is trained and tested, and on which images.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The options of the run: seed, epochs, checkpoints, how steps are done.
    pub options: &'a RunOptions,
    /// The training images.
    pub train_iter: &'a dyn Batches,
    /// The test images.
    pub test_iter: &'a dyn Batches,
    /// The loss that a step minimizes; it decides which of d2l's loops trains.
    pub loss: Loss,
    /// Where the network is trained: one device or more. The first has the random streams.
    pub devices: &'a [Device],
    /// The processes that train together, if there are several.
    pub ranks: Option<&'a Distributed<'a>>,
}

impl<'a> Trainer<'a> {
    /// A trainer that begins as a notebook does: `build` makes network and optimizer right after the seed is set. If `log` has a
    /// checkpoint of the variant, the trainer goes on from there.
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
        tch_extra::manual_seed(setting.options.seed);
        let (mut net, mut optimizer) = build();
        let mut between = BetweenEpochs { generators: GeneratorState::capture(device)?, records: Vec::new() };
        let (mut within, mut layout) = (None, None);
        if let Some((checkpoint, saved)) = log.checkpoint(&variant)? {
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
            net.module = ddp.around(net.module);
        }
        let graphed = setting.options.graph.then(|| Graphed::new(device));
        Ok(Self { variant, net, optimizer, setting, ddp, graphed, inspector, between, within })
    }

    /// Records of the finished epochs.
    pub fn records(&self) -> &[EpochRecord] {
        &self.between.records
    }

    /// Whether it has trained exactly so many epochs and no batch of the next.
    pub fn rests_after(&self, epoch: usize) -> bool {
        self.records().len() == epoch && self.within.is_none()
    }

    /// Trains and evaluates an epoch, or the rest of it, on this variant's own random streams. Then the files of `log` are brought up
    /// to date. If several processes train, the record sums up all of them. A resumed run may have finished the epoch: nothing is done.
    ///
    /// # Errors
    /// An interruption, a loss that is not finite, a file that cannot be written, a random generator that cannot be read or set,
    /// another rank that is gone.
    pub fn epoch(&mut self, epoch: usize, log: &mut RunLog) -> Result<()> {
        if epoch <= self.records().len() {
            return Ok(());
        }
        let Setting { train_iter, devices, ranks, .. } = self.setting;
        train_iter.set_epoch(epoch - 1);
        self.between.generators.restore()?;
        let (within, batches) = self.batches_left()?;
        devices.iter().try_for_each(|&device| tch_extra::reset_peak_memory(device))?;
        let start = Instant::now();
        let Some(trained) = self.train(batches, &within, start, log)? else { return Err(log.interrupted()) };
        let seconds = (within.took + start.elapsed()).as_secs_f64();
        // Each rank has the running statistics of its own last batch; rank 0's are evaluated and saved.
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

    /// Trains on `batches`, the rest of an epoch after `within`, and saves a checkpoint whenever one is due. Gives `None` if the run was
    /// interrupted.
    fn train(
        &mut self,
        batches: Epoch,
        within: &WithinEpoch,
        start: Instant,
        log: &RunLog,
    ) -> Result<Option<Totals>> {
        let Setting { options, train_iter, loss, devices, ranks, .. } = self.setting;
        let Self { variant, net, optimizer, ddp, graphed, inspector, between, .. } = self;
        let (epoch, quiet) = (between.records.len() + 1, options.is_quiet(ranks));
        let bar = EpochBar::new(variant, epoch, options.epochs, train_iter, quiet);
        let mut batches_done = within.batches;
        let after_batch = &mut |images: usize, metric: &Metric, optimizer: &dyn Optimizer| {
            batches_done += 1;
            bar.show(batches_done, metric);
            if let Some(inspector) = inspector {
                inspector.after_batch(images, &net.vs);
            }
            let interrupted = interrupt::requested();
            let due = options.checkpoint_every.is_some_and(|every| batches_done.is_multiple_of(every));
            // Several ranks are interrupted after different batches: no checkpoint could hold that.
            if due || (interrupted && ranks.is_none()) {
                let now = WithinEpoch {
                    batches: batches_done,
                    batch_size: images,
                    metric: metric.totals().to_bits(),
                    metrics: totals_of_ranks(ranks, metric.totals())?
                        .into_iter()
                        .map(Totals::to_bits)
                        .collect(),
                    took: within.took + start.elapsed(),
                    generators: Some(GeneratorState::capture(devices[0])?),
                };
                let parts = (&*net, optimizer, inspector.as_ref(), ddp.as_ref());
                log.save_checkpoint(variant, &between.checkpoint(parts, Some(now))?)?;
            }
            Ok(if interrupted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let optimizer = optimizer.as_mut();
        if let Some(graphed) = graphed {
            return graphed.train_epoch(net, batches, loss, optimizer, within.totals(), after_batch);
        }
        let mut metric = Self::metric(&self.setting, within.totals());
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
        if setting.options.common.eager { Metric::Host(done) } else { Metric::new(setting.devices[0], done) }
    }

    /// The sum of all devices' peaks; `None` if memory is not counted on one of them. Recorded steps work in memory that was allocated
    /// in the epoch of the recording, so that its peak counts for later epochs too.
    fn peak_memory_bytes(&self) -> Result<Option<u64>> {
        let peak = |&device: &Device| Ok(tch_extra::memory(device)?.map(|memory| memory.peak_allocated));
        let now: Option<u64> = self.setting.devices.iter().map(peak).sum::<Result<_>>()?;
        if !self.setting.options.graph {
            return Ok(now);
        }
        let before = self.records().iter().map(|record| record.peak_memory_bytes);
        Ok(before.fold(now, Option::max))
    }

    /// The finished part of the epoch that begins, and the batches that are left. The generators must be set to the epoch's beginning;
    /// afterwards they are where the epoch goes on.
    fn batches_left(&mut self) -> Result<(WithinEpoch, Epoch<'a>)> {
        let train_iter = self.setting.train_iter;
        let within = self.within.take().unwrap_or_default();
        let batches = train_iter.iter_from(within.batches);
        // A loader that draws ahead has already moved the generators past the batches that are left.
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
