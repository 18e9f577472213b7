//! What `--amp` and `--channels-last` change: steps with them beside steps without.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::{Cifar, Data, Net};
use crate::data::{Batch, Batches};
use crate::experiments::run_log::RunLog;
use crate::experiments::side::Side;
use crate::experiments::turns;
use crate::layers::{Module, load_state, state};
use crate::optim::Optimizer;
use crate::report::{Beside, NumericsEffect};
use crate::train::{Loss, Numerics};
use crate::{Result, interrupt, torch, train};

/// Steps that are timed; odd, for the median.
const STEPS: usize = 3;

impl Numerics {
    /// What the report says that a run computes with.
    pub(super) fn fact(self) -> String {
        if self.are_default() {
            return "float32, contiguous memory".to_owned();
        }
        format!("{}, which changes bits", self.words())
    }

    /// What is not PyTorch's own.
    pub(super) fn words(self) -> String {
        let words = [(self.amp, "bfloat16 autocast"), (self.channels_last, "channels-last memory")];
        words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect::<Vec<_>>().join(" and ")
    }
}

/// What is measured beside a run whose numerics are not PyTorch's own.
pub(super) struct NumericsBeside<'a> {
    config: &'a Cifar,
    train_iter: &'a dyn Batches,
    test_iter: &'a dyn Batches,
    effect: Option<NumericsEffect>,
}

impl<'a> NumericsBeside<'a> {
    pub(super) fn new(config: &'a Cifar, train_iter: &'a dyn Batches, test_iter: &'a dyn Batches) -> Self {
        Self { config, train_iter, test_iter, effect: None }
    }
}

impl turns::Beside<Data, Net> for NumericsBeside<'_> {
    fn begin(&mut self, log: &mut RunLog) -> Result<()> {
        self.effect = self.config.numerics_effect(self.train_iter);
        self.effect.as_ref().map_or(Ok(()), |effect| log.numerics_changed(effect.clone()))
    }

    fn after_round(&mut self, epoch: usize, sides: &mut [Side<Data, Net>], log: &mut RunLog) -> Result<()> {
        let Some(effect) = self.effect.as_mut().filter(|_| epoch == self.config.options.epochs) else {
            return Ok(());
        };
        for side in sides {
            let chosen = side.records().last().map_or(f64::NAN, |record| record.test_acc);
            let beside = self.config.test_beside(chosen, &mut side.net, self.test_iter)?;
            effect.test_acc.push((side.variant.to_string(), beside));
        }
        log.numerics_changed(effect.clone())
    }
}

impl Cifar {
    /// Makes steps on the first batch of `train_iter` with networks that are thrown away; `None` if they would be alike,
    /// or if someone interrupts.
    ///
    /// The default generators move. A side of a comparison, which has streams of its own, does not notice.
    fn numerics_effect(&self, train_iter: &dyn Batches) -> Option<NumericsEffect> {
        if self.numerics.are_default() {
            return None;
        }
        let batch = train_iter.iter().next()?;
        let mut steps = [self.numerics, Numerics::default()].map(|numerics| {
            torch::manual_seed(self.options.seed);
            let (net, trainer) = self.begin(numerics);
            Steps { net, trainer, devices: &self.devices, seconds: Vec::new() }
        });
        let [chosen, plain] = &mut steps;
        let images = batch.y.numel();
        let (logits, loss) = chosen.step(&batch);
        let (plain_logits, plain_loss) = plain.step(&batch);
        let largest = |logits: Tensor| logits.abs().max().double_value(&[]);
        let same = logits.argmax(1, false).eq_tensor(&plain_logits.argmax(1, false));
        for _ in 0..STEPS {
            if interrupt::requested() {
                return None;
            }
            let _ = (chosen.step(&batch), plain.step(&batch));
        }
        Some(NumericsEffect {
            chosen: self.numerics.words(),
            images,
            steps: STEPS,
            seconds: Beside { chosen: chosen.median_seconds(), plain: plain.median_seconds() },
            loss: Beside { chosen: loss / images as f64, plain: plain_loss / images as f64 },
            logit_difference: largest(logits - &plain_logits),
            largest_logit: largest(plain_logits),
            same_predictions: same.sum(Kind::Int64).int64_value(&[]) as usize,
            test_acc: Vec::new(),
        })
    }

    /// The test accuracy `chosen` that `net` was found to have, beside that of its weights with PyTorch's own numerics.
    ///
    /// # Errors
    /// None that a user could meet: the networks have the same tensors, and nothing is recorded.
    fn test_beside(&self, chosen: f64, net: &mut Net, test_iter: &dyn Batches) -> Result<Beside> {
        let (mut plain, _) = self.begin(Numerics::default());
        load_state(&mut plain, &state(net), "the trained network")?;
        Ok(Beside { chosen, plain: train::evaluate(&mut plain, test_iter, self.options.tally)?.accuracy() })
    }
}

/// A network that is trained on one batch again and again.
struct Steps<'a> {
    net: Net,
    trainer: Box<dyn Optimizer>,
    devices: &'a [Device],
    seconds: Vec<f64>,
}

impl Steps<'_> {
    /// One step; gives the logits and the loss before it.
    fn step(&mut self, batch: &Batch) -> (Tensor, f64) {
        let start = Instant::now();
        self.trainer.zero_grad();
        let y_hat = self.net.forward(&batch.x, true);
        let loss = Loss::Sum.of(&y_hat, &batch.y);
        loss.backward();
        self.trainer.step();
        for device in self.devices {
            if let Device::Cuda(index) = device {
                tch::Cuda::synchronize(*index as i64);
            }
        }
        self.seconds.push(start.elapsed().as_secs_f64());
        (y_hat.detach(), loss.double_value(&[]))
    }

    /// Of all but the first.
    fn median_seconds(&self) -> f64 {
        let mut seconds = self.seconds[1..].to_vec();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}
