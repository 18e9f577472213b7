//! Saved weights, tried on the test images.

use std::path::PathBuf;

use tch::Device;

use super::recipes::Recipe;
use crate::data::{DataLoader, FashionMnist, ImageSet};
use crate::norm::Variant;
use crate::train::{Metric, Totals, evaluate};
use crate::{Result, weights};

/// Which weights to try, and where.
#[derive(Debug)]
pub struct Evaluate {
    /// The safetensors file, saved by this program or by Python.
    pub weights: PathBuf,
    /// The recipe that trained them.
    pub recipe: &'static Recipe,
    /// The batch norm they were trained with.
    pub variant: Variant,
    /// Images a batch.
    pub batch_size: usize,
    /// Where the network runs.
    pub device: Device,
    /// Whether loss and accuracy are read after every batch, whatever the device.
    pub eager: bool,
    /// How many of the first test images are used; `None`: all.
    pub test_examples: Option<usize>,
    /// Where the data set is; `None`: found, or fetched into the cache.
    pub data_dir: Option<PathBuf>,
}

/// Loss (nats per example) and accuracy (share) over the test images.
///
/// # Errors
/// Weights that cannot be read or are another network's; data that cannot be had.
pub fn run(config: &Evaluate) -> Result<Totals> {
    let mut net = config.recipe.initial_net(&config.variant.into());
    weights::load_into(&net.vs, &config.weights)?;
    net.vs.set_device(config.device);
    let test = FashionMnist::load(config.data_dir.as_deref(), true)?.test;
    test.check_limit(config.test_examples, "--test-examples")?;
    let images = ImageSet::new(&test.pixels, &test.labels, test.rows, test.cols, config.test_examples);
    let batches = DataLoader::new(&images, config.batch_size, false, config.device);
    let batches = batches.resize(config.recipe.resize());
    if config.eager {
        return Ok(evaluate(&net, &batches, Metric::Host(Totals::default())));
    }
    let batches = if config.device.is_cuda() { batches.resident() } else { batches };
    Ok(evaluate(&net, &batches, Metric::new(config.device, Totals::default())))
}
