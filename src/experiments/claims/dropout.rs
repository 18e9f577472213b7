//! Note 002: beside batch norm, dropout is not needed. Note 000: without dropout, the same network overfits clearly.

use tch::Device;

use super::{Claim, Figure, Judgement, Quantity, Setting, Verdict, of, written};
use crate::data::{DataLoader, FashionMnist, ImageSet};
use crate::experiments::recipes::Recipe;
use crate::norm::Variant;
use crate::report::{OverSeeds, SweepCell};
use crate::train::{Metric, Totals, evaluate};
use crate::{CellStatus, Result, weights};

/// Percentage points of test accuracy that are no loss: twice the standard error of what 5000 images say of 84%.
const MARGIN: f64 = 1.0;
/// The test accuracy is the mean of so many epochs, since it swings from one to the next.
const LAST: usize = 5;

const GAP: Quantity = Quantity { name: "training minus test accuracy (points)", over: "variant", log: false };
const TEST: Quantity =
    Quantity { name: "test accuracy, mean of the last five epochs (%)", over: "variant", log: false };

const SUBJECTS: [(&str, &str); 2] = [("dropout", "with dropout"), ("no-dropout", "without dropout")];

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "dropout",
    title: "A network with batch norm does not need dropout",
    source: "Note 002, what its section on batch norm says of the effect. Against it: note 000, its last remark, by which the network \
             overfits clearly without dropout.",
    predicts: "With batch norm, LeNet (ReLU, SGD 0.05) has the same test accuracy without dropout. By note 000, which has 90.4% in \
               training and 89.8% in the test with dropout, the gap between them grows without it.",
    rule: "The test accuracy is the mean of the last five epochs. Holds if with batch norm (native) leaving dropout out costs at most one \
           percentage point of it for every seed, about twice the standard error of 5000 test images. Does not hold if it costs more \
           for every seed. Otherwise undecided. How far training is ahead of the test, both with the trained network in evaluation mode, \
           does not decide: what counts is how well unseen images are classified.",
    quantities: &[GAP, TEST],
    measure,
    judge,
};

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let images = setting.either(Some(3000), None);
    let swept = setting.sweep(
        "trained",
        &SUBJECTS.map(|(recipe, _)| recipe),
        &[Variant::None, Variant::Native],
        |sweep| {
            sweep.batch_size = setting.either(vec![32], Vec::new());
            sweep.epochs = setting.either(Some(25), None);
            sweep.train_examples = images;
            sweep.common.test_examples = setting.either(Some(5000), None);
        },
    )?;
    let train = ImageSet::new(&FashionMnist::load(setting.data_dir.as_deref(), false)?.train.first(images));
    let train = DataLoader::new(&train, 256, false, Device::Cpu);
    let mut figures = Vec::new();
    for SweepCell { cell, records } in &swept.cells {
        let (recipe, subject) =
            SUBJECTS.into_iter().find(|(recipe, _)| *recipe == cell.recipe).expect("one of the two");
        let recipe = Recipe::named(recipe).expect("a recipe of the table");
        let variant = if cell.variant == "native" { Variant::Native } else { Variant::None };
        let tested = |last| OverSeeds::of(records.iter().rev().take(last).map(|record| record.test_acc));
        let mut gap = f64::NAN;
        if cell.status == CellStatus::Finished {
            let net = recipe.initial_net(&variant.into());
            weights::load_into(&net.vs, &swept.weights(cell))?;
            let trained = evaluate(&net, &train, Metric::new(Device::Cpu, Totals::default())).accuracy();
            gap = trained - tested(1).map_or(f64::NAN, |last| last.mean);
        }
        let tested = tested(LAST).map_or(f64::NAN, |last| last.mean);
        for (quantity, share) in [(GAP, gap), (TEST, tested)] {
            figures.push(Figure::new(&quantity, subject, variant, cell.seed, 100.0 * share));
        }
    }
    Ok(figures)
}

fn judge(figures: &[Figure]) -> Judgement {
    let values = |quantity: &Quantity, (_, subject): (&str, &str), variant: &str| -> Vec<f64> {
        of(figures, quantity, subject)
            .filter(|figure| figure.at == variant)
            .map(|figure| figure.value)
            .collect()
    };
    let [with, without] = SUBJECTS;
    let [tested, tested_without] = [with, without].map(|subject| values(&TEST, subject, "native"));
    let costs = || tested.iter().zip(&tested_without).map(|(with, without)| with - without);
    let verdict = Verdict::unanimous(costs().map(|cost| Verdict::of(cost <= MARGIN, cost > MARGIN)));
    let of_none = || values(&TEST, with, "none").into_iter().zip(values(&TEST, without, "none"));
    let because = format!(
        "Leaving dropout out costs {} of test accuracy with batch norm, and {} without. With batch norm, training is ahead of the test by \
         {} with dropout and by {} without.",
        written(costs(), " points"),
        written(of_none().map(|(with, without)| with - without), " points"),
        written(values(&GAP, with, "native"), " points"),
        written(values(&GAP, without, "native"), " points"),
    );
    Judgement { verdict, because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn what_dropout_adds_to_batch_norm_decides() {
        let [with, without] = SUBJECTS.map(|(_, name)| name);
        let values = [
            (with, "native", 83.0),
            (without, "native", 85.0),
            (with, "none", 83.0),
            (without, "none", 80.0),
        ];
        let measured = figures(&TEST, &values);
        assert_eq!(judge(&measured).verdict, Verdict::Holds);
        assert_eq!(judge(&exchanged(&measured, [with, without])).verdict, Verdict::DoesNotHold);
        let mut of_none = measured.clone();
        of_none
            .iter_mut()
            .for_each(|figure| figure.at = if figure.at == "none" { "native" } else { "none" }.to_owned());
        assert_eq!(judge(&of_none).verdict, Verdict::DoesNotHold);
        let mut one_seed = measured;
        one_seed[0].value = 90.0;
        assert_eq!(judge(&one_seed).verdict, Verdict::Undecided);
    }
}
