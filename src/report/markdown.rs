//! `report.md`: what was run, the numbers epoch by epoch, the curves, and what the notes report next to ours.

use super::numbers::{grouped, loss, median, percent, points, signed};
use super::{notes, table};
use crate::EpochRecord;

/// The report's name in a run directory.
pub const REPORT: &str = "report.md";
/// The name of the picture of its curves.
pub const CURVES: &str = "curves.png";

/// A run so far, for `report.md`, the curves and the screen. [`render`](Self::render) gives the first part of `report.md`; sections on
/// processes, statistics and numerics may follow.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The recipe's name, by which the notes' figures are found.
    pub recipe: &'a str,
    /// Of the curves: the first line is the title; a second one is written smaller below it.
    pub title: &'a str,
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

/// A group of columns of the tables by epoch.
struct Quantity {
    name: &'static str,
    /// `None` where it is not known.
    value: fn(&EpochRecord) -> Option<f64>,
    write: fn(f64) -> String,
    /// The heading of the comparison of two variants, and the comparison as written.
    compare: (&'static str, fn(f64, f64) -> String),
}

const fn a_loss(value: fn(&EpochRecord) -> Option<f64>) -> Quantity {
    Quantity { name: "loss", value, write: loss, compare: ("difference", |a, b| signed(a - b, 6)) }
}

const fn an_accuracy(value: fn(&EpochRecord) -> Option<f64>) -> Quantity {
    Quantity { name: "accuracy", value, write: percent, compare: ("difference", |a, b| points(a - b)) }
}

const RATIO: (&str, fn(f64, f64) -> String) = ("ratio", |a, b| format!("{:.2}", a / b));

const TRAINING: [Quantity; 2] = [a_loss(|row| Some(row.train_loss)), an_accuracy(|row| Some(row.train_acc))];
const TEST: [Quantity; 2] = [a_loss(|row| Some(row.test_loss)), an_accuracy(|row| Some(row.test_acc))];
const SPEED: [Quantity; 2] = [
    Quantity {
        name: "examples/s",
        value: |row| Some(row.examples_per_second),
        write: grouped,
        compare: RATIO,
    },
    Quantity { name: "s per epoch", value: |row| Some(row.epoch_seconds), write: seconds, compare: RATIO },
];
const MEMORY: [Quantity; 1] =
    [Quantity { name: "peak MiB", value: peak_mebibytes, write: grouped, compare: RATIO }];

impl Report<'_> {
    /// The text, in GitHub's Markdown.
    pub fn render(&self) -> String {
        let names = match self.variants {
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            names => names.concat(),
        };
        let remarks: String = self.remarks().iter().map(|remark| format!("> {remark}\n\n")).collect();
        let recipe = ("recipe".to_owned(), self.recipe.to_owned());
        let facts = [&recipe].into_iter().chain(self.facts).cloned().map(<[String; 2]>::from);
        format!(
            "# `{}`: {names}, epoch by epoch\n\n\
             {remarks}![Losses and accuracies over epochs]({CURVES})\n\n\
             ## What was run\n\n{}\n\
             ## Training\n\nMeans over each epoch, while the weights change. Losses in nats per example; \
             `metrics.csv` has every digit.\n\n{}\n\
             ## Test\n\nOn the test images after each epoch.\n\n{}\n\
             ## Speed\n\nWall clock. Examples per second are of training with its data preparation; seconds per \
             epoch include the evaluation.\n\n{}\n\
             ### Totals\n\n{}\n\
             {}## Beside what the notes report\n\n{}",
            self.recipe,
            table(2, ["setting", "value"], facts),
            self.by_epoch(&TRAINING),
            self.by_epoch(&TEST),
            self.by_epoch(&SPEED),
            self.totals(),
            self.memory(),
            notes::render(self.recipe, self.variants, self.records),
        )
    }

    /// What a reader must know before the numbers.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for variant in self.variants {
            let done = EpochRecord::of(self.records, variant).count();
            if done < self.epochs {
                remarks.push(format!("**`{variant}` has {done} of {} epochs.**", self.epochs));
            }
            let losses: [(&str, Value); 2] =
                [("training", |record| record.train_loss), ("test", |record| record.test_loss)];
            for (what, value) in losses {
                let records = EpochRecord::of(self.records, variant);
                let mut broken = records.filter(|record| !value(record).is_finite());
                if let Some(first) = broken.next() {
                    let more = match broken.count() {
                        0 => String::new(),
                        more => format!(", and not finite at {more} more"),
                    };
                    remarks.push(format!(
                        "**The {what} loss of `{variant}` is {} at epoch {}{more}.** The curves leave it out.",
                        value(first),
                        first.epoch,
                    ));
                }
            }
        }
        remarks
    }

    /// A row an epoch; for each quantity a column a variant, and their comparison if there are two.
    fn by_epoch(&self, quantities: &[Quantity]) -> String {
        let comparison = |quantity: &Quantity| (self.variants.len() == 2).then_some(quantity.compare.0);
        let heads = quantities.iter().flat_map(|quantity| {
            let columns = self.variants.iter().map(String::as_str).chain(comparison(quantity));
            columns.map(|column| format!("{}, {column}", quantity.name))
        });
        let row = |epoch: usize| {
            let at = |variant: &String| EpochRecord::at(self.records, variant, epoch);
            let records: Vec<_> = self.variants.iter().map(at).collect();
            let cells = quantities.iter().flat_map(|quantity| {
                let values: Vec<_> = records.iter().map(|record| record.and_then(quantity.value)).collect();
                let compared = match values[..] {
                    [first, second] => Some(first.zip(second).map(|(a, b)| (quantity.compare.1)(a, b))),
                    _ => None,
                };
                let written = values.into_iter().map(|value| value.map(quantity.write));
                written.chain(compared).map(Option::unwrap_or_default)
            });
            let found = records.iter().any(Option::is_some);
            found.then(|| [epoch.to_string()].into_iter().chain(cells).collect::<Vec<_>>())
        };
        let last = self.records.iter().map(|record| record.epoch).max().unwrap_or(0);
        table(0, ["epoch".to_owned()].into_iter().chain(heads), (1..=last).filter_map(row))
    }

    /// A row a variant, and a sentence on their ratio.
    fn totals(&self) -> String {
        let heads = [
            "variant",
            "epochs",
            "s in all",
            "s per epoch, median",
            "of which training",
            "examples/s, median",
        ];
        let rows = self.variants.iter().map(|variant| {
            let records = || EpochRecord::of(self.records, variant);
            let written = |value: Value, write: fn(f64) -> String| {
                self.median(variant, value).map_or_else(String::new, write)
            };
            [
                variant.clone(),
                records().count().to_string(),
                seconds(records().map(|record| record.epoch_seconds).sum()),
                written(|record| record.epoch_seconds, seconds),
                written(|record| record.train_seconds, seconds),
                written(|record| record.examples_per_second, grouped),
            ]
        });
        let mut out = table(1, heads, rows);
        if let [first, second] = self.variants
            && let Some(a) = self.median(first, |record| record.epoch_seconds)
            && let Some(b) = self.median(second, |record| record.epoch_seconds)
        {
            let ratio = a / b;
            out += &format!("\nAn epoch of `{first}` takes {ratio:.2} times as long as one of `{second}`.\n");
        }
        out
    }

    /// A section, where it is known.
    fn memory(&self) -> String {
        if self.records.iter().all(|record| record.peak_memory_bytes.is_none()) {
            return String::new();
        }
        format!(
            "## Memory\n\nThe most that tensors took of the device at a time in each epoch, evaluation and what the \
             other variants keep there included.\n\n{}\n",
            self.by_epoch(&MEMORY)
        )
    }

    fn median(&self, variant: &str, value: Value) -> Option<f64> {
        median(EpochRecord::of(self.records, variant).map(value))
    }
}

fn peak_mebibytes(record: &EpochRecord) -> Option<f64> {
    record.peak_memory_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))
}

fn seconds(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{cells, record};

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn render(recipe: &str, variants: &[&str], records: &[EpochRecord], epochs: usize) -> String {
        let facts = [("seed".to_owned(), "0".to_owned()), ("device".to_owned(), "a|b".to_owned())];
        Report { recipe, title: "", facts: &facts, variants: &strings(variants), records, epochs }.render()
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
