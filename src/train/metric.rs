//! The sums that d2l's `Accumulator` keeps, in the same precision, on the host or on the device.

use tch::{Device, Kind, Tensor};
use tch_extra::Readback;

use crate::Result;

/// d2l's `metric = d2l.Accumulator(3)`: the sums of losses, of correct predictions and of examples so far.
///
/// On the host, `add` waits until the device has computed the batch, as d2l does. On a device, only reading the sums waits, and the
/// host may be many batches ahead. The bits are the same.
#[derive(Debug)]
pub enum Metric {
    /// Numbers on the host.
    Host(Totals),
    /// Tensors on the device.
    Device {
        /// Sum of losses, f64.
        loss: Tensor,
        /// Correct predictions, int64.
        correct: Tensor,
        /// Examples, counted by the host.
        examples: usize,
    },
}

/// The sums of a [`Metric`] at one moment, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    loss: f64,
    correct: f64,
    examples: f64,
}

/// The sums of a [`Metric`] at one moment, on their way to the host.
#[derive(Debug)]
pub enum Reading {
    /// They have arrived.
    Host(Totals),
    /// Losses and correct predictions, which are copied; and the number of examples.
    Device(Readback, usize),
}

impl Metric {
    /// A metric that goes on from `done`, for batches on `device`: in tensors on a GPU, as numbers on the host for a CPU.
    pub fn new(device: Device, done: Totals) -> Self {
        if device.is_cuda() { Self::on_device(device, done) } else { Self::Host(done) }
    }

    /// A metric that goes on from `done`, in tensors on `device`.
    pub fn on_device(device: Device, done: Totals) -> Self {
        Self::Device {
            loss: Tensor::from(done.loss).to_device(device),
            correct: Tensor::from(done.correct as i64).to_device(device),
            examples: done.examples(),
        }
    }

    /// Adds a batch with the f32 sum of its losses, its logits (B, classes) and its labels (B,). Sums over batches are f64.
    pub fn add(&mut self, loss_sum: &Tensor, y_hat: &Tensor, y: &Tensor) {
        let batch_correct = || tch::no_grad(|| y_hat.argmax(1, false).eq_tensor(y).sum(Kind::Int64));
        match self {
            Self::Host(totals) => {
                totals.correct += batch_correct().int64_value(&[]) as f64;
                totals.loss += loss_sum.double_value(&[]);
                totals.examples += y.numel() as f64;
            }
            Self::Device { loss, correct, examples } => {
                *loss += loss_sum;
                *correct += batch_correct();
                *examples += y.numel();
            }
        }
    }

    /// A metric that goes on from `done`, in the memory of this one.
    pub(super) fn restart(&self, done: Totals) -> Self {
        match self {
            Self::Host(_) => Self::Host(done),
            Self::Device { loss, correct, .. } => {
                let loss = loss.shallow_clone().fill_(done.loss);
                let correct = correct.shallow_clone().fill_(done.correct as i64);
                Self::Device { loss, correct, examples: done.examples() }
            }
        }
    }

    /// Counts examples whose loss and predictions a recorded step has added on the device.
    pub(super) fn count(&mut self, images: usize) {
        match self {
            Self::Host(_) => unreachable!("a recorded step adds on the device"),
            Self::Device { examples, .. } => *examples += images,
        }
    }

    /// The sums as numbers; waits for the device.
    pub fn totals(&self) -> Totals {
        match self {
            Self::Host(totals) => *totals,
            Self::Device { loss, correct, examples } => Totals::read(loss, correct, *examples),
        }
    }

    /// The sums as they are now, to be read later. Does not wait.
    ///
    /// # Errors
    /// If the device does not take it.
    pub fn begin_reading(&self) -> Result<Reading> {
        Ok(match self {
            Self::Host(totals) => Reading::Host(*totals),
            Self::Device { loss, correct, examples } => {
                Reading::Device(Readback::begin(&[loss, correct])?, *examples)
            }
        })
    }
}

impl Reading {
    /// The sums, if they have arrived.
    ///
    /// # Errors
    /// If the device failed in the meantime.
    pub fn arrived(&self) -> Result<Option<Totals>> {
        Ok(match self {
            Self::Host(totals) => Some(*totals),
            Self::Device(readback, examples) => {
                readback.arrived()?.map(|sums| Totals::read(&sums[0], &sums[1], *examples))
            }
        })
    }
}

impl Totals {
    fn read(loss: &Tensor, correct: &Tensor, examples: usize) -> Self {
        let (loss, correct) = (loss.double_value(&[]), correct.int64_value(&[]) as f64);
        Self { loss, correct, examples: examples as f64 }
    }

    /// Mean loss per example, in nats for cross entropy.
    pub fn loss(&self) -> f64 {
        self.loss / self.examples
    }

    /// Share of correct predictions, in [0, 1].
    pub fn accuracy(&self) -> f64 {
        self.correct / self.examples
    }

    /// Examples added.
    pub fn examples(&self) -> usize {
        self.examples as usize
    }

    /// The sum over several ranks, added in their order.
    pub fn sum(ranks: impl IntoIterator<Item = Self>) -> Self {
        ranks.into_iter().fold(Self::default(), |sum, rank| Self {
            loss: sum.loss + rank.loss,
            correct: sum.correct + rank.correct,
            examples: sum.examples + rank.examples,
        })
    }

    /// The bits of the three sums as float64, for [`from_bits`](Self::from_bits).
    pub fn to_bits(self) -> [u64; 3] {
        [self.loss, self.correct, self.examples].map(f64::to_bits)
    }

    /// The sums that gave these [`to_bits`](Self::to_bits).
    pub fn from_bits(bits: [u64; 3]) -> Self {
        let [loss, correct, examples] = bits.map(f64::from_bits);
        Self { loss, correct, examples }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Loss;
    use super::*;

    const CPU: Device = Device::Cpu;

    /// What d2l adds is `l * X.shape[0]`, a product of tensors in f32.
    #[test]
    fn losses_are_multiplied_in_f32_and_added_in_f64() {
        let mut metric = Metric::new(CPU, Totals::default());
        let mut expected = 0.0;
        let y = Tensor::from_slice(&[0i64, 1, 1]);
        for loss in [0.7234567f32, 1.9876543, 0.3333333] {
            let y_hat = Tensor::from_slice(&[2.0f32, 1.0, 0.0, 1.0, 3.0, -1.0]).reshape([3, 2]);
            metric.add(&Loss::Mean.total(&Tensor::from(loss), 3), &y_hat, &y);
            expected += f64::from(loss * 3.0);
        }
        let totals = metric.totals();
        assert_eq!(totals.loss().to_bits(), (expected / 9.0).to_bits());
        // Of three predictions 0, 1, 0 the last is wrong, each time.
        assert_eq!((totals.accuracy(), totals.examples()), (6.0 / 9.0, 9));
    }

    /// Batches of several sizes, whose products and sums round.
    #[test]
    fn sums_on_a_device_have_the_hosts_bits() {
        for loss in [Loss::Mean, Loss::Sum] {
            let begun = Totals { loss: 0.1 + 0.2, correct: 3.0, examples: 7.0 };
            let mut readings = Vec::new();
            let (mut host, mut device) = (Metric::new(CPU, begun), Metric::on_device(CPU, begun));
            let [host_bits, device_bits] = [&host, &device].map(|metric| metric.totals().to_bits());
            assert_eq!(host_bits, device_bits);
            for batch in [33i64, 64, 5, 1, 257] {
                let y_hat =
                    (Tensor::arange(batch * 10, (Kind::Float, CPU)) * 0.37).sin().reshape([batch, 10]);
                let y_hat = y_hat.set_requires_grad(true);
                let y = Tensor::arange(batch, (Kind::Int64, CPU)).remainder(10);
                let value = loss.of(&y_hat, &y);
                assert!(value.requires_grad());
                for metric in [&mut host, &mut device] {
                    metric.add(&loss.total(&value, batch), &y_hat, &y);
                }
                assert_eq!(host.totals().to_bits(), device.totals().to_bits(), "{loss:?}, {batch}");
                readings.extend([&host, &device].map(|m| (m.begin_reading().unwrap(), m.totals())));
            }
            for (reading, then) in &readings {
                assert_eq!(reading.arrived().unwrap(), Some(*then), "what was added later is not in it");
            }
            assert!(host.totals().accuracy() > 0.0 && host.totals().examples() == 7 + 360);
        }
    }
}
