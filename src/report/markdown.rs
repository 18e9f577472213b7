//! `report.md`: what was run, the numbers epoch by epoch, the curves, and what the notes report beside ours.

mod beside_notes;
mod inspection;
mod numerics;
mod table;

use std::fmt::Write;

pub use self::inspection::{Inspection, Scale};
pub use self::numerics::{Beside, NumericsEffect};
pub use self::table::{Side, Table};
use super::numbers::{grouped, median, signed};
use super::plot::CURVES;
use crate::EpochRecord;

/// The report's name in a run directory.
pub const REPORT: &str = "report.md";

/// What [`Report::render`] writes about.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The recipe's name, by which the notes' figures are found.
    pub recipe: &'a str,
    /// What was run, in the order of the table: seed, device, threads, libtorch, signature and the like.
    pub facts: &'a [(String, String)],
    /// In the order of the columns; with exactly two, columns show the first minus the second.
    pub variants: &'a [String],
    /// Of any variant and epoch, finished ones.
    pub records: &'a [EpochRecord],
    /// The epochs of the whole run.
    pub epochs: usize,
}

/// A number of a record.
type Value = fn(&EpochRecord) -> f64;

/// A column group of the tables by epoch: its heading, its value as written, and the comparison of two as written.
struct Quantity {
    name: &'static str,
    write: fn(&EpochRecord) -> String,
    comparison: &'static str,
    compare: fn(&EpochRecord, &EpochRecord) -> String,
}

const TRAIN_LOSS: Quantity = Quantity {
    name: "loss",
    write: |record| loss(record.train_loss),
    comparison: "difference",
    compare: |a, b| signed(a.train_loss - b.train_loss, 6),
};
const TRAIN_ACC: Quantity = Quantity {
    name: "accuracy",
    write: |record| percent(record.train_acc),
    comparison: "difference",
    compare: |a, b| points(a.train_acc - b.train_acc),
};
const TEST_LOSS: Quantity = Quantity {
    name: "loss",
    write: |record| loss(record.test_loss),
    comparison: "difference",
    compare: |a, b| signed(a.test_loss - b.test_loss, 6),
};
const TEST_ACC: Quantity = Quantity {
    name: "accuracy",
    write: |record| percent(record.test_acc),
    comparison: "difference",
    compare: |a, b| points(a.test_acc - b.test_acc),
};
const SPEED: Quantity = Quantity {
    name: "examples/s",
    write: |record| grouped(record.examples_per_second),
    comparison: "ratio",
    compare: |a, b| format!("{:.2}", a.examples_per_second / b.examples_per_second),
};
const SECONDS: Quantity = Quantity {
    name: "s per epoch",
    write: |record| format!("{:.2}", record.epoch_seconds),
    comparison: "ratio",
    compare: |a, b| format!("{:.2}", a.epoch_seconds / b.epoch_seconds),
};

const PEAK_MEMORY: Quantity = Quantity {
    name: "peak MiB",
    write: |record| record.peak_memory_bytes.map_or(String::new(), |bytes| grouped(mebibytes(bytes))),
    comparison: "ratio",
    compare: |a, b| match (a.peak_memory_bytes, b.peak_memory_bytes) {
        (Some(a), Some(b)) if b > 0 => format!("{:.2}", mebibytes(a) / mebibytes(b)),
        _ => String::new(),
    },
};

impl Report<'_> {
    /// The whole file, in GitHub's Markdown.
    pub fn render(&self) -> String {
        let mut out = format!("# `{}`: {}, epoch by epoch\n\n", self.recipe, names(self.variants));
        for remark in self.remarks() {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "> {remark}\n");
        }
        let _ = writeln!(out, "![Losses and accuracies over epochs]({CURVES})\n");
        let _ = writeln!(out, "## What was run\n\n{}", self.facts_table());
        let _ = writeln!(
            out,
            "## Training\n\nMeans over each epoch, while the weights change. Losses in nats per example; \
             `metrics.csv` has every digit.\n\n{}",
            self.by_epoch(&[TRAIN_LOSS, TRAIN_ACC])
        );
        let _ = writeln!(
            out,
            "## Test\n\nOn the test images after each epoch.\n\n{}",
            self.by_epoch(&[TEST_LOSS, TEST_ACC])
        );
        let _ = writeln!(
            out,
            "## Speed\n\nWall clock. Examples per second are of training with its data preparation; seconds per \
             epoch include the evaluation.\n\n{}\n### Totals\n\n{}",
            self.by_epoch(&[SPEED, SECONDS]),
            self.totals()
        );
        if self.records.iter().any(|record| record.peak_memory_bytes.is_some()) {
            let _ = writeln!(
                out,
                "## Memory\n\nThe most that tensors took of the device at a time in each epoch, evaluation and what the \
                 other variants keep there included.\n\n{}",
                self.by_epoch(&[PEAK_MEMORY])
            );
        }
        let _ = write!(out, "## Beside what the notes report\n\n{}", beside_notes::render(self));
        out
    }

    fn facts_table(&self) -> Table {
        let mut table = Table::new([("setting", Side::Left), ("value", Side::Left)]);
        table.row(["recipe".to_owned(), self.recipe.to_owned()]);
        for (key, value) in self.facts {
            table.row([key.clone(), value.clone()]);
        }
        table
    }

    /// What a reader must know before the numbers.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for variant in self.variants {
            let done = self.of(variant).count();
            if done < self.epochs {
                remarks.push(format!("**`{variant}` has {done} of {} epochs.**", self.epochs));
            }
            let losses: [(&str, Value); 2] =
                [("training", |record| record.train_loss), ("test", |record| record.test_loss)];
            for (what, value) in losses {
                let mut broken = self.of(variant).filter(|record| !value(record).is_finite());
                if let Some(first) = broken.next() {
                    remarks.push(format!(
                        "**The {what} loss of `{variant}` is {} at epoch {}{}.** The curves leave it out.",
                        value(first),
                        first.epoch,
                        match broken.count() {
                            0 => String::new(),
                            more => format!(", and not finite at {more} more"),
                        },
                    ));
                }
            }
        }
        remarks
    }

    /// A row an epoch; for each quantity a column a variant, and their comparison if there are two.
    fn by_epoch(&self, quantities: &[Quantity]) -> Table {
        let mut heads = vec![("epoch".to_owned(), Side::Right)];
        for quantity in quantities {
            let of = |variant: &str| (format!("{}, {variant}", quantity.name), Side::Right);
            heads.extend(self.variants.iter().map(|variant| of(variant)));
            heads.extend(self.pair().map(|_| of(quantity.comparison)));
        }
        let mut table = Table::new(heads);
        for epoch in 1..=self.last_epoch() {
            let records: Vec<_> = self.variants.iter().map(|variant| self.at(variant, epoch)).collect();
            if records.iter().all(Option::is_none) {
                continue;
            }
            let mut row = vec![epoch.to_string()];
            for quantity in quantities {
                row.extend(records.iter().map(|record| record.map_or(String::new(), quantity.write)));
                if let [first, second] = records[..] {
                    let both = first.zip(second);
                    row.push(both.map_or(String::new(), |(a, b)| (quantity.compare)(a, b)));
                }
            }
            table.row(row);
        }
        table
    }

    /// A row a variant, and a sentence on their ratio.
    fn totals(&self) -> String {
        let mut table = Table::new([
            ("variant", Side::Left),
            ("epochs", Side::Right),
            ("s in all", Side::Right),
            ("s per epoch, median", Side::Right),
            ("of which training", Side::Right),
            ("examples/s, median", Side::Right),
        ]);
        for variant in self.variants {
            let seconds = |value| format!("{value:.2}");
            table.row([
                variant.clone(),
                self.of(variant).count().to_string(),
                seconds(self.of(variant).map(|record| record.epoch_seconds).sum::<f64>()),
                self.median(variant, |record| record.epoch_seconds).map_or(String::new(), seconds),
                self.median(variant, |record| record.train_seconds).map_or(String::new(), seconds),
                self.median(variant, |record| record.examples_per_second).map_or(String::new(), grouped),
            ]);
        }
        let mut out = table.to_string();
        if let Some((first, second)) = self.pair()
            && let Some(a) = self.median(first, |record| record.epoch_seconds)
            && let Some(b) = self.median(second, |record| record.epoch_seconds)
        {
            let _ = writeln!(
                out,
                "\nAn epoch of `{first}` takes {:.2} times as long as one of `{second}`.",
                a / b
            );
        }
        out
    }

    fn median(&self, variant: &str, value: Value) -> Option<f64> {
        median(self.of(variant).map(value))
    }

    fn of<'s>(&'s self, variant: &'s str) -> impl Iterator<Item = &'s EpochRecord> {
        self.records.iter().filter(move |record| record.variant == variant)
    }

    fn at<'s>(&'s self, variant: &'s str, epoch: usize) -> Option<&'s EpochRecord> {
        self.of(variant).find(|record| record.epoch == epoch)
    }

    fn last_epoch(&self) -> usize {
        self.records.iter().map(|record| record.epoch).max().unwrap_or(0)
    }

    fn pair(&self) -> Option<(&str, &str)> {
        match self.variants {
            [first, second] => Some((first, second)),
            _ => None,
        }
    }
}

/// `scratch and native`.
fn names(variants: &[String]) -> String {
    match variants {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn loss(nats: f64) -> String {
    format!("{nats:.6}")
}

fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A difference of shares in percentage points.
fn points(difference: f64) -> String {
    signed(100.0 * difference, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::record;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    pub(super) fn render(recipe: &str, variants: &[&str], records: &[EpochRecord], epochs: usize) -> String {
        let facts = [("seed".to_owned(), "0".to_owned()), ("device".to_owned(), "a|b".to_owned())];
        Report { recipe, facts: &facts, variants: &strings(variants), records, epochs }.render()
    }

    /// The cells of the table below the heading `heading`, header and body.
    pub(super) fn cells(text: &str, heading: &str) -> Vec<Vec<String>> {
        let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading} in {text}"));
        let rows =
            rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        rows.filter(|line| !line.contains("---"))
            .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
            .collect()
    }

    fn two_epochs() -> Vec<EpochRecord> {
        let mut records =
            vec![record("scratch", 1), record("native", 1), record("scratch", 2), record("native", 2)];
        (records[0].train_loss, records[1].train_loss) = (0.75, 0.5);
        (records[0].train_acc, records[1].train_acc) = (0.5, 0.75);
        (records[2].train_loss, records[3].train_loss) = (0.5 + f64::EPSILON, 0.5);
        (records[0].epoch_seconds, records[2].epoch_seconds) = (6.0, 4.0);
        records
    }

    #[test]
    fn differences_are_first_minus_second() {
        let text = render("book", &["scratch", "native"], &two_epochs(), 2);
        let rows = cells(&text, "## Training");
        assert_eq!(rows[0][1..4], ["loss, scratch", "loss, native", "loss, difference"]);
        assert_eq!(rows[1], ["1", "0.750000", "0.500000", "+0.250000", "50.00%", "75.00%", "-25.000"]);
        assert_eq!(rows[2][3], "+2.2e-16");
        // Medians: 5 s and 2.5 s.
        assert!(text.contains("`scratch` takes 2.00 times as long as one of `native`"), "{text}");
    }

    #[test]
    fn an_unfinished_round_leaves_cells_empty() {
        let text = render("book", &["scratch", "native"], &two_epochs()[..3], 2);
        assert_eq!(cells(&text, "## Training")[2][2..4], ["", ""]);
        assert!(text.contains("`native` has 1 of 2 epochs"), "{text}");
        assert!(!text.contains("`scratch` has"), "{text}");
    }

    #[test]
    fn one_variant_has_no_differences_and_none_is_no_panic() {
        assert!(!render("book", &["native"], &two_epochs(), 2).contains("difference"));
        assert!(render("book", &["native"], &[], 2).contains("`native` has 0 of 2 epochs"));
    }

    #[test]
    fn memory_is_shown_where_it_is_known() {
        let mut records = two_epochs();
        assert!(!render("book", &["scratch", "native"], &records, 2).contains("Memory"));
        records[0].peak_memory_bytes = Some(3 << 30);
        records[1].peak_memory_bytes = Some(1 << 30);
        records[2].peak_memory_bytes = Some(512 << 10);
        let rows = cells(&render("book", &["scratch", "native"], &records, 2), "## Memory");
        assert_eq!(rows[0], ["epoch", "peak MiB, scratch", "peak MiB, native", "peak MiB, ratio"]);
        assert_eq!(rows[1], ["1", "3,072", "1,024", "3.00"]);
        assert_eq!(rows[2], ["2", "0.5", "", ""]);
    }

    #[test]
    fn a_loss_that_is_not_finite_is_remarked_on() {
        let mut records = two_epochs();
        (records[1].train_loss, records[3].train_loss) = (f64::NAN, f64::NAN);
        records[2].test_loss = f64::INFINITY;
        let text = render("book", &["scratch", "native"], &records, 2);
        assert!(
            text.contains("training loss of `native` is NaN at epoch 1, and not finite at 1 more"),
            "{text}"
        );
        assert!(text.contains("test loss of `scratch` is inf at epoch 2.**"), "{text}");
    }

    #[test]
    fn what_was_run_cannot_break_its_table() {
        let rows = cells(&render("book", &["native"], &[], 1), "## What was run");
        assert_eq!(rows[3], ["device", r"a\|b"]);
    }
}
