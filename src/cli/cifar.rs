//! `d2l_ch7 cifar`.

use clap::Args;

use super::device::{Devices, parse_devices};
use super::shared::{Defaults, TrainArgs, check_each_once};
use super::values::{augmentation, data};
use crate::experiments::cifar::{self, Augmentation, Cifar, Data};
use crate::train::Numerics;
use crate::{Error, Result};

/// The most worker processes whose streams are reproduced.
const MOST_WORKERS: usize = 256;

/// The note's.
const DEFAULTS: Defaults = Defaults { epochs: cifar::EPOCHS, batch_size: cifar::BATCH_SIZE, lr: cifar::LR };

#[derive(Debug, Args)]
pub(super) struct CifarArgs {
    /// Training images to train with, separated by commas: augmented, plain
    #[arg(long, default_value = "augmented,plain", value_delimiter = ',', value_parser = data)]
    variants: Vec<Data>,
    /// What is done to augmented images: flip, flip+crop, flip+jitter or all
    #[arg(long, default_value = "flip", value_parser = augmentation)]
    augment: Augmentation,
    /// The loader whose random numbers are reproduced: PyTorch's with this many worker processes. As many threads
    /// prepare the images, one without workers
    #[arg(long, default_value_t = cifar::WORKERS, allow_negative_numbers = true)]
    workers: usize,
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
    train: TrainArgs,
}

impl CifarArgs {
    pub(super) fn validated(self) -> Result<Cifar> {
        check_each_once(&self.variants)?;
        check_workers(self.workers)?;
        self.train.set_up_libtorch()?;
        let devices = self.device.settle()?;
        Ok(Cifar {
            variants: self.variants,
            augment: self.augment,
            numerics: Numerics { amp: self.amp, channels_last: self.channels_last },
            options: self.train.options(&DEFAULTS, self.workers),
            devices,
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
