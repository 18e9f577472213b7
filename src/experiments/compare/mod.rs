//! The main job: one recipe trained with each batch norm, epoch by epoch in turn, and what they gave set side
//! by side.

mod inspect;
mod plan;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use tch::Device;

use super::recipes::Recipe;
use super::run_log::RunLog;
use crate::data::{DataLoader, FashionMnist, ImageSet, Images};
use crate::layers::{Module, Sequential, state, to_device};
use crate::norm::Variant;
use crate::optim::Optimizer;
use crate::progress::EpochBar;
use crate::torch::{self, GeneratorState};
use crate::train::{Loss, Progress};
use crate::{EpochRecord, Error, Result, interrupt, train};
use inspect::Inspector;

/// Everything chosen for a comparison, checked.
#[derive(Debug)]
pub struct Compare {
    /// Network, optimizer, initialization.
    pub recipe: &'static Recipe,
    /// What is compared, in the order of the report; each once.
    pub variants: Vec<Variant>,
    /// Seed of each variant's random streams.
    pub seed: u64,
    /// Passes over the training images, at least 1.
    pub epochs: usize,
    /// Images a step, at least 2.
    pub batch_size: usize,
    /// Learning rate, finite and positive.
    pub lr: f64,
    /// Where the networks are trained.
    pub device: Device,
    /// How many of the first training images are used; `None`: all.
    pub train_examples: Option<usize>,
    /// How many of the first test images are used; `None`: all.
    pub test_examples: Option<usize>,
    /// Worker processes of the loader that is reproduced. Images that are not augmented draw nothing in them.
    pub workers: usize,
    /// Where the data set is; `None`: found, or fetched into the cache.
    pub data_dir: Option<PathBuf>,
    /// The directory to create; `None`: a new one under `reports/`.
    pub out: Option<PathBuf>,
    /// Also look into the networks: gamma and beta, running statistics side by side.
    pub inspect: bool,
    /// Neither progress bars nor lines.
    pub quiet: bool,
}

/// One side of the comparison: a network, its optimizer, and where its random streams stand.
struct Side {
    variant: Variant,
    net: Sequential,
    optimizer: Box<dyn Optimizer>,
    generators: GeneratorState,
}

/// Trains the variants in turn, epoch by epoch, and keeps a run directory up to date. Gives that directory.
///
/// # Errors
/// Data that cannot be had or read, a run directory that cannot be made or written, a last batch of one image, a
/// loss that is not finite, an interruption. Epochs finished before are on disk.
pub fn run(config: &Compare) -> Result<PathBuf> {
    let data = FashionMnist::load(config.data_dir.as_deref(), !config.quiet)?;
    let published = data.is_published();
    let train_images = image_set(data.train, config.train_examples);
    let test_images = image_set(data.test, config.test_examples);
    check_last_batch(train_images.len(), config.batch_size)?;

    let loader = |images, shuffle| {
        DataLoader::new(images, config.batch_size, shuffle, config.device).resize(config.recipe.resize())
    };
    let (train_iter, test_iter) = (loader(&train_images, true), loader(&test_images, false));
    let mut sides = config.variants.iter().map(|&v| Side::new(config, v)).collect::<Result<Vec<_>>>()?;
    let mut inspector = config.inspect.then(|| Inspector::new(&mut sides, &train_iter.first_image()));
    let mut log = RunLog::create(config.plan(train_images.len(), test_images.len(), published))?;
    for epoch in 1..=config.epochs {
        for side in &mut sides {
            let Some(record) = side.epoch(epoch, &train_iter, &test_iter, config, inspector.as_mut())? else {
                return Err(log.interrupted());
            };
            log.add(record, &state(&mut side.net))?;
        }
        if let Some(inspector) = &mut inspector {
            log.inspected(inspector.compare(epoch, &mut sides))?;
        }
    }
    Ok(log.finish())
}

fn image_set(images: Images, limit: Option<usize>) -> ImageSet {
    ImageSet::new(&images.pixels, &images.labels, images.rows, images.cols, limit)
}

/// A batch norm over one value per channel has nothing to train on: its output is its shift.
fn check_last_batch(examples: usize, batch_size: usize) -> Result<()> {
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

impl Side {
    /// The variant as a notebook run by itself begins it: from the seed.
    fn new(config: &Compare, variant: Variant) -> Result<Self> {
        torch::manual_seed(config.seed);
        let mut net = config.recipe.initial_net(variant);
        to_device(&mut net, config.device);
        let optimizer = config.recipe.optimizer(&mut net, config.lr);
        Ok(Self { variant, net, optimizer, generators: GeneratorState::capture(config.device)? })
    }

    /// Trains and evaluates one epoch on this variant's own random streams; `None` if it was interrupted.
    fn epoch(
        &mut self,
        epoch: usize,
        train_iter: &DataLoader,
        test_iter: &DataLoader,
        config: &Compare,
        mut inspector: Option<&mut Inspector>,
    ) -> Result<Option<EpochRecord>> {
        self.generators.restore()?;
        let start = Instant::now();
        let bar = EpochBar::new(self.variant.name(), epoch, config.epochs, train_iter, config.quiet);
        let variant = self.variant;
        let mut observe = |progress: Progress, net: &mut dyn Module| {
            bar.show(progress);
            if let Some(inspector) = inspector.as_mut().filter(|_| variant == Variant::Scratch) {
                inspector.after_batch(net, progress.batch_size);
            }
            if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let trained =
            train::train_epoch(&mut self.net, train_iter, self.optimizer.as_mut(), Loss::Mean, &mut observe);
        let Some(trained) = trained else { return Ok(None) };
        let train_seconds = start.elapsed().as_secs_f64();
        let tested = train::evaluate(&mut self.net, test_iter);
        self.generators = GeneratorState::capture(config.device)?;
        Ok(Some(EpochRecord {
            variant: self.variant.to_string(),
            epoch,
            train_loss: trained.loss(),
            train_acc: trained.accuracy(),
            test_loss: tested.loss(),
            test_acc: tested.accuracy(),
            train_seconds,
            epoch_seconds: start.elapsed().as_secs_f64(),
            examples_per_second: trained.examples() as f64 / train_seconds,
        }))
    }
}
