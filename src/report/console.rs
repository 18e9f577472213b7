//! The lines a run prints: one a variant after each epoch, and one with their difference.

use super::numbers::{grouped, signed};
use crate::EpochRecord;

/// The word in the place of a variant's name on the line of difference.
const DIFFERENCE: &str = "difference";

/// Writes lines whose columns stand under each other.
#[derive(Clone, Debug)]
pub struct Console {
    epochs: usize,
    name_width: usize,
}

impl Console {
    /// Lines for `variants` over `epochs` epochs.
    pub fn new(variants: &[String], epochs: usize) -> Self {
        let names = variants.iter().map(|name| name.chars().count());
        // The line of difference exists only between two variants.
        let difference = (variants.len() == 2).then_some(DIFFERENCE.len());
        Self { epochs, name_width: names.chain(difference).max().unwrap_or(0) }
    }

    /// `epoch  3/10  scratch     train loss  0.3321  train acc   0.877  test acc   0.861  41,233 examples/s`;
    /// loss in nats per example, accuracies as shares.
    pub fn epoch_line(&self, record: &EpochRecord) -> String {
        let EpochRecord { train_loss, train_acc, test_acc, .. } = record;
        let numbers = [format!("{train_loss:.4}"), format!("{train_acc:.3}"), format!("{test_acc:.3}")];
        let speed = grouped(record.examples_per_second);
        format!("{}  {speed} examples/s", self.line(record.epoch, &record.variant, &numbers))
    }

    /// The same line for `first` minus `second`, of the same epoch, ending with their relative speed.
    pub fn difference_line(&self, first: &EpochRecord, second: &EpochRecord) -> String {
        let numbers = [
            signed(first.train_loss - second.train_loss, 4),
            signed(first.train_acc - second.train_acc, 3),
            signed(first.test_acc - second.test_acc, 3),
        ];
        let speed = first.examples_per_second / second.examples_per_second;
        let line = self.line(first.epoch, DIFFERENCE, &numbers);
        format!("{line}  {} at {speed:.2} of {}'s speed", first.variant, second.variant)
    }

    fn line(&self, epoch: usize, name: &str, [train_loss, train_acc, test_acc]: &[String; 3]) -> String {
        let Self { epochs, name_width } = self;
        let digits = epochs.to_string().len();
        format!(
            "epoch {epoch:>digits$}/{epochs}  {name:<name_width$}  \
             train loss {train_loss:>7}  train acc {train_acc:>7}  test acc {test_acc:>7}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::record;

    #[test]
    fn columns_stand_under_each_other() {
        let variants = ["scratch".to_owned(), "native".to_owned()];
        let console = Console::new(&variants, 10);
        let mut scratch = record("scratch", 3);
        (scratch.train_loss, scratch.train_acc, scratch.test_acc) = (0.33214, 0.8771, 0.8612);
        scratch.examples_per_second = 41_233.2;
        let mut native = scratch.clone();
        (native.variant, native.train_loss) = ("native".to_owned(), 0.33201);
        native.examples_per_second *= 2.0;

        let line = console.epoch_line(&scratch);
        assert_eq!(
            line,
            "epoch  3/10  scratch     train loss  0.3321  train acc   0.877  test acc   0.861  41,233 examples/s"
        );
        let difference = console.difference_line(&scratch, &native);
        assert_eq!(
            difference,
            "epoch  3/10  difference  train loss +0.0001  train acc   0.000  test acc   0.000  \
             scratch at 0.50 of native's speed"
        );
        assert_eq!(line.find("test acc"), difference.find("test acc"));
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_shown() {
        let mut scratch = record("scratch", 1);
        scratch.train_loss = f64::NAN;
        let line = Console::new(&["scratch".to_owned()], 1).epoch_line(&scratch);
        assert!(line.starts_with("epoch 1/1  scratch  train loss     NaN  "), "{line}");
    }
}
