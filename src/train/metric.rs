//! The sums that d2l's `Accumulator` keeps, in its precision.

use tch::{Kind, Tensor};

use super::Loss;

/// Sums over the examples seen so far: of their losses, of correct predictions, and their count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metric {
    loss_sum: f64,
    correct: f64,
    examples: f64,
}

impl Metric {
    /// Adds a batch: the `value` that its loss took, its logits (B, classes) and its labels (B,).
    ///
    /// As in d2l, a batch's sum of losses is an f32, and sums over batches are f64.
    pub fn add(&mut self, loss: Loss, value: &Tensor, y_hat: &Tensor, y: &Tensor) {
        let examples = y.size()[0];
        let correct = y_hat.argmax(1, false).eq_tensor(y).sum(Kind::Int64);
        self.loss_sum += loss.total(value, examples);
        self.correct += correct.int64_value(&[]) as f64;
        self.examples += examples as f64;
    }

    /// The sums with these values.
    pub(super) fn new(loss_sum: f64, correct: f64, examples: f64) -> Self {
        Self { loss_sum, correct, examples }
    }

    pub(super) fn loss_sum(&self) -> f64 {
        self.loss_sum
    }

    pub(super) fn correct(&self) -> f64 {
        self.correct
    }

    /// The sums of several ranks together, added in their order.
    pub fn sum(ranks: impl IntoIterator<Item = Self>) -> Self {
        ranks.into_iter().fold(Self::default(), |sum, rank| Self {
            loss_sum: sum.loss_sum + rank.loss_sum,
            correct: sum.correct + rank.correct,
            examples: sum.examples + rank.examples,
        })
    }

    /// Mean loss per example, in nats for cross entropy.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.examples
    }

    /// Share of correct predictions, in [0, 1].
    pub fn accuracy(&self) -> f64 {
        self.correct / self.examples
    }

    /// The sums as the bits of three float64, for [`from_bits`](Self::from_bits).
    pub fn to_bits(self) -> [u64; 3] {
        [self.loss_sum, self.correct, self.examples].map(f64::to_bits)
    }

    /// The sums whose [`to_bits`](Self::to_bits) these are.
    pub fn from_bits(bits: [u64; 3]) -> Self {
        let [loss_sum, correct, examples] = bits.map(f64::from_bits);
        Self { loss_sum, correct, examples }
    }

    /// Examples added.
    pub fn examples(&self) -> usize {
        self.examples as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What d2l adds is `l * X.shape[0]`, a product of tensors in f32.
    #[test]
    fn losses_are_multiplied_in_f32_and_added_in_f64() {
        let mut metric = Metric::default();
        let mut expected = 0.0;
        let y = Tensor::from_slice(&[0i64, 1, 1]);
        for loss in [0.7234567f32, 1.9876543, 0.3333333] {
            let y_hat = Tensor::from_slice(&[2.0f32, 1.0, 0.0, 1.0, 3.0, -1.0]).reshape([3, 2]);
            metric.add(Loss::Mean, &Tensor::from(loss), &y_hat, &y);
            expected += (Tensor::from(loss) * 3).double_value(&[]);
        }
        assert_eq!(metric.loss().to_bits(), (expected / 9.0).to_bits());
        // Of three predictions 0, 1, 0 the last is wrong, each time.
        assert_eq!((metric.accuracy(), metric.examples()), (6.0 / 9.0, 9));
    }
}
