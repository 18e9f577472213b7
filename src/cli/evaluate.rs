//! `d2l_ch7 evaluate`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::device::{Choice, parse_device};
use super::shared::PlaceArgs;
use super::values::{recipe, variant};
use crate::Result;
use crate::experiments::evaluate::Evaluate;
use crate::experiments::recipes::Recipe;
use crate::norm::Variant;

#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// A .safetensors file, as a run leaves it under weights/
    weights: PathBuf,
    /// The recipe it was trained by
    #[arg(long, default_value = "book", value_parser = recipe)]
    recipe: &'static Recipe,
    /// The batch norm it was trained with
    #[arg(long, value_parser = variant)]
    variant: Variant,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: Choice,
    #[command(flatten)]
    place: PlaceArgs,
}

impl EvaluateArgs {
    pub(super) fn validated(self) -> Result<Evaluate> {
        self.place.set_up_libtorch()?;
        let device = self.device.settle()?;
        Ok(Evaluate {
            weights: self.weights,
            recipe: self.recipe,
            variant: self.variant,
            batch_size: self.recipe.batch_size,
            device,
            eager: self.place.eager,
            test_examples: self.place.test_examples.map(NonZeroUsize::get),
            data_dir: self.place.data_dir,
        })
    }
}
