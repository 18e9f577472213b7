//! The lines a run prints: one a variant after each epoch, and one with their difference.

use super::Report;
use super::numbers::{grouped, signed};
use crate::EpochRecord;

/// The word in the place of a variant's name on the line of difference.
const DIFFERENCE: &str = "difference";

impl Report<'_> {
    /// The line of the last record and, when it ends a round of two variants, the line of their difference. Columns stand under each
    /// other.
    pub fn last_lines(&self) -> Vec<String> {
        let lines = match (self.variants, self.records) {
            ([_, second], [.., before, last]) if last.variant == *second => {
                [Some(self.epoch_line(last)), Some(self.difference_line(before, last))]
            }
            (_, records) => [records.last().map(|last| self.epoch_line(last)), None],
        };
        lines.into_iter().flatten().collect()
    }

    /// `epoch  3/10  scratch     train loss  0.3321  train acc   0.877  test acc   0.861  41,233 examples/s`;
    /// loss in nats per example, accuracies as shares.
    fn epoch_line(&self, record: &EpochRecord) -> String {
        let EpochRecord { train_loss, train_acc, test_acc, .. } = record;
        let numbers = [format!("{train_loss:.4}"), format!("{train_acc:.3}"), format!("{test_acc:.3}")];
        let speed = grouped(record.examples_per_second);
        format!("{}  {speed} examples/s", self.line(record.epoch, &record.variant, &numbers))
    }

    /// The same line for `first` minus `second`, of the same epoch, ending with their relative speed.
    fn difference_line(&self, first: &EpochRecord, second: &EpochRecord) -> String {
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
        let names = self.variants.iter().map(|name| name.chars().count());
        // The line of difference exists only between two variants.
        let difference = (self.variants.len() == 2).then_some(DIFFERENCE.len());
        let width = names.chain(difference).max().unwrap_or(0);
        let epochs = self.epochs.to_string();
        format!(
            "epoch {epoch:>digits$}/{epochs}  {name:<width$}  \
             train loss {train_loss:>7}  train acc {train_acc:>7}  test acc {test_acc:>7}",
            digits = epochs.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::record;

    fn last_lines(variants: &[&str], epochs: usize, records: &[EpochRecord]) -> Vec<String> {
        let variants: Vec<String> = variants.iter().map(|&variant| variant.to_owned()).collect();
        Report { recipe: "book", title: "", facts: &[], variants: &variants, records, epochs }.last_lines()
    }

    #[test]
    fn columns_stand_under_each_other() {
        let mut scratch = record("scratch", 3);
        (scratch.train_loss, scratch.train_acc, scratch.test_acc) = (0.33214, 0.8771, 0.8612);
        scratch.examples_per_second = 41_233.2;
        let mut native = scratch.clone();
        (native.variant, native.train_loss) = ("native".to_owned(), 0.33201);
        native.examples_per_second *= 2.0;

        let both = ["scratch", "native"];
        let [line] = &last_lines(&both, 10, std::slice::from_ref(&scratch))[..] else { panic!("one line") };
        assert_eq!(
            line,
            "epoch  3/10  scratch     train loss  0.3321  train acc   0.877  test acc   0.861  41,233 examples/s"
        );
        let [_, difference] = &last_lines(&both, 10, &[scratch, native])[..] else { panic!("two lines") };
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
        let line = &last_lines(&["scratch"], 1, &[scratch])[0];
        assert!(line.starts_with("epoch 1/1  scratch  train loss     NaN  "), "{line}");
    }
}
