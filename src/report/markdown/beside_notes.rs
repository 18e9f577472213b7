//! The section of the report that sets the notes' figures beside ours.

use std::fmt::Write;

use super::table::{Side, Table};
use super::{Report, grouped, loss, percent};
use crate::report::notes::{self, EveryEpoch, Figures, Final};

/// When the figures of a note and ours are of the same thing.
const CAVEAT: &str =
    "\nThis compares like with like only if the run used the recipe's own settings and every image.\n";

/// The section's text.
pub(super) fn render(report: &Report) -> String {
    match notes::figures(report.recipe) {
        Figures::None => "The notes report no figures for this recipe.\n".to_owned(),
        Figures::Overfits => overfits(report),
        Figures::Final(figures) => after_last_epoch(report, &figures) + CAVEAT,
        Figures::EveryEpoch(figures) => every_epoch(report, &figures) + CAVEAT,
    }
}

/// The remark, and the gap that it speaks of in our figures.
fn overfits(report: &Report) -> String {
    let mut out =
        "The note gives no figures for this recipe, only the remark that the network clearly overfits \
                   without dropout. The gap between the accuracies in this run:\n\n"
            .to_owned();
    let mut table = Table::new([
        ("variant", Side::Left),
        ("epoch", Side::Right),
        ("training accuracy", Side::Right),
        ("test accuracy", Side::Right),
        ("gap", Side::Right),
    ]);
    for variant in report.variants {
        if let Some(last) = report.of(variant).max_by_key(|record| record.epoch) {
            table.row([
                variant.clone(),
                last.epoch.to_string(),
                percent(last.train_acc),
                percent(last.test_acc),
                super::points(last.train_acc - last.test_acc),
            ]);
        }
    }
    let _ = write!(out, "{table}");
    out
}

/// One column of the note's and one for each of our variants that got as far.
fn after_last_epoch(report: &Report, note: &Final) -> String {
    let epochs = note.epochs;
    let mut out = format!(
        "The note reports the figures after epoch {epochs} of one run of the hand-written layer, without a seed, on \
         a GPU (`cuda:0`). Its loss and accuracies are weighted by examples, as ours. Its examples per second leave out \
         the preparation of the data; ours include it.\n\n"
    );
    let ours: Vec<_> = report.variants.iter().filter_map(|variant| report.at(variant, epochs)).collect();
    let heads = ours.iter().map(|record| (format!("ours, {}", record.variant), Side::Right));
    let fixed = [(format!("after epoch {epochs}"), Side::Left), ("note".to_owned(), Side::Right)];
    let mut table = Table::new(fixed.into_iter().chain(heads));
    let mut row = |name: &str, note: String, write: fn(&crate::EpochRecord) -> String| {
        table.row([name.to_owned(), note].into_iter().chain(ours.iter().map(|record| write(record))));
    };
    row("training loss", format!("{:.3}", note.train_loss), |record| loss(record.train_loss));
    row("training accuracy", format!("{:.1}%", 100.0 * note.train_acc), |record| percent(record.train_acc));
    row("test accuracy", format!("{:.1}%", 100.0 * note.test_acc), |record| percent(record.test_acc));
    row("examples/s", grouped(note.examples_per_second), |record| grouped(record.examples_per_second));
    let _ = write!(out, "{table}");
    if ours.is_empty() {
        let _ = writeln!(out, "\nThis run did not come as far, so there is nothing to compare yet.");
    }
    out
}

/// A table a variant, of the epochs that both have.
fn every_epoch(report: &Report, note: &EveryEpoch) -> String {
    let mut out = format!(
        "The note reports ten epochs of both layers at batch size {batch}, one run each without a seed, on a GPU where \
         there is one. What was converted: its test loss is printed as the sum of the batch means over the number of \
         images, here multiplied by {images} images and divided by {test} batches; its batches per second, of training with \
         data preparation, are multiplied by {train_images} images and divided by {train} batches. Its losses are means of \
         batch means, in which the last, smaller batch counts as much as any; ours are weighted by examples.\n",
        batch = note.batch_size,
        images = grouped_count(notes::TEST_IMAGES),
        test = note.test_batches(),
        train_images = grouped_count(notes::TRAIN_IMAGES),
        train = note.train_batches(),
    );
    let mut compared = false;
    for variant in report.variants {
        let pairs: Vec<_> = (1..)
            .zip(note.of(variant))
            .filter_map(|(epoch, theirs)| report.at(variant, epoch).map(|ours| (theirs, ours)))
            .collect();
        if pairs.is_empty() {
            continue;
        }
        compared = true;
        let heads = ["training loss", "training accuracy", "test loss", "test accuracy"];
        let heads = heads.iter().flat_map(|head| [format!("{head}, note"), "ours".to_owned()]);
        let heads = std::iter::once("epoch".to_owned()).chain(heads);
        let mut table = Table::new(heads.map(|head| (head, Side::Right)));
        for (theirs, ours) in &pairs {
            table.row([
                ours.epoch.to_string(),
                format!("{:.4}", theirs.train_loss),
                format!("{:.4}", ours.train_loss),
                format!("{:.2}%", theirs.train_acc),
                percent(ours.train_acc),
                format!("{:.4}", note.test_loss(theirs)),
                format!("{:.4}", ours.test_loss),
                format!("{:.2}%", theirs.test_acc),
                percent(ours.test_acc),
            ]);
        }
        let speed = |values: Vec<f64>| super::median(values.into_iter()).map_or(String::new(), grouped);
        let _ = write!(
            out,
            "\n### `{variant}`\n\n{table}\nTraining examples per second, median of these epochs: {} in the note, {} here.\n",
            speed(pairs.iter().map(|(theirs, _)| note.examples_per_second(theirs)).collect()),
            speed(pairs.iter().map(|(_, ours)| ours.examples_per_second).collect()),
        );
    }
    if !compared {
        out.push_str(
            "\nThis run and the note have no epoch of the same variant, so there is nothing to compare.\n",
        );
    }
    out
}

fn grouped_count(count: usize) -> String {
    grouped(count as f64)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cells, render};
    use super::*;
    use crate::EpochRecord;
    use crate::report::tests::record;

    fn both(epochs: usize) -> Vec<EpochRecord> {
        (1..=epochs).flat_map(|epoch| ["scratch", "native"].map(|variant| record(variant, epoch))).collect()
    }

    #[test]
    fn converted_figures_are_computed_from_the_printed_ones() {
        let Figures::EveryEpoch(note) = notes::figures("adamw") else { panic!("adamw has figures") };
        assert_eq!((note.train_batches(), note.test_batches()), (938, 157));
        for (variant, printed) in [("scratch", note.scratch), ("native", note.native)] {
            let text = render("adamw", &["scratch", "native"], &both(12), 12);
            let rows = cells(&text, &format!("### `{variant}`"));
            assert_eq!(rows.len(), 1 + printed.len());
            for (row, printed) in rows[1..].iter().zip(printed) {
                assert_eq!(row[5], format!("{:.4}", printed.test_loss * 10_000.0 / 157.0));
                assert_eq!(row[1], format!("{:.4}", printed.train_loss));
                assert!((printed.train_acc / 100.0 - 0.85).abs() < 0.07 && printed.train_loss < 0.8);
                // A mean of cross entropy of a network that has learned: between 0.2 and 0.6.
                assert!((0.2..0.6).contains(&note.test_loss(printed)));
                assert!(
                    (printed.batches_per_second * 64.0 / note.examples_per_second(printed) - 1.0).abs()
                        < 1e-3
                );
            }
        }
    }

    #[test]
    fn only_epochs_of_both_are_compared() {
        let records: Vec<_> = both(3).into_iter().filter(|record| record.variant == "native").collect();
        let text = render("adamw", &["native"], &records, 10);
        assert_eq!(cells(&text, "### `native`").len(), 1 + 3);
        assert!(!text.contains("### `scratch`"));
        assert!(render("adamw", &["native"], &[], 10).contains("nothing to compare"));
    }

    #[test]
    fn the_last_epoch_stands_beside_ours_once_we_have_it() {
        let early = render("dropout", &["scratch", "native"], &both(49), 50);
        assert_eq!(cells(&early, "## Beside")[1].len(), 2);
        assert!(early.contains("did not come as far"));
        let done = cells(&render("dropout", &["scratch", "native"], &both(50), 50), "## Beside");
        assert_eq!(done[0], ["after epoch 50", "note", "ours, scratch", "ours, native"]);
        assert_eq!(done[1][1..3], ["0.277".to_owned(), loss(record("scratch", 50).train_loss)]);
    }

    #[test]
    fn a_remark_without_figures_gets_our_gap() {
        let rows = cells(&render("no-dropout", &["native"], &both(2), 2), "## Beside");
        let last = record("native", 2);
        assert_eq!(rows[1][4], super::super::points(last.train_acc - last.test_acc));
        assert!(render("book", &["native"], &both(2), 2).contains("no figures for this recipe"));
    }
}
