//! Arguments that several commands have.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{learning_rate, seed};
use crate::experiments::options::Options;
use crate::torch::{self, Determinism};
use crate::{Error, Result};

/// Two minutes: reading data and writing files take less.
const DIST_TIMEOUT: NonZeroUsize = NonZeroUsize::new(120).expect("it is not zero");

/// Where a run is kept, and how it goes on after it broke off.
#[derive(Debug, Args)]
struct KeepArgs {
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in this directory, to the bits that it would have given. It keeps the options that it was started
    /// with; --epochs may be raised, to train on
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    resume: Option<PathBuf>,
    /// Where torchrun started several processes: seconds that one waits for another before all end with a word on who failed
    #[arg(long, value_name = "SECONDS", default_value_t = DIST_TIMEOUT, allow_negative_numbers = true)]
    dist_timeout: NonZeroUsize,
    /// Also save a checkpoint after every N batches [default: after each epoch, and on Ctrl-C]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    checkpoint_every: Option<NonZeroUsize>,
}

impl KeepArgs {
    fn dist_timeout(&self) -> Duration {
        Duration::from_secs(self.dist_timeout.get() as u64)
    }
}

/// What a run trains with, on what, and where it is kept.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Seed of each variant's random streams, as torch.manual_seed takes it
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
    /// Passes over the training images [default: the note's]
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<NonZeroUsize>,
    /// Images a step [default: the note's]
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<NonZeroUsize>,
    /// Learning rate [default: the note's]
    #[arg(long, allow_negative_numbers = true, value_parser = learning_rate)]
    lr: Option<f64>,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    train_examples: Option<NonZeroUsize>,
    /// On CUDA: capture the step in a CUDA graph and launch it at once, batch after batch, for small networks, whose steps are mostly
    /// launches. Adam's update follows it. The same bits; off until it has been seen on a GPU. On a CPU operations are recorded and
    /// repeated alike, which is slower
    #[arg(long, overrides_with = "no_graph", conflicts_with = "eager")]
    graph: bool,
    /// Launch each operation by itself, which is the default
    #[arg(long, overrides_with = "graph")]
    no_graph: bool,
    #[command(flatten)]
    keep: KeepArgs,
    /// Show neither progress nor results; they are in the directory that is printed last
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What a recipe says where the user says nothing.
pub(super) struct Defaults {
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) lr: f64,
}

impl TrainArgs {
    /// Before anything is computed.
    pub(super) fn set_up_libtorch(&self) -> Result<()> {
        self.place.set_up_libtorch()
    }

    /// What is chosen for a run with the loader of so many `workers`.
    pub(super) fn options(self, defaults: &Defaults, workers: usize) -> Options {
        Options {
            seed: self.seed,
            epochs: self.epochs.map_or(defaults.epochs, NonZeroUsize::get),
            batch_size: self.batch_size.map_or(defaults.batch_size, NonZeroUsize::get),
            lr: self.lr.unwrap_or(defaults.lr),
            graph: self.graph,
            eager: self.place.eager,
            deterministic: self.place.deterministic,
            train_examples: self.train_examples.map(NonZeroUsize::get),
            test_examples: self.place.test_examples.map(NonZeroUsize::get),
            workers,
            data_dir: self.place.data_dir,
            dist_timeout: self.keep.dist_timeout(),
            out: self.keep.out,
            resume: self.keep.resume,
            checkpoint_every: self.keep.checkpoint_every.map(NonZeroUsize::get),
            quiet: self.quiet,
        }
    }
}

/// With how many threads a network runs, and on what.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Threads of libtorch's CPU kernels; they decide bits [default: libtorch's]
    #[arg(long, allow_negative_numbers = true)]
    pub(super) threads: Option<NonZeroUsize>,
    /// Take deterministic kernels only, so that a run on CUDA gives its bits again: torch.use_deterministic_algorithms(True) and
    /// torch.backends.cudnn.deterministic. What has no such kernel ends the run, and is named
    #[arg(long)]
    pub(super) deterministic: bool,
    /// On CUDA: read loss and accuracy after each batch, and keep the images in main memory, as the notebook does. Slower, to the
    /// same bits
    #[arg(long)]
    pub(super) eager: bool,
    /// Test on the first N test images only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) test_examples: Option<NonZeroUsize>,
    /// The folder that holds the data set's files [default: found, else fetched into the cache]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
}

impl PlaceArgs {
    /// Tells libtorch its threads and kernels; before anything is computed.
    pub(super) fn set_up_libtorch(&self) -> Result<()> {
        if self.deterministic {
            Determinism::reproducible().set()?;
        }
        torch::set_threads(self.threads)
    }
}

/// Refuses a variant that is named twice.
pub(super) fn check_each_once<V: PartialEq + fmt::Display>(variants: &[V]) -> Result<()> {
    for (i, variant) in variants.iter().enumerate() {
        if variants[..i].contains(variant) {
            return Err(Error::usage(
                format!("--variants names {variant} twice"),
                "name each variant once, separated by commas",
            ));
        }
    }
    Ok(())
}
