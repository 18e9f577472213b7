//! The options of `d2l_ch7 cifar`, and the description of its run.

use clap::Args;
use serde::Serialize;
use tch::Device;

use super::augmentation::{Augmentation, Data};
use crate::distributed::Distributed;
use crate::experiments::description::{DataUsed, RunDescription, to_json};
use crate::experiments::options::{RunOptions, check_each_once};
use crate::experiments::values::devices;
use crate::train::Numerics;
use crate::{Error, Result};

/// The note's learning rate.
pub const LR: f64 = 1e-3;
/// The note's images a step.
pub const BATCH_SIZE: usize = 256;
/// The note's passes over the training images.
pub const EPOCHS: usize = 10;
/// The note's worker processes.
pub const WORKERS: usize = 4;

/// The most worker processes whose streams are reproduced: each is a thread.
const MOST_WORKERS: usize = 256;

/// The options of `d2l_ch7 cifar`.
#[derive(Args, Serialize, Clone, Debug)]
#[command(mut_arg("epochs", |arg| arg.default_value(EPOCHS.to_string()).hide_default_value(true)))]
#[command(mut_arg("batch_size", |arg| arg.default_value(BATCH_SIZE.to_string()).hide_default_value(true)))]
#[command(mut_arg("lr", |arg| arg.default_value(LR.to_string()).hide_default_value(true)))]
pub struct Cifar {
    /// Training images to train with, separated by commas
    #[arg(long, default_value = "augmented,plain", value_delimiter = ',')]
    #[serde(skip)]
    pub variants: Vec<Data>,
    /// What is done to augmented images
    #[arg(long, default_value = "flip")]
    #[serde(skip)]
    pub augment: Augmentation,
    /// The loader whose random numbers are reproduced: PyTorch's with this many worker processes. As many threads
    /// prepare the images, one without workers
    #[arg(long, default_value_t = WORKERS, allow_negative_numbers = true)]
    pub workers: usize,
    /// auto (CUDA where there is one), cpu, cuda, cuda:N, all (every CUDA device), or several with commas between them,
    /// such as cuda:0,cuda:1: each batch is divided among them, as nn.DataParallel does. The first has the images, the loss and
    /// the optimizer. cpu,cpu divides it on the CPU
    #[arg(id = "device", long = "device", value_name = "DEVICE", default_value = "auto", value_parser = devices)]
    #[serde(skip)]
    pub devices: Box<[Device]>,
    /// Precision and memory format.
    #[command(flatten)]
    #[serde(flatten)]
    pub numerics: Numerics,
    /// The options that `compare` has too.
    #[command(flatten)]
    #[serde(flatten)]
    pub options: RunOptions,
}

impl Cifar {
    /// Refuses what clap cannot refuse, and sets libtorch up.
    ///
    /// # Errors
    /// A usage error for options that do not fit together; a failure for a device that is not there.
    pub fn set_up(&self) -> Result<()> {
        check_each_once("--variants", &self.variants)?;
        if self.workers > MOST_WORKERS {
            return Err(Error::usage(
                format!("{} workers are more than {MOST_WORKERS}", self.workers),
                format!("give --workers 0 to {MOST_WORKERS}; the notebook has {WORKERS}"),
            ));
        }
        self.options.set_up(&self.devices)
    }

    /// The description of this run, once its data is known.
    pub(super) fn describe(&self, data: DataUsed, ranks: Option<&Distributed>) -> RunDescription {
        let augment = self.variants.contains(&Data::Augmented).then(|| self.augment.to_string());
        let mut config = to_json(self);
        config.insert("augment".to_owned(), augment.clone().into());
        let augmentation = augment.unwrap_or_else(|| "none".to_owned());
        let mut title = format!("cifar: ResNet-18 on CIFAR-10, augmentation {augmentation}");
        if !self.numerics.are_default() {
            title += &format!(", {}", self.numerics.words());
        }
        let facts = [
            ("network", "d2l's ResNet-18 for small images, batch norm native".to_owned()),
            ("augmentation", augmentation),
            ("random streams", format!("a DataLoader's with {} worker processes", self.workers)),
            ("loss", "summed over a batch".to_owned()),
            ("numerics", self.numerics.fact()),
        ];
        let run = RunDescription {
            recipe: "cifar",
            variants: self.variants.iter().map(ToString::to_string).collect(),
            title,
            facts: facts.map(|(key, value)| (key.to_owned(), value)).into(),
            config,
            options: self.options.clone(),
        };
        run.completed("Adam", "CIFAR-10", &self.devices, data, ranks)
    }
}
