//! Note 002: batch norm speeds up convergence, so that learning rates can be larger.

use super::{Claim, Figure, Judgement, Quantity, Setting, Verdict, of, seeds, written};
use crate::Result;
use crate::norm::Variant;
use crate::report::short;

/// A rate trains if this test accuracy is reached.
const REACHED: f64 = 0.8;

const EPOCHS: Quantity = Quantity { name: "epochs to 80% test accuracy", over: "learning rate", log: false };
const ACCURACY: Quantity =
    Quantity { name: "test accuracy after the last epoch (%)", over: "learning rate", log: false };

/// The batch norms that are compared with none.
const NORMS: [&str; 2] = ["scratch", "native"];

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "learning-rates",
    title: "Batch norm speeds up convergence and lets larger learning rates train",
    source: "Note 002, the summary of its section on batch norm; note 000, its first line; the book, section 7.5.",
    predicts: "With batch norm, LeNet (ReLU, recipe no-dropout) reaches 80% test accuracy in fewer epochs than without, each at its \
               best learning rate, and it still does at rates at which the plain network learns nothing.",
    rule: "A rate trains if the test accuracy reaches 80% in some epoch. Holds if both batch norms, each at its best rate, reach 80% in \
           no more epochs than the network without for every seed, and in three quarters of them or less on average, and if the \
           largest rate that trains is at least three times as large for every seed. Does not hold if for every seed one of them needs \
           as many epochs or more and trains at no larger rate. Otherwise, or if the network without batch norm never reaches 80%, \
           undecided.",
    quantities: &[EPOCHS, ACCURACY],
    measure,
    judge,
};

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let variants = [Variant::None, Variant::Scratch, Variant::Native];
    let swept = setting.sweep("rates", &["no-dropout"], &variants, |sweep| {
        sweep.lr = vec![0.05, 0.1, 0.3, 1.0, 3.0];
        sweep.batch_size = setting.either(vec![64], Vec::new());
        sweep.epochs = setting.either(Some(8), None);
        sweep.train_examples = setting.either(Some(10_000), None);
        sweep.common.test_examples = setting.either(Some(2000), None);
    })?;
    let figures = swept.cells.iter().flat_map(|cell| {
        let (records, cell) = (&cell.records, &cell.cell);
        let reached = records.iter().find(|record| record.test_acc >= REACHED);
        let epochs = reached.map_or(f64::INFINITY, |record| record.epoch as f64);
        let last = records.last().map_or(f64::NAN, |record| 100.0 * record.test_acc);
        [(EPOCHS, epochs), (ACCURACY, last)]
            .map(|(quantity, value)| Figure::new(&quantity, &cell.variant, short(cell.lr), cell.seed, value))
    });
    Ok(figures.collect())
}

/// The fewest epochs over the rates, and the largest rate that trains, or zero.
fn best(figures: &[Figure], variant: &str, seed: u64) -> (f64, f64) {
    let epochs = of(figures, &EPOCHS, variant).filter(|figure| figure.seed == seed);
    epochs.fold((f64::INFINITY, 0.0_f64), |(fewest, largest), Figure { at, value, .. }| {
        let rate = if value.is_finite() { at.parse().unwrap_or(0.0) } else { 0.0 };
        (fewest.min(*value), largest.max(rate))
    })
}

fn judge(figures: &[Figure]) -> Judgement {
    let of_seed = |seed| {
        let (epochs, rate) = best(figures, "none", seed);
        let norms = NORMS.map(|variant| best(figures, variant, seed));
        // 0.3 is three times 0.1, also where rounding makes it a little less.
        let holds = norms.iter().all(|norm| norm.0 <= epochs && norm.1 >= 2.999 * rate);
        let does_not = norms.iter().any(|norm| norm.0 >= epochs && norm.1 <= rate);
        Verdict::of(rate > 0.0 && holds, rate > 0.0 && does_not)
    };
    let epochs = |variant| seeds(figures).map(|seed| best(figures, variant, seed).0).sum::<f64>();
    let verdict = match Verdict::unanimous(seeds(figures).map(of_seed)) {
        Verdict::Holds if NORMS.iter().any(|variant| epochs(variant) > 0.75 * epochs("none")) => {
            Verdict::Undecided
        }
        verdict => verdict,
    };
    let of_each = |value: fn((f64, f64)) -> f64| {
        let of = |variant| written(seeds(figures).map(|seed| value(best(figures, variant, seed))), "");
        ["native", "scratch", "none"].map(|variant| format!("{} with {variant}", of(variant))).join(", ")
    };
    let because = format!(
        "Epochs to 80% at the best rate: {}. Largest rate that trains: {}.",
        of_each(|best| best.0),
        of_each(|best| best.1)
    );
    Judgement { verdict, because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn the_network_that_learns_sooner_and_at_larger_rates_decides() {
        const NEVER: f64 = f64::INFINITY;
        let measured = figures(
            &EPOCHS,
            &[
                ("none", "0.1", 6.0),
                ("none", "1", NEVER),
                ("scratch", "0.1", 4.0),
                ("scratch", "1", 3.0),
                ("native", "0.1", 4.0),
                ("native", "1", 2.0),
            ],
        );
        assert_eq!(judge(&measured).verdict, Verdict::Holds);
        assert_eq!(judge(&exchanged(&measured, ["none", "native"])).verdict, Verdict::DoesNotHold);
        // Sooner, but at no larger rate.
        let mut close = measured.clone();
        close.iter_mut().filter(|figure| figure.at == "1").for_each(|figure| figure.value = NEVER);
        assert_eq!(judge(&close).verdict, Verdict::Undecided);
        // At larger rates, but hardly sooner.
        let mut slow = measured.clone();
        slow.iter_mut().filter(|figure| figure.subject == "native").for_each(|figure| figure.value = 5.0);
        assert_eq!(judge(&slow).verdict, Verdict::Undecided);
        // Whether the network without batch norm needs longer or never learns is not known.
        let mut never = measured;
        never.iter_mut().filter(|figure| figure.subject == "none").for_each(|figure| figure.value = NEVER);
        assert_eq!(judge(&never).verdict, Verdict::Undecided);
        never.iter_mut().for_each(|figure| figure.value = NEVER);
        assert_eq!(judge(&never).verdict, Verdict::Undecided, "nothing trains");
        // Three times 0.1 is more than 0.3 in f64.
        let ends = [("none", "0.1", 6.0), ("scratch", "0.3", 2.0), ("native", "0.3", 2.0)];
        assert_eq!(judge(&figures(&EPOCHS, &ends)).verdict, Verdict::Holds);
    }
}
