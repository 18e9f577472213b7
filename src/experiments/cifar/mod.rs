//! d2l's ResNet-18 on CIFAR-10, trained on augmented images and on plain ones (note 002; d2l sections 12.6 and 13.1).

mod augmentation;
mod numerics;
mod plan;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tch::Device;

pub use augmentation::{Augmentation, Data};

use numerics::NumericsBeside;

use super::data_used::DataUsed;
use super::ranks;
use super::run_log::RunLog;
use super::side::{Setting, Side};
use super::turns::take_turns;
use crate::data::transforms::Compose;
use crate::data::{Cifar10, ImageLoader, Images};
use crate::distributed::{self, Distributed};
use crate::layers::{Sequential, parameters};
use crate::nets::resnet18::resnet18_cifar;
use crate::norm::Variant;
use crate::optim::{Adam, Optimizer};
use crate::train::{DataParallel, Loss, Numerics, Tally, WithNumerics};
use crate::{Error, Result, init};

/// The note's learning rate.
pub const LR: f64 = 1e-3;
/// The note's images a step.
pub const BATCH_SIZE: usize = 256;
/// The note's passes over the training images.
pub const EPOCHS: usize = 10;
/// The note's worker processes.
pub const WORKERS: usize = 4;

/// Everything chosen for a run, checked.
#[derive(Debug)]
pub struct Cifar {
    /// What is compared, in the order of the report; each once.
    pub variants: Vec<Data>,
    /// What the augmented variant does to its images.
    pub augment: Augmentation,
    /// Seed of each variant's random streams.
    pub seed: u64,
    /// Passes over the training images, at least 1.
    pub epochs: usize,
    /// Images a step, at least 1.
    pub batch_size: usize,
    /// Learning rate, finite and positive.
    pub lr: f64,
    /// Where the network is trained, one device or more: each batch is divided among them. The first has the images,
    /// the loss and the optimizer.
    pub devices: Vec<Device>,
    /// Precision and memory format.
    pub numerics: Numerics,
    /// Where loss and accuracy are summed.
    pub tally: Tally,
    /// Whether libtorch was told to take deterministic kernels only.
    pub deterministic: bool,
    /// How many of the first training images are used; `None`: all.
    pub train_examples: Option<usize>,
    /// How many of the first test images are used; `None`: all.
    pub test_examples: Option<usize>,
    /// Worker processes of the loader whose random streams are reproduced.
    pub workers: usize,
    /// Where the data set is; `None`: found, or fetched into the cache.
    pub data_dir: Option<PathBuf>,
    /// The directory to create; `None`: a new one under `reports/`.
    pub out: Option<PathBuf>,
    /// The directory of a run to go on with.
    pub resume: Option<PathBuf>,
    /// Batches from checkpoint to checkpoint within an epoch; `None`: one after each epoch.
    pub checkpoint_every: Option<usize>,
    /// How long a process waits for another, where several train together.
    pub dist_timeout: Duration,
    /// Neither progress bars nor lines.
    pub quiet: bool,
}

/// d2l's ResNet-18 as it is trained here.
type Net = DataParallel<WithNumerics<Sequential>>;

/// Trains the variants in turn, epoch by epoch, and keeps a run directory up to date. Gives that directory; of
/// several processes that train together, on rank 0 alone.
///
/// # Errors
/// Data that cannot be had or read, a run directory that cannot be made or written, a loss that is not finite, an
/// interruption, a fault on another process. Epochs finished before are on disk.
pub fn run(config: &Cifar) -> Result<Option<PathBuf>> {
    distributed::together(config.dist_timeout, |ranks| train(config, ranks))
}

fn train(config: &Cifar, ranks: Option<&Distributed>) -> Result<Option<PathBuf>> {
    config.check(ranks)?;
    let quiet = config.quiet || !ranks::shows(ranks);
    let data = Cifar10::load(config.data_dir.as_deref(), !quiet)?;
    let published = data.is_published();
    let train_images = Arc::new(data.train.first(config.train_examples));
    let test_images = Arc::new(data.test.first(config.test_examples));
    let plan = config.plan(DataUsed::of(&train_images, &test_images, published), ranks);
    ranks::agree(ranks, &plan)?;
    let share = ranks::share(ranks, config.seed);

    let test_iter = config.loader(&test_images, Compose::new(), false).shared(share);
    let train_iters: Vec<_> =
        config.variants.iter().map(|&data| config.train_iter(&train_images, data).shared(share)).collect();
    let mut sides = Vec::new();
    for (&data, train_iter) in config.variants.iter().zip(&train_iters) {
        let setting = Setting {
            train_iter,
            test_iter: &test_iter,
            loss: Loss::Sum,
            tally: config.tally,
            // The network itself draws nothing at random.
            devices: &config.devices,
            ranks,
            epochs: config.epochs,
            checkpoint_every: config.checkpoint_every,
            quiet,
        };
        sides.push(Side::new(data, config.seed, setting, || config.begin(config.numerics))?);
    }
    let log = RunLog::begin(plan, ranks)?;
    take_turns(sides, log, config.epochs, &mut NumericsBeside::new(config, &train_iters[0], &test_iter))
}

impl Cifar {
    /// Refuses what several processes cannot do together.
    fn check(&self, ranks: Option<&Distributed>) -> Result<()> {
        ranks::check_devices(ranks, &self.devices)?;
        if ranks.is_none() || self.numerics.are_default() {
            return Ok(());
        }
        Err(Error::usage(
            "what --amp and --channels-last change is measured in one process",
            "leave them out, or leave torchrun out",
        ))
    }

    /// The note's `load_cifar10`.
    fn loader(&self, images: &Arc<Images>, augs: Compose, is_train: bool) -> ImageLoader {
        ImageLoader::new(Arc::clone(images), augs, self.batch_size, is_train, self.workers, self.devices[0])
    }

    fn train_iter(&self, images: &Arc<Images>, data: Data) -> ImageLoader {
        let train_augs = match data {
            Data::Augmented => self.augment.transforms(),
            Data::Plain => Compose::new(),
        };
        self.loader(images, train_augs, true)
    }

    /// The network and its optimizer as they are before the first step.
    fn begin(&self, numerics: Numerics) -> (Net, Box<dyn Optimizer>) {
        let build = || resnet18_cifar(Variant::Native, 10, 3);
        let mut net = build();
        init::xavier_weights(&mut net);
        let with_numerics = |net| WithNumerics::new(net, numerics);
        let mut net = DataParallel::new(with_numerics(net), &self.devices, || with_numerics(build()));
        let trainer = Adam::new(parameters(&mut net), self.lr);
        (net, Box::new(trainer))
    }
}
