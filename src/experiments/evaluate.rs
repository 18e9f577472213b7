//! Saved weights, tried on the test images.

use std::path::PathBuf;

use clap::Args;
use tch::Device;

use super::options::CommonOptions;
use super::recipes::{RECIPES, Recipe, recipe};
use super::values::device;
use crate::data::{DataLoader, FashionMnist, ImageSet};
use crate::norm::Variant;
use crate::train::{Metric, Totals, evaluate};
use crate::weights;

/// The options of `d2l_ch7 evaluate`.
#[derive(Args, Clone, Debug)]
pub struct Evaluate {
    /// A .safetensors file, as a run leaves it under weights/, or as Python saves it
    pub weights: PathBuf,
    /// The recipe it was trained by
    #[arg(long, default_value = RECIPES[0].name, value_parser = recipe())]
    pub recipe: &'static Recipe,
    /// The batch norm it was trained with
    #[arg(long)]
    pub variant: Variant,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: Device,
    /// The options that `compare` and `cifar` have too.
    #[command(flatten)]
    pub common: CommonOptions,
}

/// Loss (nats per example) and accuracy (share) over the test images.
///
/// # Errors
/// Weights that cannot be read or are another network's; data that cannot be had.
pub fn run(config: &Evaluate) -> anyhow::Result<Totals> {
    let CommonOptions { test_examples, data_dir, eager, .. } = &config.common;
    let mut net = config.recipe.initial_net(&config.variant.into());
    weights::load_into(&net.vs, &config.weights)?;
    net.vs.set_device(config.device);
    let test = FashionMnist::load(data_dir.as_deref(), true)?.test;
    test.check_limit(*test_examples, "--test-examples")?;
    let images = ImageSet::new(&test.first(*test_examples));
    let batches = DataLoader::new(&images, config.recipe.batch_size, false, config.device);
    let batches = batches.resize(config.recipe.resize());
    if *eager {
        return Ok(evaluate(&net, &batches, Metric::Host(Totals::default())));
    }
    let batches = if config.device.is_cuda() { batches.resident() } else { batches };
    Ok(evaluate(&net, &batches, Metric::new(config.device, Totals::default())))
}
