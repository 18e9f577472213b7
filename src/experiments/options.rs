//! The options that several commands share. Their documentation is the command line's help, and `config.json` has them under
//! their names. What is skipped there stands in it as it was found (`threads`, the data), or changes no file (`quiet`).

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::{Serialize, Serializer};
use tch::Device;
use tch_extra::{self, Determinism, Recording, Signature};

use super::resumed_config::CONFIG;
use super::values::{at_least_one, check_devices, learning_rate, seed};
use crate::distributed::Distributed;
use crate::norm::Variant;
use crate::report::RunDir;
use crate::{Error, Result};

/// What every command has that runs a network on images.
#[derive(Args, Serialize, Clone, Debug)]
#[command(allow_negative_numbers = true)]
pub struct CommonOptions {
    /// Threads of libtorch's CPU kernels; they decide bits [default: libtorch's]
    #[arg(long, value_parser = at_least_one)]
    #[serde(skip)]
    pub threads: Option<usize>,
    /// Take deterministic kernels only, so that a run on CUDA gives its bits again: torch.use_deterministic_algorithms(True) and
    /// torch.backends.cudnn.deterministic. What has no such kernel ends the run, and is named
    #[arg(long)]
    pub deterministic: bool,
    /// On CUDA: read loss and accuracy after each batch, and keep the images in main memory, as the notebook does. Slower, to the
    /// same bits
    #[arg(long)]
    pub eager: bool,
    /// Test on the first N test images only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip)]
    pub test_examples: Option<usize>,
    /// The folder that holds the data set's files [default: found, else fetched into the cache]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub data_dir: Option<PathBuf>,
}

/// What `compare` and `cifar` have in common. Each gives `epochs`, `batch_size` and `lr` the defaults of its notes.
#[derive(Args, Serialize, Clone, Debug)]
#[command(allow_negative_numbers = true)]
pub struct RunOptions {
    /// Seed of each variant's random streams, as torch.manual_seed takes it
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// Passes over the training images [default: the note's]
    #[arg(long, required = false, value_parser = at_least_one)]
    pub epochs: usize,
    /// Images a step [default: the note's]
    #[arg(long, required = false, value_parser = at_least_one)]
    pub batch_size: usize,
    /// Learning rate [default: the note's]
    #[arg(long, required = false, value_parser = learning_rate)]
    pub lr: f64,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip)]
    pub train_examples: Option<usize>,
    /// On CUDA: capture the step in a CUDA graph and launch it at once, batch after batch, for small networks, whose steps are mostly
    /// launches. Adam's update follows it. The same bits; off until it has been seen on a GPU
    #[arg(long, overrides_with = "no_graph", conflicts_with = "eager")]
    pub graph: bool,
    /// Launch each operation by itself, which is the default
    #[arg(long, overrides_with = "graph")]
    #[serde(skip)]
    pub no_graph: bool,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Go on with the run in this directory, to the bits that it would have given. It keeps the options that it was started
    /// with; --epochs may be raised, to train on
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// Where torchrun started several processes: seconds that one waits for another before all end and say which one failed
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = at_least_one)]
    pub dist_timeout: usize,
    /// Also save a checkpoint after every N batches [default: after each epoch, and on Ctrl-C]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub checkpoint_every: Option<usize>,
    /// Show neither progress nor results; they are in the directory that is printed last
    #[arg(long)]
    #[serde(skip)]
    pub quiet: bool,
    /// The options that `evaluate` has too.
    #[command(flatten)]
    #[serde(flatten)]
    pub common: CommonOptions,
}

impl CommonOptions {
    /// Tells libtorch its threads and kernels, before anything is computed, and checks that the `devices` are there.
    ///
    /// # Errors
    /// A usage error for threads that cannot be; a failure for a device that is not there.
    pub fn set_up(&self, devices: &[Device]) -> Result<()> {
        if self.deterministic {
            Determinism::reproducible().set()?;
        }
        tch_extra::set_threads(self.threads)?;
        check_devices(devices)
    }
}

impl RunOptions {
    /// Sets libtorch up for the command line's run on `devices`.
    ///
    /// # Errors
    /// As [`CommonOptions::set_up`]; a usage error for `--graph` without CUDA.
    pub fn set_up(&self, devices: &[Device]) -> Result<()> {
        self.common.set_up(devices)?;
        check_graph_device(self.graph, devices[0])
    }

    /// How long a process waits for another, where several train together.
    pub fn dist_timeout(&self) -> Duration {
        Duration::from_secs(self.dist_timeout as u64)
    }

    /// Refuses several devices in one of several processes, and to record steps where they cannot be repeated.
    pub(super) fn check_devices(&self, devices: &[Device], ranks: Option<&Distributed>) -> Result<()> {
        if ranks.is_some() && devices.len() > 1 {
            return Err(Error::usage(
                "a process that trains together with others takes one device",
                "give --device cpu or --device cuda, which is each process's own",
            ));
        }
        match (self.graph, devices, ranks) {
            (false, _, _) => Ok(()),
            (true, &[device], None) => Ok(Recording::check_available(device)?),
            _ => Err(Error::usage(
                "--graph records the steps of one process on one device",
                "leave it out, or choose one device and leave torchrun out",
            )),
        }
    }

    /// Whether this process shows neither progress nor results: rank 0 alone of several shows them.
    pub(super) fn is_quiet(&self, ranks: Option<&Distributed>) -> bool {
        self.quiet || ranks.is_some_and(|ranks| !ranks.is_first())
    }
}

/// Refuses `--graph` on a CPU, where steps are recorded only to test what a CUDA graph does.
///
/// # Errors
/// A usage error.
pub fn check_graph_device(graph: bool, device: Device) -> Result<()> {
    if !graph || device.is_cuda() {
        return Ok(());
    }
    Err(Error::usage(
        "--graph captures steps in a CUDA graph, and the device is cpu",
        "leave it out, or choose a CUDA device with --device",
    ))
}

/// Refuses variants that are named twice, and `fused` on a CPU.
///
/// # Errors
/// A usage error.
pub fn check_variants(variants: &[Variant], device: Device) -> Result<()> {
    check_each_once("--variants", variants)?;
    if device.is_cuda() || !variants.contains(&Variant::Fused) {
        return Ok(());
    }
    Err(Error::usage(
        "the variant fused is trained on CUDA alone, and the device is cpu",
        "leave it out of --variants, or choose a CUDA device with --device",
    ))
}

/// Refuses a value that an `option` names twice.
///
/// # Errors
/// A usage error that names it.
pub fn check_each_once<V: PartialEq + Display>(option: &str, values: &[V]) -> Result<()> {
    match values.iter().enumerate().find(|(i, value)| values[..*i].contains(value)) {
        None => Ok(()),
        Some((_, twice)) => {
            Err(Error::usage(format!("{option} names {twice} twice"), "name each value once"))
        }
    }
}

/// Writes a path that may not be UTF-8 into `config.json`.
pub fn as_text<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
}

/// Writes the `config.json` of a command that trains nothing.
///
/// # Errors
/// If the directory cannot be written.
pub fn write_config(dir: &RunDir, options: &impl Serialize, signature: Option<Signature>) -> Result<()> {
    #[derive(Serialize)]
    struct Config<'a, T: Serialize> {
        #[serde(flatten)]
        options: &'a T,
        d2l_ch7: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<Signature>,
    }
    let config = Config { options, d2l_ch7: env!("CARGO_PKG_VERSION"), signature };
    dir.write_atomically(CONFIG, |file| Ok(serde_json::to_writer_pretty(file, &config)?))
}
