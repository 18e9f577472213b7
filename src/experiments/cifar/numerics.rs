//! What `--amp` and `--channels-last` change: steps with them beside steps without.

use std::time::Instant;

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};
use tch_extra::optim::Optimizer;
use tch_extra::state_dict::load_state;

use super::Cifar;
use crate::data::{Batch, Batches};
use crate::experiments::trainer::Trainer;
use crate::nets::Net;
use crate::report::NumericsEffect;
use crate::train::{Loss, Metric, Numerics, Totals, evaluate};
use crate::{Result, interrupt};

/// Steps that are timed.
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

impl Cifar {
    /// Makes steps on the first batch of `train_iter` with networks that are thrown away; `None` if they would be alike,
    /// or if someone interrupts.
    ///
    /// The default generators move. A trainer, which has streams of its own, does not notice.
    pub(super) fn numerics_effect(&self, train_iter: &dyn Batches) -> Option<NumericsEffect> {
        if self.numerics.are_default() {
            return None;
        }
        let batch = train_iter.iter().next()?;
        let images = batch.y.numel();
        let mut steps = [self.numerics, Numerics::default()].map(|numerics| {
            tch_extra::manual_seed(self.options.seed);
            let (net, trainer) = self.begin(numerics);
            Steps { net, trainer, devices: &self.devices, seconds: Vec::new() }
        });
        let [(logits, loss), (plain_logits, plain_loss)] = steps.each_mut().map(|steps| steps.step(&batch));
        let largest = |logits: Tensor| logits.abs().max().double_value(&[]);
        let same = logits.argmax(1, false).eq_tensor(&plain_logits.argmax(1, false));
        for _ in 0..STEPS {
            if interrupt::requested() {
                return None;
            }
            steps.iter_mut().for_each(|steps| drop(steps.step(&batch)));
        }
        Some(NumericsEffect {
            chosen: self.numerics.words(),
            images,
            // The first step also allocates memory.
            seconds: steps.map(|steps| steps.seconds[1..].to_vec()),
            loss: [loss, plain_loss].map(|sum| sum / images as f64),
            logit_difference: largest(logits - &plain_logits),
            largest_logit: largest(plain_logits),
            same_predictions: same.sum(Kind::Int64).int64_value(&[]) as usize,
            test_acc: Vec::new(),
        })
    }

    /// Adds to `effect` the test accuracy of every trained network, and that of its weights with PyTorch's own numerics.
    ///
    /// # Errors
    /// None that a user could meet: the networks have the same tensors.
    pub(super) fn test_with_default_numerics(
        &self,
        effect: &mut NumericsEffect,
        trainers: &[Trainer],
        test_iter: &dyn Batches,
    ) -> Result<()> {
        for trainer in trainers {
            let chosen = trainer.records().last().map_or(f64::NAN, |record| record.test_acc);
            let (net, _) = self.begin(Numerics::default());
            load_state(&net.vs, &trainer.net.state(), "the trained network")?;
            let metric = Metric::new(self.devices[0], Totals::default());
            let plain = evaluate(&net, test_iter, metric).accuracy();
            effect.test_acc.push((trainer.variant.clone(), [chosen, plain]));
        }
        Ok(())
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
        let y_hat = self.net.forward_t(&batch.x, true);
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
}
