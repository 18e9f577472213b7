//! An epoch's sums while it goes on: on the host, which waits for every batch, or on the device, where they wait to be read.

use tch::{Device, Kind, Tensor};

use super::{Loss, Metric};
use crate::Result;
use crate::torch::Readback;

/// Where an epoch's sums are kept. Their bits are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// On the host, as d2l keeps them: it waits after every batch until the device has computed it.
    Host,
    /// On the device of the batches: the host may be many batches ahead, and waits only where the sums are read.
    Device,
}

impl Tally {
    /// Where sums of batches on `device` are kept best. A CPU's are at hand.
    pub fn on(device: Device) -> Self {
        if device.is_cuda() { Self::Device } else { Self::Host }
    }
}

/// Sums over the batches so far.
#[derive(Debug)]
pub struct Sums(Place);

#[derive(Debug)]
enum Place {
    Host(Metric),
    Device(DeviceSums),
}

/// What [`Metric`] holds, as tensors.
#[derive(Debug)]
pub(super) struct DeviceSums {
    /// f64.
    loss_sum: Tensor,
    /// int64.
    correct: Tensor,
    /// Known without the device.
    examples: usize,
}

impl Sums {
    /// Goes on from `done`.
    pub fn after(done: Metric, tally: Tally) -> Self {
        Self(match tally {
            Tally::Host => Place::Host(done),
            Tally::Device => Place::Device(DeviceSums {
                loss_sum: Tensor::from(done.loss_sum()),
                correct: Tensor::from(done.correct() as i64),
                examples: done.examples(),
            }),
        })
    }

    /// Counts images whose figures the device has added by itself.
    pub(super) fn count(&mut self, images: usize) {
        match &mut self.0 {
            Place::Host(_) => unreachable!("a device adds what is on it"),
            Place::Device(sums) => sums.examples += images,
        }
    }

    /// [`Metric::add`]; on the device nothing is waited for.
    pub fn add(&mut self, loss: Loss, value: &Tensor, y_hat: &Tensor, y: &Tensor) {
        match &mut self.0 {
            Place::Host(metric) => metric.add(loss, value, y_hat, y),
            Place::Device(sums) => tch::no_grad(|| sums.add(loss, value, y_hat, y)),
        }
    }

    /// The sums as they are now, to be read later.
    pub(super) fn begin_reading(&self) -> Result<Reading> {
        Ok(match &self.0 {
            Place::Host(metric) => Reading::Host(*metric),
            Place::Device(DeviceSums { loss_sum, correct, examples }) => {
                Reading::Device(Readback::begin(&[loss_sum, correct])?, *examples)
            }
        })
    }

    /// The sums as numbers; waits for the device, if they are there.
    pub fn read(&self) -> Metric {
        match &self.0 {
            Place::Host(metric) => *metric,
            Place::Device(DeviceSums { loss_sum, correct, examples }) => metric(loss_sum, correct, *examples),
        }
    }
}

/// Sums of one moment, on their way to the host.
#[derive(Debug)]
pub enum Reading {
    /// They are there.
    Host(Metric),
    /// Those of losses and of correct predictions, and the count of images.
    Device(Readback, usize),
}

impl Reading {
    /// The sums, once they are here.
    ///
    /// # Errors
    /// If the device failed meanwhile.
    pub fn arrived(&self) -> Result<Option<Metric>> {
        Ok(match self {
            Self::Host(metric) => Some(*metric),
            Self::Device(readback, examples) => {
                readback.arrived()?.map(|sums| metric(&sums[0], &sums[1], *examples))
            }
        })
    }
}

fn metric(loss_sum: &Tensor, correct: &Tensor, examples: usize) -> Metric {
    Metric::new(loss_sum.double_value(&[]), correct.int64_value(&[]) as f64, examples as f64)
}

impl DeviceSums {
    /// None so far, on `device`.
    pub(super) fn on(device: Device) -> Self {
        Self {
            loss_sum: Tensor::zeros([], (Kind::Double, device)),
            correct: Tensor::zeros([], (Kind::Int64, device)),
            examples: 0,
        }
    }

    /// Sums that go on from `done` in this memory.
    pub(super) fn restart(&mut self, done: Metric) -> Sums {
        let _ = self.loss_sum.fill_(done.loss_sum());
        let _ = self.correct.fill_(done.correct() as i64);
        Sums(Place::Device(Self {
            loss_sum: self.loss_sum.shallow_clone(),
            correct: self.correct.shallow_clone(),
            examples: done.examples(),
        }))
    }

    fn add(&mut self, loss: Loss, value: &Tensor, y_hat: &Tensor, y: &Tensor) {
        let device = y.device();
        if self.loss_sum.device() != device {
            self.loss_sum = self.loss_sum.to_device(device);
            self.correct = self.correct.to_device(device);
        }
        let examples = y.size()[0];
        // The sum's kernel makes an f64 of it.
        self.loss_sum += loss.total_on_device(value, examples);
        self.correct += y_hat.argmax(1, false).eq_tensor(y).sum(Kind::Int64);
        self.examples += examples as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of several sizes, whose products and sums round.
    #[test]
    fn sums_on_a_device_have_the_hosts_bits() {
        for loss in [Loss::Mean, Loss::Sum] {
            let begun = Metric::new(0.1 + 0.2, 3.0, 7.0);
            let mut readings = Vec::new();
            let [mut host, mut device] = [Tally::Host, Tally::Device].map(|tally| Sums::after(begun, tally));
            assert_eq!(host.read().to_bits(), device.read().to_bits());
            for batch in [33i64, 64, 5, 1, 257] {
                let y_hat = (Tensor::arange(batch * 10, (Kind::Float, Device::Cpu)) * 0.37)
                    .sin()
                    .reshape([batch, 10]);
                let y_hat = y_hat.set_requires_grad(true);
                let y = Tensor::arange(batch, (Kind::Int64, Device::Cpu)).remainder(10);
                let value = loss.of(&y_hat, &y);
                assert!(value.requires_grad());
                host.add(loss, &value, &y_hat, &y);
                device.add(loss, &value, &y_hat, &y);
                assert_eq!(host.read().to_bits(), device.read().to_bits(), "{loss:?}, {batch}");
                readings.extend([&host, &device].map(|sums| (sums.begin_reading().unwrap(), sums.read())));
            }
            for (reading, then) in &readings {
                assert_eq!(reading.arrived().unwrap(), Some(*then), "what was added later is not in it");
            }
            assert!(host.read().accuracy() > 0.0 && host.read().examples() == 7 + 360);
        }
    }
}
