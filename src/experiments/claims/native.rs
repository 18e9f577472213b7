//! Note 003: libtorch's layer does the same as the one by hand, faster.

use super::{Claim, Figure, Judgement, Quantity, Setting, Verdict, of, seeds, written};
use crate::Result;
use crate::norm::Variant;
use crate::report::{OverSeeds, SweepCell};

const TIME: Quantity = Quantity { name: "time of a training step (ms)", over: "epoch", log: false };
const DIFFERENCE: Quantity =
    Quantity { name: "difference in test accuracy (points)", over: "epoch", log: false };

/// The least ratio of their times that counts.
const FASTER: f64 = 1.1;

const VARIANTS: [Variant; 2] = [Variant::Scratch, Variant::Native];
const OF_VARIANTS: &str = "scratch and native, same seed";
const OF_SEEDS: &str = "two seeds, same variant";

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "native",
    title: "The framework's layer does the same as batch norm by hand, faster",
    source: "Note 003, cells 8 and 9 against cells 6 and 7; the book, section 7.5.5.",
    predicts: "A step with libtorch's layer takes less time: in the note an epoch takes about 6 s instead of 8.6 s, 1.4 times as fast. \
               What the network learns is the same: after ten epochs the note has 87.2% and 89.3%.",
    rule: "Recipe adamw, one run at a time, each on one thread, on a machine that does nothing else. A step's time is the \
           mean of an epoch, and of these the median counts. Holds if for every seed a step of scratch takes at least 1.1 times as long as that of native, and scratch and native of one seed differ in test accuracy \
           no more, on average over the epochs, than two seeds of one variant do. Does not hold if the step takes less than that for \
           every seed, or if the variants differ more than twice as much as two seeds do. Otherwise undecided. Here both have kernels \
           of this program's own, which the note's batch norm by hand lacks.",
    quantities: &[TIME, DIFFERENCE],
    measure,
    judge,
};

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let swept = setting.sweep("trained", &["adamw"], &VARIANTS, |sweep| {
        sweep.epochs = setting.either(Some(4), None);
        sweep.train_examples = setting.either(Some(10_000), None);
        sweep.common.test_examples = setting.either(Some(5000), None);
        sweep.jobs = Some(1);
    })?;
    Ok(figures_of(&swept.cells))
}

fn figures_of(cells: &[SweepCell]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for cell in cells {
        for record in &cell.records {
            let examples = (record.examples_per_second * record.train_seconds).round() as usize;
            let ms = 1000.0 * record.train_seconds / examples.div_ceil(cell.cell.batch_size) as f64;
            figures.push(Figure::new(&TIME, &cell.cell.variant, record.epoch, cell.cell.seed, ms));
        }
    }
    let [scratch, native] = VARIANTS.map(|variant| -> Vec<&SweepCell> {
        cells.iter().filter(|cell| cell.cell.variant == variant.name()).collect()
    });
    for (a, b) in scratch.iter().zip(&native) {
        figures.extend(differences(OF_VARIANTS, a, b));
    }
    // Each seed with the next one.
    for cells in [scratch, native].iter().filter(|cells| cells.len() > 1) {
        for (a, b) in cells.iter().zip(cells.iter().cycle().skip(1)) {
            figures.extend(differences(OF_SEEDS, a, b));
        }
    }
    figures
}

/// How far two runs are apart after each epoch.
fn differences(subject: &'static str, a: &SweepCell, b: &SweepCell) -> impl Iterator<Item = Figure> {
    a.records.iter().zip(&b.records).map(move |(x, y)| {
        Figure::new(&DIFFERENCE, subject, x.epoch, a.cell.seed, 100.0 * (x.test_acc - y.test_acc).abs())
    })
}

fn judge(figures: &[Figure]) -> Judgement {
    let step = |variant: &str, seed| {
        let mut times: Vec<f64> = of(figures, &TIME, variant)
            .filter(|figure| figure.seed == seed)
            .map(|figure| figure.value)
            .collect();
        times.sort_by(f64::total_cmp);
        // The middle one, or the mean of both.
        let [low, high] = [times.len().saturating_sub(1) / 2, times.len() / 2].map(|i| times.get(i).copied());
        low.zip(high).map_or(f64::NAN, |(low, high)| (low + high) / 2.0)
    };
    let apart = |subject| {
        OverSeeds::of(of(figures, &DIFFERENCE, subject).map(|figure| figure.value)).map(|over| over.mean)
    };
    let ratio = |seed| step("scratch", seed) / step("native", seed);
    let speed = Verdict::unanimous(
        seeds(figures).map(|seed| Verdict::of(ratio(seed) >= FASTER, ratio(seed) < FASTER)),
    );
    let verdict = match (speed, apart(OF_VARIANTS), apart(OF_SEEDS)) {
        (Verdict::DoesNotHold, ..) => Verdict::DoesNotHold,
        (_, Some(variants), Some(seeds)) if variants > 2.0 * seeds => Verdict::DoesNotHold,
        (Verdict::Holds, Some(variants), Some(seeds)) if variants <= seeds => Verdict::Holds,
        _ => Verdict::Undecided,
    };
    let times = |variant| written(seeds(figures).map(|seed| step(variant, seed)), " ms");
    let because = format!(
        "A step takes {} with scratch and {} with native, a ratio of {}. In test accuracy, scratch and native of one seed are {} apart on \
         average, two seeds {}.",
        times("scratch"),
        times("native"),
        written(seeds(figures).map(ratio), ""),
        written(apart(OF_VARIANTS), " points"),
        written(apart(OF_SEEDS), " points"),
    );
    Judgement { verdict, because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::tests::{exchanged, figures};
    use crate::{CellRecord, CellStatus, EpochRecord};

    #[test]
    fn speed_and_differences_decide() {
        let times = figures(&TIME, &[("scratch", "1", 3.0), ("native", "1", 2.0)]);
        let apart = figures(&DIFFERENCE, &[(OF_VARIANTS, "1", 0.2), (OF_SEEDS, "1", 0.5)]);
        let both = |times: &[Figure], apart: &[Figure]| judge(&[times, apart].concat()).verdict;
        assert_eq!(both(&times, &apart), Verdict::Holds);
        assert_eq!(both(&exchanged(&times, ["scratch", "native"]), &apart), Verdict::DoesNotHold);
        assert_eq!(both(&times, &exchanged(&apart, [OF_VARIANTS, OF_SEEDS])), Verdict::DoesNotHold);
        // A single seed has no other one to compare with.
        assert_eq!(both(&times, &[]), Verdict::Undecided);
    }

    #[test]
    fn every_seed_is_compared_with_the_other_variant_and_the_next_seed() {
        let cell = |variant: Variant, seed, test_acc| {
            let record = EpochRecord {
                epoch: 1,
                test_acc,
                train_seconds: 2.0,
                examples_per_second: 640.0,
                ..EpochRecord::default()
            };
            let (recipe, variant) = ("adamw".to_owned(), variant.to_string());
            let cell = CellRecord {
                recipe,
                variant,
                lr: 1e-3,
                batch_size: 64,
                seed,
                status: CellStatus::Finished,
                epochs: 1,
            };
            SweepCell { cell, records: vec![record] }
        };
        let cells = [
            cell(Variant::Scratch, 0, 0.5),
            cell(Variant::Scratch, 1, 0.8),
            cell(Variant::Native, 0, 0.6),
            cell(Variant::Native, 1, 0.8),
        ];
        let figures = figures_of(&cells);
        let values = |subject| {
            of(&figures, &DIFFERENCE, subject).map(|figure| figure.value.round()).collect::<Vec<_>>()
        };
        assert_eq!(values(OF_VARIANTS), [10.0, 0.0]);
        assert_eq!(values(OF_SEEDS), [30.0, 30.0, 20.0, 20.0]);
        // 1280 images in 20 steps of 64.
        assert!(of(&figures, &TIME, "native").all(|figure| (figure.value - 100.0).abs() < 1e-9));
    }
}
