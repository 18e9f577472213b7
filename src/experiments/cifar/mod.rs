//! d2l's ResNet-18 on CIFAR-10, trained on augmented images and on plain ones (note 002; d2l sections 12.6 and 13.1).

mod augmentation;
mod config;
mod numerics;

use std::path::PathBuf;
use std::sync::Arc;

pub use augmentation::{Augmentation, Data};
pub use config::{BATCH_SIZE, Cifar, EPOCHS, LR, WORKERS};

use tch_extra::optim::{Adam, Optimizer};
use torchvision_exact::transforms::Compose;

use super::description::DataUsed;
use super::ranks;
use super::run_log::{RunLog, Section};
use super::trainer::{Setting, Trainer};
use crate::data::{Cifar10, ImageLoader, Images};
use crate::distributed::{self, Distributed};
use crate::nets::Net;
use crate::nets::resnet18::resnet18_cifar;
use crate::norm::Norm;
use crate::train::{DataParallel, Loss, Numerics};
use crate::{Error, Result, init, output};

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
    let options = &config.options;
    let data = Cifar10::load(options.common.data_dir.as_deref(), !options.is_quiet(ranks))?;
    let (images, used) = DataUsed::of(data, options.train_examples, &options.common)?;
    let description = config.describe(used, ranks);
    ranks::agree(ranks, &description)?;

    let [train_images, test_images] = images.map(Arc::new);
    let sampler = ranks::sampler(ranks, options.seed);
    let test_iter = config.loader(&test_images, Compose::new(), false).distributed(sampler);
    let train_iters: Vec<_> = config
        .variants
        .iter()
        .map(|&data| config.train_iter(&train_images, data).distributed(sampler))
        .collect();
    let mut log = RunLog::begin(description, ranks)?;
    let mut trainers = Vec::new();
    for (data, train_iter) in config.variants.iter().zip(&train_iters) {
        let setting = Setting {
            options,
            train_iter,
            test_iter: &test_iter,
            loss: Loss::Sum,
            // The network itself draws nothing at random.
            devices: &config.devices,
            ranks,
        };
        let build = || config.begin(config.numerics);
        trainers.push(Trainer::new(data.to_string(), setting, None, &log, build)?);
    }
    log.resumed(trainers.iter().flat_map(Trainer::records).cloned().collect())?;
    let mut effect = config.numerics_effect(&train_iters[0]);
    if let Some(effect) = &effect {
        if !options.quiet {
            output::say(effect.line());
        }
        log.set_section(Section::Numerics, effect.render())?;
    }
    for epoch in 1..=options.epochs {
        for trainer in &mut trainers {
            trainer.epoch(epoch, &mut log)?;
        }
    }
    if let Some(effect) = &mut effect {
        config.test_with_default_numerics(effect, &trainers, &test_iter)?;
        log.set_section(Section::Numerics, effect.render())?;
    }
    Ok(log.finish())
}

impl Cifar {
    /// Refuses what cannot be done by several processes, or on several devices.
    fn check(&self, ranks: Option<&Distributed>) -> Result<()> {
        self.options.check_devices(&self.devices, ranks)?;
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
        let optimizer = Adam::new(net.vs.trainable_variables(), self.options.lr);
        (net, Box::new(optimizer))
    }
}
