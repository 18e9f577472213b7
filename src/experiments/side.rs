//! One variant of a comparison while it is trained: as a notebook run by itself would train it, though variants take
//! turns in one process.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::time::Instant;

use tch::Device;

use crate::data::Batches;
use crate::layers::Module;
use crate::optim::Optimizer;
use crate::progress::EpochBar;
use crate::torch::{self, GeneratorState};
use crate::train::{Loss, Progress};
use crate::{EpochRecord, Result, interrupt, train};

/// A network, its optimizer, and where its random streams stand.
pub struct Side<'a, V, N> {
    /// Which side of the comparison this is.
    pub variant: V,
    /// The network.
    pub net: N,
    optimizer: Box<dyn Optimizer>,
    setting: Setting<'a>,
    generators: GeneratorState,
}

/// What a variant is trained and tested on, and how.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The training images.
    pub train_iter: &'a dyn Batches,
    /// The test images.
    pub test_iter: &'a dyn Batches,
    /// What a step minimizes.
    pub loss: Loss,
    /// Where the random streams of training are.
    pub device: Device,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Show no progress.
    pub quiet: bool,
}

impl<'a, V: Display, N: Module> Side<'a, V, N> {
    /// The variant as a notebook begins it: `build` makes network and optimizer right after the seed is set.
    ///
    /// # Errors
    /// If the device's random generator cannot be read.
    pub fn new(
        variant: V,
        seed: u64,
        setting: Setting<'a>,
        build: impl FnOnce() -> (N, Box<dyn Optimizer>),
    ) -> Result<Self> {
        torch::manual_seed(seed);
        let (net, optimizer) = build();
        let generators = GeneratorState::capture(setting.device)?;
        Ok(Self { variant, net, optimizer, setting, generators })
    }

    /// Trains and evaluates one epoch, counted from 1, on this variant's own random streams; `None` if it was
    /// interrupted. `observe` is called after every batch.
    ///
    /// # Errors
    /// If a random generator cannot be read or set.
    pub fn epoch(
        &mut self,
        epoch: usize,
        observe: &mut dyn FnMut(Progress, &mut dyn Module),
    ) -> Result<Option<EpochRecord>> {
        let Setting { train_iter, test_iter, loss, device, epochs, quiet } = self.setting;
        self.generators.restore()?;
        let variant = self.variant.to_string();
        let start = Instant::now();
        let bar = EpochBar::new(&variant, epoch, epochs, train_iter, quiet);
        let mut observe = |progress: Progress, net: &mut dyn Module| {
            bar.show(progress);
            observe(progress, net);
            if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let optimizer = self.optimizer.as_mut();
        let trained = train::train_epoch(&mut self.net, train_iter, optimizer, loss, &mut observe);
        let Some(trained) = trained else { return Ok(None) };
        let train_seconds = start.elapsed().as_secs_f64();
        let tested = train::evaluate(&mut self.net, test_iter);
        self.generators = GeneratorState::capture(device)?;
        Ok(Some(EpochRecord {
            variant,
            epoch,
            train_loss: trained.loss(),
            train_acc: trained.accuracy(),
            test_loss: tested.loss(),
            test_acc: tested.accuracy(),
            train_seconds,
            epoch_seconds: start.elapsed().as_secs_f64(),
            examples_per_second: trained.examples() as f64 / train_seconds,
        }))
    }
}
