//! `d2l_ch7 compare`.

use std::num::NonZeroUsize;

use clap::Args;

use super::device::{Choice, parse_device};
use super::shared::{KeepArgs, PlaceArgs, check_each_once};
use super::values::{learning_rate, recipe, variant};
use crate::Result;
use crate::experiments::compare::Compare;
use crate::experiments::recipes::Recipe;
use crate::norm::Variant;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// What to train; `d2l_ch7 list` tells them
    #[arg(long, default_value = "book", value_parser = recipe)]
    recipe: &'static Recipe,
    /// Batch norms to train with, separated by commas
    #[arg(long, default_value = "scratch,native", value_delimiter = ',', value_parser = variant)]
    variants: Vec<Variant>,
    /// Seed of each variant's random streams
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// Passes over the training images [default: the recipe's]
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<NonZeroUsize>,
    /// Images a step [default: the recipe's]
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<NonZeroUsize>,
    /// Learning rate [default: the recipe's]
    #[arg(long, allow_negative_numbers = true, value_parser = learning_rate)]
    lr: Option<f64>,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    train_examples: Option<NonZeroUsize>,
    /// The loader to reproduce: PyTorch's with this many worker processes. The images of these recipes are not
    /// augmented, so that all counts give the same bits
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    workers: usize,
    #[command(flatten)]
    keep: KeepArgs,
    /// Also print the first batch norm's gamma and beta, and how far the variants' running statistics are apart
    #[arg(long)]
    inspect: bool,
    /// Show neither progress nor results; they are in the directory that is printed last
    #[arg(long)]
    quiet: bool,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: Choice,
    #[command(flatten)]
    place: PlaceArgs,
}

impl CompareArgs {
    pub(super) fn validated(self) -> Result<Compare> {
        check_each_once(&self.variants)?;
        self.place.set_up_libtorch()?;
        let device = self.device.settle()?;
        Ok(Compare {
            recipe: self.recipe,
            variants: self.variants,
            seed: self.seed,
            epochs: self.epochs.map_or(self.recipe.epochs, NonZeroUsize::get),
            batch_size: self.batch_size.map_or(self.recipe.batch_size, NonZeroUsize::get),
            lr: self.lr.unwrap_or(self.recipe.lr),
            device,
            tally: self.place.tally(device),
            deterministic: self.place.deterministic,
            train_examples: self.train_examples.map(NonZeroUsize::get),
            test_examples: self.place.test_examples.map(NonZeroUsize::get),
            workers: self.workers,
            data_dir: self.place.data_dir,
            dist_timeout: self.keep.dist_timeout(),
            out: self.keep.out,
            resume: self.keep.resume,
            checkpoint_every: self.keep.checkpoint_every.map(NonZeroUsize::get),
            inspect: self.inspect,
            quiet: self.quiet,
        })
    }
}
