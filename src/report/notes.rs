//! The figures that the study notes report of their own runs, in the notes' own units, and the section of the report that compares
//! ours with them.
//!
//! Those runs set no seed, one says `cuda:0` of its device and the other nothing, so nothing here can be met to the
//! digit. Where a note's unit is not ours, a method converts; the data keep the figure as printed.

use super::numbers::{grouped, loss, median, percent, points};
use super::table;
use crate::EpochRecord;

/// Images in the training set of Fashion-MNIST.
const TRAIN_IMAGES: usize = 60_000;
/// Images in the test set of Fashion-MNIST.
const TEST_IMAGES: usize = 10_000;

/// One epoch as printed: training loss, training accuracy, test loss, test accuracy, training batches per second.
///
/// The training loss is the mean of the batch means, in nats; the last, smaller batch counts as much as any. Accuracies are in %.
/// The test loss is the sum of the batch means over the number of images. Data preparation counts in the speed.
type NoteEpoch = [f64; 5];

/// Images a step in note 003's own training loop.
const ADAMW_BATCH_SIZE: usize = 64;
/// Its batches of an epoch of training, the last one smaller.
const TRAIN_BATCHES: usize = TRAIN_IMAGES.div_ceil(ADAMW_BATCH_SIZE);
/// Its batches of the test set, the last one smaller.
const TEST_BATCHES: usize = TEST_IMAGES.div_ceil(ADAMW_BATCH_SIZE);

/// Its epochs of batch norm by hand, and of PyTorch's.
#[rustfmt::skip]
const ADAMW: [(&str, [NoteEpoch; 10]); 2] = [
    ("scratch", [
        [0.7096558342070214, 80.07, 0.008006558230519295, 82.3, 84.05],
        [0.41396947328978256, 85.52166666666666, 0.008126352483034133, 81.6, 110.78],
        [0.35643584684713053, 87.21666666666667, 0.0059641113802790646, 86.64, 119.78],
        [0.3280871064185715, 88.155, 0.006109306104481221, 86.09, 108.63],
        [0.3099025943433679, 88.66166666666666, 0.0068259724974632265, 84.63000000000001, 115.69],
        [0.293259441113866, 89.36666666666666, 0.0056387895554304126, 86.72999999999999, 110.74],
        [0.2826578642990289, 89.625, 0.005060989627242088, 88.29, 106.50],
        [0.26813640620217905, 90.085, 0.005220098730176688, 87.79, 113.53],
        [0.25900316415533325, 90.46666666666667, 0.00508926648274064, 88.28, 108.26],
        [0.2525282779386811, 90.7, 0.005327409267425537, 87.15, 103.73],
    ]),
    ("native", [
        [0.7142524112230425, 80.33, 0.0075736663520336155, 82.99, 167.27],
        [0.4138561901030764, 85.49833333333333, 0.007367620442807674, 82.89999999999999, 148.60],
        [0.3629363060061103, 86.96833333333333, 0.006311663088202477, 85.53, 159.99],
        [0.3349387014169556, 87.98333333333333, 0.005541987027227879, 87.15, 155.53],
        [0.3139982062663986, 88.525, 0.005664476057887077, 86.88, 151.02],
        [0.29805169513484814, 89.10166666666667, 0.005693399979174137, 86.8, 149.38],
        [0.2861076091874891, 89.39166666666667, 0.004979297122359276, 88.19, 152.21],
        [0.27498836208508215, 89.84, 0.005116794270277023, 88.17, 148.34],
        [0.26491802209603, 90.16666666666667, 0.005244582363218069, 87.83999999999999, 148.71],
        [0.25522983417327977, 90.47833333333334, 0.00473815803155303, 89.27000000000001, 163.15],
    ]),
];

/// The mean of the batch means, in nats: the `printed` sum over images, times images over batches.
fn note_test_loss(printed: f64) -> f64 {
    printed * TEST_IMAGES as f64 / TEST_BATCHES as f64
}

/// Training examples per second: batches per second times the mean batch.
fn note_speed(batches: f64) -> f64 {
    batches * TRAIN_IMAGES as f64 / TRAIN_BATCHES as f64
}

/// When the figures of a note and ours are of the same thing.
const CAVEAT: &str =
    "\nThis compares like with like only if the run used the recipe's own settings and every image.\n";

/// The section's text, below its heading.
pub(super) fn render(recipe: &str, variants: &[String], records: &[EpochRecord]) -> String {
    match recipe {
        "no-dropout" => overfits(variants, records),
        "dropout" => after_last_epoch(variants, records) + CAVEAT,
        "adamw" => every_epoch(variants, records) + CAVEAT,
        _ => "The notes report no figures for this recipe.\n".to_owned(),
    }
}

/// The remark, and the gap that it speaks of in our figures.
fn overfits(variants: &[String], records: &[EpochRecord]) -> String {
    let rows = variants.iter().filter_map(|variant| {
        let last = EpochRecord::of(records, variant).max_by_key(|record| record.epoch)?;
        let gap = points(last.train_acc - last.test_acc);
        Some([variant.clone(), last.epoch.to_string(), percent(last.train_acc), percent(last.test_acc), gap])
    });
    format!(
        "The note gives no figures for this recipe, only the remark that the network clearly overfits without dropout. The gap \
         between the accuracies in this run:\n\n{}",
        table(1, ["variant", "epoch", "training accuracy", "test accuracy", "gap"], rows)
    )
}

/// The figures that d2l's `train_ch6` printed at the end, of the hand-written variant, and a column for each of our variants that
/// got as far. Its timer does not run while a batch is prepared.
fn after_last_epoch(variants: &[String], records: &[EpochRecord]) -> String {
    let epochs = 50;
    let ours: Vec<_> =
        variants.iter().filter_map(|variant| EpochRecord::at(records, variant, epochs)).collect();
    let row = |name: &str, note: &str, write: fn(&EpochRecord) -> String| {
        [name.to_owned(), note.to_owned()].into_iter().chain(ours.iter().map(move |record| write(record)))
    };
    let rows = [
        row("training loss", "0.277", |record| loss(record.train_loss)),
        row("training accuracy", "90.4%", |record| percent(record.train_acc)),
        row("test accuracy", "89.8%", |record| percent(record.test_acc)),
        row("examples/s", &grouped(39_096.3), |record| grouped(record.examples_per_second)),
    ];
    let heads = [format!("after epoch {epochs}"), "note".to_owned()].into_iter();
    let heads = heads.chain(ours.iter().map(|record| format!("ours, {}", record.variant)));
    let missing = if ours.is_empty() {
        "\nThis run did not come as far, so there is nothing to compare yet.\n"
    } else {
        ""
    };
    format!(
        "The note reports the figures after epoch {epochs} of one run of the hand-written layer, without a seed, on \
         a GPU (`cuda:0`). Its loss and accuracies are weighted by examples, as ours. Its examples per second leave out \
         the preparation of the data; ours include it.\n\n{}{missing}",
        table(1, heads, rows)
    )
}

/// A table a variant, of the epochs that both have.
fn every_epoch(variants: &[String], records: &[EpochRecord]) -> String {
    let mut out = format!(
        "The note reports ten epochs of both layers at batch size {batch}, one run each without a seed, on a GPU where \
         there is one. What was converted: its test loss is printed as the sum of the batch means over the number of \
         images, here multiplied by {images} images and divided by {test} batches; its batches per second, of training with \
         data preparation, are multiplied by {train_images} images and divided by {train} batches. Its losses are means of \
         batch means, in which the last, smaller batch counts as much as any; ours are weighted by examples.\n",
        batch = ADAMW_BATCH_SIZE,
        images = grouped(TEST_IMAGES as f64),
        test = TEST_BATCHES,
        train_images = grouped(TRAIN_IMAGES as f64),
        train = TRAIN_BATCHES,
    );
    let heads = ["training loss", "training accuracy", "test loss", "test accuracy"];
    let heads = || heads.iter().flat_map(|head| [format!("{head}, note"), "ours".to_owned()]);
    let before = out.len();
    for variant in variants {
        let of_variant = ADAMW.iter().filter(|(name, _)| name == variant);
        let theirs = of_variant.flat_map(|(_, epochs)| (1..).zip(epochs));
        let pairs: Vec<(&NoteEpoch, &EpochRecord)> = theirs
            .filter_map(|(epoch, theirs)| Some((theirs, EpochRecord::at(records, variant, epoch)?)))
            .collect();
        let speed = |speeds: &mut dyn Iterator<Item = f64>| median(speeds).map(grouped);
        let theirs = speed(&mut pairs.iter().map(|(theirs, _)| note_speed(theirs[4])));
        let ours = speed(&mut pairs.iter().map(|(_, ours)| ours.examples_per_second));
        let Some((theirs, ours)) = theirs.zip(ours) else { continue };
        let rows = pairs.iter().map(|&(&[train_loss, train_acc, test_loss, test_acc, _], ours)| {
            [
                ours.epoch.to_string(),
                format!("{train_loss:.4}"),
                format!("{:.4}", ours.train_loss),
                format!("{train_acc:.2}%"),
                percent(ours.train_acc),
                format!("{:.4}", note_test_loss(test_loss)),
                format!("{:.4}", ours.test_loss),
                format!("{test_acc:.2}%"),
                percent(ours.test_acc),
            ]
        });
        let table = table(0, ["epoch".to_owned()].into_iter().chain(heads()), rows);
        out += &format!(
            "\n### `{variant}`\n\n{table}\nTraining examples per second, median of these epochs: {theirs} in the note, {ours} \
             here.\n"
        );
    }
    if out.len() == before {
        out += "\nThis run and the note have no epoch of the same variant, so there is nothing to compare.\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{cells, record};

    fn both(epochs: usize) -> Vec<EpochRecord> {
        (1..=epochs).flat_map(|epoch| ["scratch", "native"].map(|variant| record(variant, epoch))).collect()
    }

    fn section(recipe: &str, variants: &[&str], records: &[EpochRecord]) -> String {
        let variants: Vec<String> = variants.iter().map(|&variant| variant.to_owned()).collect();
        render(recipe, &variants, records)
    }

    #[test]
    fn converted_figures_are_computed_from_the_printed_ones() {
        assert_eq!((TRAIN_BATCHES, TEST_BATCHES), (938, 157));
        for (variant, printed) in ADAMW {
            let text = section("adamw", &["scratch", "native"], &both(12));
            let rows = cells(&text, &format!("### `{variant}`"));
            assert_eq!(rows.len(), 1 + printed.len());
            for (row, &[train_loss, train_acc, test_loss, _, batches]) in rows[1..].iter().zip(&printed) {
                assert_eq!(row[5], format!("{:.4}", test_loss * 10_000.0 / 157.0));
                assert_eq!(row[1], format!("{train_loss:.4}"));
                assert!((train_acc / 100.0 - 0.85).abs() < 0.07 && train_loss < 0.8);
                // A mean of cross entropy of a network that has learned: between 0.2 and 0.6.
                assert!((0.2..0.6).contains(&note_test_loss(test_loss)));
                assert!((batches * 64.0 / note_speed(batches) - 1.0).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn only_epochs_of_both_are_compared() {
        let records: Vec<_> = both(3).into_iter().filter(|record| record.variant == "native").collect();
        let text = section("adamw", &["native"], &records);
        assert_eq!(cells(&text, "### `native`").len(), 1 + 3);
        assert!(!text.contains("### `scratch`"));
        assert!(section("adamw", &["native"], &[]).contains("nothing to compare"));
    }

    #[test]
    fn the_last_epoch_is_compared_with_ours_once_we_have_it() {
        let early = section("dropout", &["scratch", "native"], &both(49));
        assert_eq!(cells(&early, "")[1].len(), 2);
        assert!(early.contains("did not come as far"));
        let done = cells(&section("dropout", &["scratch", "native"], &both(50)), "");
        assert_eq!(done[0], ["after epoch 50", "note", "ours, scratch", "ours, native"]);
        assert_eq!(done[1][1..3], ["0.277".to_owned(), loss(record("scratch", 50).train_loss)]);
    }

    #[test]
    fn a_remark_without_figures_gets_our_gap() {
        let rows = cells(&section("no-dropout", &["native"], &both(2)), "");
        let last = record("native", 2);
        assert_eq!(rows[1][4], points(last.train_acc - last.test_acc));
        assert!(section("book", &["native"], &both(2)).contains("no figures for this recipe"));
    }
}
