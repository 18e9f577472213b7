//! The main job: one recipe trained with each batch norm, epoch by epoch in turn, and what they gave set side
//! by side.

mod inspect;
mod plan;
mod synchronized;

use std::path::PathBuf;
use std::slice;

use tch::Device;

use super::data_used::DataUsed;
use super::options::Options;
use super::ranks;
use super::recipes::Recipe;
use super::run_log::RunLog;
use super::side::{Observer, Setting};
use super::turns::{Beside, take_turns};
use crate::checkpoint::Checkpoint;
use crate::data::{Batches, DataLoader, FashionMnist, ImageSet, Images};
use crate::distributed::{self, Distributed};
use crate::layers::{Sequential, to_device};
use crate::norm::Variant;
use crate::optim::Optimizer;
use crate::train::{Loss, Tally};
use crate::{Error, Result};
use inspect::Inspector;

/// Everything chosen for a comparison, checked.
#[derive(Debug)]
pub struct Compare {
    /// Network, optimizer, initialization.
    pub recipe: &'static Recipe,
    /// What is compared, in the order of the report; each once.
    pub variants: Vec<Variant>,
    /// Where the networks are trained.
    pub device: Device,
    /// Also look into the networks: gamma and beta, running statistics side by side.
    pub inspect: bool,
    /// What is chosen alike for every training.
    pub options: Options,
}

/// A batch norm, and a network with it.
type Side<'a> = super::side::Side<'a, Variant, Sequential>;

/// Trains the variants in turn, epoch by epoch, and keeps a run directory up to date. Gives that directory; of
/// several processes that train together, on rank 0 alone.
///
/// # Errors
/// Data that cannot be had or read, a run directory that cannot be made or written, a last batch of one image, a
/// loss that is not finite, an interruption, a fault on another process. Epochs finished before are on disk.
pub fn run(config: &Compare) -> Result<Option<PathBuf>> {
    distributed::together(config.device, config.options.dist_timeout, |ranks| train(config, ranks))
}

fn train(config: &Compare, ranks: Option<&Distributed>) -> Result<Option<PathBuf>> {
    ranks::check_devices(ranks, &[config.device])?;
    config.options.check_graph(&[config.device], ranks)?;
    let quiet = config.options.quiet || !ranks::shows(ranks);
    let data = FashionMnist::load(config.options.data_dir.as_deref(), !quiet)?;
    config.options.check_limits(&data.train, &data.test)?;
    let published = data.is_published();
    let named = config.options.data_dir.as_ref().map(|_| data.folder().to_owned());
    let train = data.train.first(config.options.train_examples);
    let test = data.test.first(config.options.test_examples);
    let plan = config.plan(DataUsed::of(&train, &test, published, named), ranks);
    ranks::agree(ranks, &plan)?;
    let [train_images, test_images] = [train, test].map(image_set);
    let share = ranks::share(ranks, config.options.seed);

    let loader = |images, shuffle| {
        let loader = DataLoader::new(images, config.options.batch_size, shuffle, config.device);
        let loader = loader.shared(share).resize(config.recipe.resize());
        if config.options.tally == Tally::Device { loader.resident() } else { loader }
    };
    let (train_iter, test_iter) = (loader(&train_images, true), loader(&test_images, false));
    check_last_batch(train_iter.examples(), config.options.batch_size)?;
    let setting = Setting {
        train_iter: &train_iter,
        test_iter: &test_iter,
        loss: Loss::Mean,
        tally: config.options.tally,
        graph: config.options.graph,
        devices: slice::from_ref(&config.device),
        ranks,
        epochs: config.options.epochs,
        checkpoint_every: config.options.checkpoint_every,
        quiet,
    };
    let side =
        |&variant: &Variant| Side::new(variant, config.options.seed, setting, || config.begin(variant));
    let mut sides = config.variants.iter().map(side).collect::<Result<Vec<_>>>()?;
    let inspector = config.inspect.then(|| Inspector::new(&mut sides, &train_iter.first_image()));
    let log = RunLog::begin(plan, ranks)?;
    take_turns(sides, log, config.options.epochs, &mut Looks { inspector, ranks })
}

fn image_set(images: Images) -> ImageSet {
    ImageSet::new(&images.pixels, &images.labels, images.rows, images.cols, None)
}

/// A batch norm over one value per channel has nothing to train on: its output is its shift.
pub(super) fn check_last_batch(examples: usize, batch_size: usize) -> Result<()> {
    if examples % batch_size != 1 && batch_size != 1 {
        return Ok(());
    }
    Err(Error::usage(
        format!(
            "the last of the batches of {batch_size} from {examples} training images would hold one image, and \
             batch norm over one value per channel cannot be trained"
        ),
        "choose another --batch-size or --train-examples, so that the last batch holds two images or more",
    ))
}

/// Looks into the networks.
struct Looks<'a> {
    /// What `--inspect` asks for.
    inspector: Option<Inspector>,
    /// The processes among which batch norms may be synchronized.
    ranks: Option<&'a Distributed<'a>>,
}

impl Beside<Variant, Sequential> for Looks<'_> {
    fn observer(&mut self, variant: Variant) -> Box<dyn Observer + '_> {
        match &mut self.inspector {
            Some(inspector) if variant == Variant::Scratch => Box::new(inspector),
            _ => Box::new(()),
        }
    }

    fn resume(&mut self, variant: Variant, checkpoint: &Checkpoint) {
        if let Some(inspector) = self.inspector.as_mut().filter(|_| variant == Variant::Scratch) {
            inspector.resume(&checkpoint.group("observer"));
        }
    }

    fn after_round(&mut self, epoch: usize, sides: &mut [Side], log: &mut RunLog) -> Result<()> {
        if let Some(inspector) = &self.inspector {
            log.inspected(inspector.compare(epoch, sides))?;
        }
        let Some(ranks) = self.ranks else { return Ok(()) };
        let Some(side) = sides.iter_mut().find(|side| side.variant == Variant::ScratchSync) else {
            return Ok(());
        };
        let found = synchronized::gather(side.variant.to_string(), epoch, &mut side.net, ranks)?;
        found.map_or(Ok(()), |found| log.synchronized(found))
    }
}

impl Compare {
    /// The network and its optimizer as they are before the first step.
    fn begin(&self, variant: Variant) -> (Sequential, Box<dyn Optimizer>) {
        let mut net = self.recipe.initial_net(variant);
        to_device(&mut net, self.device);
        let optimizer = self.recipe.optimizer(&mut net, self.options.lr);
        (net, optimizer)
    }
}
