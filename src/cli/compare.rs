//! `d2l_ch7 compare`.

use clap::Args;

use super::device::{Choice, parse_device};
use super::shared::{Defaults, TrainArgs, check_each_once};
use super::values::{recipe, variant};
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
    /// The loader to reproduce: PyTorch's with this many worker processes. The images of these recipes are not
    /// augmented, so that all counts give the same bits
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    workers: usize,
    /// Also print the first batch norm's gamma and beta, and how far the variants' running statistics are apart
    #[arg(long)]
    inspect: bool,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: Choice,
    #[command(flatten)]
    train: TrainArgs,
}

impl CompareArgs {
    pub(super) fn validated(self) -> Result<Compare> {
        check_each_once(&self.variants)?;
        self.train.set_up_libtorch()?;
        let device = self.device.settle()?;
        let &Recipe { epochs, batch_size, lr, .. } = self.recipe;
        Ok(Compare {
            recipe: self.recipe,
            variants: self.variants,
            device,
            inspect: self.inspect,
            options: self.train.options(&Defaults { epochs, batch_size, lr }, self.workers),
        })
    }
}
