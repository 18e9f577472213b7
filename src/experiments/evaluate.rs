//! Saved weights, tried on the test images.

use std::path::PathBuf;

use tch::Device;

use super::recipes::Recipe;
use crate::data::{DataLoader, FashionMnist, ImageSet};
use crate::layers::to_device;
use crate::norm::Variant;
use crate::train::Tally;
use crate::{Result, train, weights};

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
    /// Where loss and accuracy are summed; with [`Tally::Device`] the images are on the device too.
    pub tally: Tally,
    /// How many of the first test images are used; `None`: all.
    pub test_examples: Option<usize>,
    /// Where the data set is; `None`: found, or fetched into the cache.
    pub data_dir: Option<PathBuf>,
}

/// Loss (nats per example) and accuracy (share) over the test images.
///
/// # Errors
/// Weights that cannot be read or are another network's; data that cannot be had.
pub fn run(config: &Evaluate) -> Result<train::Metric> {
    let mut net = config.recipe.initial_net(config.variant);
    weights::load_into(&mut net, &config.weights)?;
    to_device(&mut net, config.device);
    let test = FashionMnist::load(config.data_dir.as_deref(), true)?.test;
    test.check_limit(config.test_examples, "--test-examples")?;
    let images = ImageSet::new(&test.pixels, &test.labels, test.rows, test.cols, config.test_examples);
    let batches = DataLoader::new(&images, config.batch_size, false, config.device);
    let batches = batches.resize(config.recipe.resize());
    match config.tally {
        Tally::Host => train::evaluate(&mut net, &batches, Tally::Host),
        Tally::Device => train::evaluate(&mut net, &batches.resident(), Tally::Device),
    }
}
