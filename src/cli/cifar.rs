//! `d2l_ch7 cifar`.

use std::num::NonZeroUsize;

use clap::Args;

use super::device::{Devices, parse_devices};
use super::shared::{KeepArgs, PlaceArgs, check_each_once};
use super::values::{augmentation, data, learning_rate};
use crate::experiments::cifar::{self, Augmentation, Cifar, Data};
use crate::train::Numerics;
use crate::{Error, Result};

/// The most worker processes whose streams are reproduced.
const MOST_WORKERS: usize = 256;

#[derive(Debug, Args)]
pub(super) struct CifarArgs {
    /// Training images to train with, separated by commas: augmented, plain
    #[arg(long, default_value = "augmented,plain", value_delimiter = ',', value_parser = data)]
    variants: Vec<Data>,
    /// What is done to augmented images: flip, flip+crop, flip+jitter or all
    #[arg(long, default_value = "flip", value_parser = augmentation)]
    augment: Augmentation,
    /// Seed of each variant's random streams
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// Passes over the training images [default: 10]
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<NonZeroUsize>,
    /// Images a step [default: 256]
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<NonZeroUsize>,
    /// Learning rate
    #[arg(long, default_value_t = cifar::LR, allow_negative_numbers = true, value_parser = learning_rate)]
    lr: f64,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    train_examples: Option<NonZeroUsize>,
    /// The loader whose random numbers are reproduced: PyTorch's with this many worker processes. As many threads
    /// prepare the images, one without workers
    #[arg(long, default_value_t = cifar::WORKERS, allow_negative_numbers = true)]
    workers: usize,
    #[command(flatten)]
    keep: KeepArgs,
    /// Show neither progress nor results; they are in the directory that is printed last
    #[arg(long)]
    quiet: bool,
    /// auto (CUDA where there is one), cpu, cuda, cuda:N, all (every CUDA device), or several with commas between them,
    /// such as cuda:0,cuda:1: each batch is divided among them, as nn.DataParallel does. cpu,cpu divides it on the CPU
    #[arg(long, default_value = "auto", value_parser = parse_devices)]
    device: Devices,
    /// Mixed precision: bfloat16 where torch.autocast takes it. Other bits, and less exact ones
    #[arg(long)]
    amp: bool,
    /// Images and weights in memory as torch.channels_last has them. Other bits
    #[arg(long)]
    channels_last: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

impl CifarArgs {
    pub(super) fn validated(self) -> Result<Cifar> {
        check_each_once(&self.variants)?;
        check_workers(self.workers)?;
        self.place.set_up_libtorch()?;
        let devices = self.device.settle()?;
        Ok(Cifar {
            variants: self.variants,
            augment: self.augment,
            seed: self.seed,
            epochs: self.epochs.map_or(cifar::EPOCHS, NonZeroUsize::get),
            batch_size: self.batch_size.map_or(cifar::BATCH_SIZE, NonZeroUsize::get),
            lr: self.lr,
            tally: self.place.tally(devices[0]),
            devices,
            deterministic: self.place.deterministic,
            numerics: Numerics { amp: self.amp, channels_last: self.channels_last },
            train_examples: self.train_examples.map(NonZeroUsize::get),
            test_examples: self.place.test_examples.map(NonZeroUsize::get),
            workers: self.workers,
            data_dir: self.place.data_dir,
            dist_timeout: self.keep.dist_timeout(),
            out: self.keep.out,
            resume: self.keep.resume,
            checkpoint_every: self.keep.checkpoint_every.map(NonZeroUsize::get),
            quiet: self.quiet,
        })
    }
}

/// Each worker is a thread.
fn check_workers(workers: usize) -> Result<()> {
    if workers <= MOST_WORKERS {
        return Ok(());
    }
    Err(Error::usage(
        format!("{workers} workers are more than {MOST_WORKERS}"),
        format!("give --workers 0 to {MOST_WORKERS}; the notebook has {}", cifar::WORKERS),
    ))
}
