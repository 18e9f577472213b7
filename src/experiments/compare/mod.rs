//! The main job: one recipe trained with each batch norm, epoch by epoch in turn, and what they gave set side
//! by side.

mod config;
mod synchronized;

use std::path::PathBuf;
use std::slice;
use std::sync::Arc;

use tch::Tensor;
use tch_extra::optim::Optimizer;

use super::description::DataUsed;
use super::inspector::{Inspector, inspect};
use super::options::RunOptions;
use super::ranks;
use super::run_log::RunLog;
use super::trainer::{Setting, Trainer};
use crate::data::{Batches, DataLoader, FashionMnist, ImageSet};
use crate::distributed::{self, Distributed};
use crate::nets::Net;
use crate::norm::{Norm, Ranks, Variant};
use crate::train::Loss;
use crate::{Error, Result};
pub use config::Compare;

/// Trains the variants in turn, epoch by epoch, and keeps a run directory up to date. Gives that directory; of
/// several processes that train together, on rank 0 alone.
///
/// # Errors
/// Data that cannot be had or read, a run directory that cannot be made or written, a last batch of one image, a
/// loss that is not finite, an interruption, a fault on another process. Epochs finished before are on disk.
pub fn run(config: &Compare) -> anyhow::Result<Option<PathBuf>> {
    let timeout = config.options.dist_timeout();
    Ok(distributed::together(config.device, timeout, |ranks| train(config, ranks))?)
}

fn train(config: &Compare, ranks: Option<&Distributed>) -> Result<Option<PathBuf>> {
    let RunOptions { epochs, batch_size, graph, ref common, .. } = config.options;
    config.options.check_devices(&[config.device], ranks)?;
    let data = FashionMnist::load(common.data_dir.as_deref(), !config.options.is_quiet(ranks))?;
    let (images, used) = DataUsed::of(data, config.options.train_examples, common)?;
    let description = config.describe(used, ranks);
    ranks::agree(ranks, &description)?;

    let [train_images, test_images] = images.map(|images| ImageSet::new(&images));
    let loader = |images, shuffle| {
        let loader = DataLoader::new(images, batch_size, shuffle, config.device);
        let loader =
            loader.distributed(ranks::sampler(ranks, config.options.seed)).resize(config.recipe.resize());
        if graph || (config.device.is_cuda() && !common.eager) { loader.resident() } else { loader }
    };
    let (train_iter, test_iter) = (loader(&train_images, true), loader(&test_images, false));
    if config.variants.iter().any(|variant| variant.has_batch_norm()) {
        check_last_batch(train_iter.examples(), batch_size)?;
    }
    let setting = Setting {
        options: &config.options,
        train_iter: &train_iter,
        test_iter: &test_iter,
        loss: Loss::Mean,
        devices: slice::from_ref(&config.device),
        ranks,
    };
    let mut log = RunLog::begin(description, ranks)?;
    let normalized = Arc::new(ranks.map_or_else(Ranks::default, |ranks| Ranks::of(ranks.group())));
    let mut trainers = config.trainers(setting, &train_iter.first_image(), &normalized, &log)?;
    log.resumed(trainers.iter().flat_map(Trainer::records).cloned().collect())?;
    for epoch in 1..=epochs {
        for trainer in &mut trainers {
            trainer.epoch(epoch, &mut log)?;
        }
        // A resumed run may be past this epoch.
        if trainers.iter().all(|trainer| trainer.rests_after(epoch)) {
            config.compare_norms(epoch, &trainers, &normalized, ranks, &mut log)?;
        }
    }
    Ok(log.finish())
}

/// Refuses a last batch of one image: after a dense layer, batch norm over one value per channel gives its shift, whatever the value.
pub(super) fn check_last_batch(examples: usize, batch_size: usize) -> Result<()> {
    if examples % batch_size != 1 && batch_size != 1 {
        return Ok(());
    }
    Err(Error::usage(
        format!(
            "the last of the batches of {batch_size} from {examples} training images would hold one image, and \
             batch norm over one value per channel cannot be trained"
        ),
        "choose another --batch-size or --train-examples, so that the last batch holds two images or more",
    ))
}

impl Compare {
    /// A trainer for each variant. With `--inspect`, `scratch` is watched on the `first_image`; a batch norm over all processes keeps
    /// what it normalized by in `normalized`.
    fn trainers<'a>(
        &self,
        setting: Setting<'a>,
        first_image: &Tensor,
        normalized: &Arc<Ranks>,
        log: &RunLog,
    ) -> Result<Vec<Trainer<'a>>> {
        let trainer = |&variant: &Variant| {
            let norm = match variant {
                Variant::ScratchSync => Norm::ScratchSync(Arc::clone(normalized)),
                alone => alone.into(),
            };
            let inspector = (self.inspect && variant == Variant::Scratch)
                .then(|| Inspector::new(self.recipe.net, first_image));
            Trainer::new(variant.to_string(), setting, inspector, log, || self.begin(&norm))
        };
        self.variants.iter().map(trainer).collect()
    }

    /// Notes what the variants' batch norms have become after an epoch.
    fn compare_norms(
        &self,
        epoch: usize,
        trainers: &[Trainer],
        normalized: &Ranks,
        ranks: Option<&Distributed>,
        log: &mut RunLog,
    ) -> Result<()> {
        if self.inspect {
            let states = self.variants.iter().zip(trainers).map(|(&variant, t)| (variant, t.net.state()));
            let inspector = trainers.iter().find_map(|trainer| trainer.inspector.as_ref());
            log.inspected(inspect(epoch, &states.collect::<Vec<_>>(), inspector))?;
        }
        if let Some(ranks) = ranks
            && let Some(found) = synchronized::gather(epoch, normalized, ranks)?
        {
            log.synchronized(&found)?;
        }
        Ok(())
    }

    /// The network and its optimizer as they are before the first step.
    fn begin(&self, norm: &Norm) -> (Net, Box<dyn Optimizer>) {
        let mut net = self.recipe.initial_net(norm);
        net.vs.set_device(self.device);
        let optimizer = self.recipe.optimizer.over(net.vs.trainable_variables(), self.options.lr);
        (net, optimizer)
    }
}
