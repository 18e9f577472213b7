//! What a user chooses alike for `compare` and `cifar`, and what such a run says of itself before it begins.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tch::Device;

use super::data_used::DataUsed;
use super::ranks::batch_size;
use super::resumed_config;
use super::run_log::{RunPlan, facts};
use crate::data::Images;
use crate::distributed::Distributed;
use crate::torch::{Recording, Signature};
use crate::{Error, Result};

/// Choices, checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of each variant's random streams.
    pub seed: u64,
    /// Passes over the training images, at least 1.
    pub epochs: usize,
    /// Images a step, at least 1.
    pub batch_size: usize,
    /// Learning rate, finite and positive.
    pub lr: f64,
    /// Whether steps are recorded and repeated.
    pub graph: bool,
    /// Whether each batch's loss and accuracy are waited for, whatever the device.
    pub eager: bool,
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

/// What a command says of its run beside the [`Options`].
pub struct Words {
    /// The recipe, which also begins the directory's name.
    pub recipe: &'static str,
    /// In the order of the report.
    pub variants: Vec<String>,
    /// The first line above the curves.
    pub heading: String,
    /// What is trained.
    pub network: String,
    /// By what.
    pub optimizer: String,
    /// On what.
    pub dataset: &'static str,
    /// What else the report tells.
    pub facts: Vec<(&'static str, String)>,
    /// What else `config.json` has.
    pub config: Map<String, Value>,
    /// What decides the bits beside all that was chosen.
    pub signature: Signature,
}

/// `config.json`: every option under its name, with a value that the command line takes; what it was given for, and with.
#[derive(Serialize)]
struct Chosen<'a> {
    recipe: &'static str,
    variants: &'a [String],
    seed: u64,
    epochs: usize,
    batch_size: usize,
    lr: f64,
    #[serde(flatten)]
    data: DataUsed,
    workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<usize>,
    device: &'a str,
    threads: usize,
    deterministic: bool,
    graph: bool,
    eager: bool,
    checkpoint_every: Option<usize>,
    dist_timeout: u64,
    #[serde(flatten)]
    more: Map<String, Value>,
    d2l_ch7: &'static str,
    signature: &'a Signature,
}

impl Options {
    /// Refuses to take more images than there are.
    pub(super) fn check_limits(&self, train: &Images, test: &Images) -> Result<()> {
        train.check_limit(self.train_examples, "--train-examples")?;
        test.check_limit(self.test_examples, "--test-examples")
    }

    /// Refuses to record steps where they cannot be repeated.
    pub(super) fn check_graph(&self, devices: &[Device], ranks: Option<&Distributed>) -> Result<()> {
        if !self.graph {
            return Ok(());
        }
        if ranks.is_none() && devices.len() == 1 {
            return Recording::check_available(devices[0]);
        }
        Err(Error::usage(
            "--graph records the steps of one process on one device",
            "leave it out, or choose one device and leave torchrun out",
        ))
    }

    /// The plan of a run, once its data is known.
    pub(super) fn plan(&self, words: Words, data: DataUsed, ranks: Option<&Distributed>) -> RunPlan {
        let Words { recipe, variants, heading, network, optimizer, dataset, signature, .. } = words;
        let Self { seed, lr, epochs, .. } = *self;
        let (size, device) = (batch_size(self.batch_size, ranks), &signature.device);
        let kernels = if self.deterministic { "deterministic ones only" } else { "those that PyTorch takes" };
        let mut told = vec![("network", network)];
        told.extend(words.facts);
        told.extend([
            ("seed", seed.to_string()),
            ("optimizer", format!("{optimizer}, learning rate {lr}")),
            ("batch size", size.clone()),
            ("training images", data.train_examples.to_string()),
            ("test images", data.test_examples.to_string()),
            ("kernels", kernels.to_owned()),
            ("data", data.origin(dataset)),
        ]);
        told.extend(self.graph.then(|| ("steps", "recorded once and then repeated".to_owned())));
        let title =
            format!("{heading}\nseed {seed}, batch size {size}, {optimizer}, learning rate {lr}, {device}");
        let facts = facts(told, &signature);
        let chosen = Chosen {
            recipe,
            variants: &variants,
            seed,
            epochs,
            batch_size: self.batch_size,
            lr,
            data,
            workers: self.workers,
            ranks: ranks.map(Distributed::size),
            device: resumed_config::device(&signature.device, ranks.is_some()),
            threads: signature.threads,
            deterministic: self.deterministic,
            graph: self.graph,
            eager: self.eager,
            checkpoint_every: self.checkpoint_every,
            dist_timeout: self.dist_timeout.as_secs(),
            more: words.config,
            d2l_ch7: env!("CARGO_PKG_VERSION"),
            signature: &signature,
        };
        let config = serde_json::to_value(chosen).expect("plain fields always serialize");
        RunPlan {
            name: recipe,
            title,
            variants,
            epochs,
            facts,
            config,
            out: self.out.clone(),
            resume: self.resume.clone(),
            quiet: self.quiet,
        }
    }
}
