//! d2l's ResNet-18 on CIFAR-10, trained on augmented images and on plain ones (note 002; d2l sections 12.6 and 13.1).

mod augmentation;
mod config;
mod numerics;

use std::path::PathBuf;
use std::sync::Arc;

pub use augmentation::{Augmentation, Data};
pub use config::{BATCH_SIZE, Cifar, EPOCHS, LR, WORKERS};

use super::data_used::DataUsed;
use super::ranks;
use super::run_log::RunLog;
use super::trainer::{Setting, Trainer, resume};
use crate::data::transforms::Compose;
use crate::data::{Cifar10, ImageLoader, Images};
use crate::distributed::{self, Distributed};
use crate::nets::Net;
use crate::nets::resnet18::resnet18_cifar;
use crate::norm::Norm;
use crate::optim::{Adam, Optimizer};
use crate::train::{DataParallel, Loss, Numerics};
use crate::{Error, Result, init};

/// Trains the variants in turn, epoch by epoch, and keeps a run directory up to date. Gives that directory; of
/// several processes that train together, on rank 0 alone.
///
/// # Errors
/// Data that cannot be had or read, a run directory that cannot be made or written, a loss that is not finite, an
/// interruption, a fault on another process. Epochs finished before are on disk.
pub fn run(config: &Cifar) -> anyhow::Result<Option<PathBuf>> {
    let timeout = config.options.dist_timeout();
    Ok(distributed::together(config.devices[0], timeout, |ranks| train(config, ranks))?)
}

fn train(config: &Cifar, ranks: Option<&Distributed>) -> Result<Option<PathBuf>> {
    config.check(ranks)?;
    let quiet = config.options.quiet || !ranks::shows(ranks);
    let data = Cifar10::load(config.options.common.data_dir.as_deref(), !quiet)?;
    config.options.check_limits(&data.train, &data.test)?;
    let published = data.is_published();
    let named = config.options.common.data_dir.as_ref().map(|_| data.folder().to_owned());
    let train_images = Arc::new(data.train.first(config.options.train_examples));
    let test_images = Arc::new(data.test.first(config.options.common.test_examples));
    let description = config.describe(DataUsed::of(&train_images, &test_images, published, named), ranks);
    ranks::agree(ranks, &description)?;
    let share = ranks::share(ranks, config.options.seed);

    let test_iter = config.loader(&test_images, Compose::new(), false).shared(share);
    let train_iters: Vec<_> =
        config.variants.iter().map(|&data| config.train_iter(&train_images, data).shared(share)).collect();
    let mut log = RunLog::begin(description, ranks)?;
    let mut trainers = Vec::new();
    for (data, train_iter) in config.variants.iter().zip(&train_iters) {
        let setting = Setting {
            options: &config.options,
            train_iter,
            test_iter: &test_iter,
            loss: Loss::Sum,
            // The network itself draws nothing at random.
            devices: &config.devices,
            ranks,
            quiet,
        };
        let build = || config.begin(config.numerics);
        trainers.push(Trainer::new(data.to_string(), setting, None, &log, build)?);
    }
    resume(&trainers, &mut log)?;
    let mut effect = config.numerics_effect(&train_iters[0]);
    effect.iter().try_for_each(|effect| log.numerics_changed(effect.clone()))?;
    for epoch in 1..=config.options.epochs {
        for trainer in &mut trainers {
            if trainer.records().len() < epoch {
                trainer.epoch(&mut log)?;
            }
        }
    }
    if let Some(effect) = &mut effect {
        config.test_with_default_numerics(effect, &trainers, &test_iter)?;
        log.numerics_changed(effect.clone())?;
    }
    Ok(log.finish())
}

impl Cifar {
    /// Refuses what cannot be done by several processes, or on several devices.
    fn check(&self, ranks: Option<&Distributed>) -> Result<()> {
        ranks::check_devices(ranks, &self.devices)?;
        self.options.check_graph(&self.devices, ranks)?;
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
        ImageLoader::new(
            Arc::clone(images),
            augs,
            self.options.batch_size,
            is_train,
            self.workers,
            self.devices[0],
        )
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
        let build = || Net::new(|p| resnet18_cifar(p, &Norm::Native, 10, 3));
        let net = build();
        init::xavier_weights(&net.vs);
        let net = DataParallel::of(numerics.of(net), &self.devices, || numerics.of(build()));
        let trainer = Adam::new(net.vs.trainable_variables(), self.options.lr);
        (net, Box::new(trainer))
    }
}
