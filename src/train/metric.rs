//! The sums that d2l's `Accumulator` keeps, in its precision.

use tch::{Kind, Tensor};

/// Sums over the examples seen so far: of their losses, of correct predictions, and their count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metric {
    loss_sum: f64,
    correct: f64,
    examples: f64,
}

impl Metric {
    /// Adds a batch: its mean loss (an f32 scalar), its logits (B, classes) and its labels (B,).
    ///
    /// d2l multiplies the mean loss by the batch size in f32, and adds in f64: so does this.
    pub fn add(&mut self, loss: &Tensor, y_hat: &Tensor, y: &Tensor) {
        let examples = y.size()[0];
        let correct = y_hat.argmax(1, false).eq_tensor(y).sum(Kind::Int64);
        // f32 -> f64 -> f32 is exact.
        let mean_loss = loss.double_value(&[]) as f32;
        self.loss_sum += f64::from(mean_loss * examples as f32);
        self.correct += correct.int64_value(&[]) as f64;
        self.examples += examples as f64;
    }

    /// Mean loss per example, in nats for cross entropy.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.examples
    }

    /// Share of correct predictions, in [0, 1].
    pub fn accuracy(&self) -> f64 {
        self.correct / self.examples
    }

    /// Examples added.
    pub fn examples(&self) -> usize {
        self.examples as usize
    }
}
