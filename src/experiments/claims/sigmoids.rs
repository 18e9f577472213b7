//! Sigmoids saturate, gradients vanish, batch norm restores them.

use tch::{Kind, Tensor};

use super::probe::{LENET, Probe, first_batch, norm};
use super::rule::{any, at_least, at_most, every, of_seeds, ratios};
use super::{Claim, Figure, Judgement, Quantity, Setting, written};
use crate::Result;
use crate::data::{FashionMnist, ImageSet};
use crate::experiments::recipes::Recipe;
use crate::norm::Variant;

/// The norm of the gradient of the loss by a layer's weight.
const GRADIENT: [Quantity; 2] = [
    Quantity { name: "gradient norm at the start", over: "layer", log: true },
    Quantity { name: "gradient norm after training", over: "layer", log: true },
];

/// Of the sigmoids after a layer, those whose slope is less than a tenth of the greatest.
const SATURATED: [Quantity; 2] = [
    Quantity { name: "saturated sigmoids at the start (%)", over: "layer", log: false },
    Quantity { name: "saturated sigmoids after training (%)", over: "layer", log: false },
];

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "sigmoids",
    title: "Sigmoids saturate, so that the gradients of lower layers vanish, and batch norm restores them",
    source: "Note 001, its first section.",
    predicts: "In the book's LeNet without batch norm, a tenth of a layer's sigmoids or more are saturated: their slope is less than a \
               tenth of the greatest. The gradient of the first layer's weight is a tenth of the last one's or less. With batch norm \
               (native) this ratio is ten times as large.",
    rule: "On the first 256 training images, before training and after it. Each of the three parts is right if it is so for every seed. \
           The first is wrong if in every layer less than one sigmoid in a hundred is saturated, the second if the ratio is 1/2 or more, \
           the third if batch norm does not even double the ratio, each for every seed. Holds if all three parts are right at one of the \
           two moments. Does not hold if at each moment one part is wrong. Otherwise undecided.",
    quantities: &[GRADIENT[0], GRADIENT[1], SATURATED[0], SATURATED[1]],
    measure,
    judge,
};

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let images = FashionMnist::load(setting.data_dir.as_deref(), !setting.quiet)?.train;
    let book = Recipe::named("book").expect("the first recipe");
    figures(&ImageSet::new(&images), setting.seeds, if setting.full { book.epochs } else { 1 }, setting.quiet)
}

fn figures(images: &ImageSet, seeds: u64, epochs: usize, quiet: bool) -> Result<Vec<Figure>> {
    let book = Recipe::named("book").expect("the first recipe");
    let batch = first_batch(images, book.batch_size);
    let mut figures = Vec::new();
    for seed in 0..seeds {
        for variant in [Variant::None, Variant::Native] {
            let probe = Probe::new(seed, |p| (book.net)(p, &variant.into()));
            let mut look = |moment: usize| {
                for (layer, (_, gradient)) in LENET.into_iter().zip(probe.gradients(&batch)) {
                    figures.push(Figure::new(&GRADIENT[moment], variant, layer, seed, norm(&gradient)));
                }
                for (layer, input) in LENET.into_iter().zip(probe.inputs_of("Sigmoid", &batch.x)) {
                    let y = input.sigmoid();
                    let slope: Tensor = &y * (1.0 - &y);
                    // The greatest is 1/4, at 0.
                    let share = slope.lt(0.025).to_kind(Kind::Double).mean(None).double_value(&[]);
                    figures.push(Figure::new(&SATURATED[moment], variant, layer, seed, 100.0 * share));
                }
            };
            look(0);
            let title = format!("sigmoids, seed {seed}, {variant}");
            probe.train(book, images, epochs, (!quiet).then_some(&title), |_, _| ())?;
            look(1);
        }
    }
    Ok(figures)
}

fn judge(figures: &[Figure]) -> Judgement {
    let moments = [0, 1].map(|moment| {
        let ratio = |variant: Variant| {
            of_seeds(figures, |run| {
                let [first, last] =
                    [LENET[0], LENET[4]].map(|layer| run.at(&GRADIENT[moment], variant.name(), layer));
                first / last
            })
        };
        let saturated = of_seeds(figures, |run| run.range(&SATURATED[moment], Variant::None.name()).1);
        let (none, native) = (ratio(Variant::None), ratio(Variant::Native));
        let parts = [
            at_least(10.0, 1.0, &saturated),
            at_most(0.1, 0.5, &none),
            at_least(10.0, 2.0, &ratios(&native, &none)),
        ];
        (every(parts), [written(saturated, "%"), written(none, ""), written(native, "")])
    });
    let [(start, at_start), (end, at_end)] = moments;
    let [saturated, none, native] =
        [0, 1, 2].map(|i| format!("{} at the start and {} after training", at_start[i], at_end[i]));
    let because = format!(
        "Without batch norm, the layer with the most saturated sigmoids has {saturated}. The first layer's gradient over the last \
         one's is {none}; with batch norm, {native}."
    );
    Judgement { verdict: any([start, end]), because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::Verdict::{DoesNotHold, Holds, Undecided};
    use crate::experiments::claims::probe::tests::{check_figures, images};
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn the_verdict_turns_with_the_variants() {
        let moment = |moment: usize, saturated| {
            let layers = [
                ("none", "conv 1", 0.01),
                ("none", "dense 3", 1.0),
                ("native", "conv 1", 0.5),
                ("native", "dense 3", 1.0),
            ];
            let shares = [("none", "conv 2", saturated), ("native", "conv 2", 0.0)];
            [figures(&GRADIENT[moment], &layers), figures(&SATURATED[moment], &shares)].concat()
        };
        // After training, nothing is saturated any more.
        let measured = [moment(0, 20.0), moment(1, 0.0)].concat();
        assert_eq!(judge(&measured).verdict, Holds);
        assert_eq!(judge(&exchanged(&measured, ["none", "native"])).verdict, DoesNotHold);
        assert_eq!(judge(&[moment(0, 5.0), moment(1, 0.0)].concat()).verdict, Undecided);
        assert_eq!(judge(&[moment(0, 0.5), moment(1, 0.0)].concat()).verdict, DoesNotHold);
    }

    #[test]
    fn a_measurement_of_a_few_images_is_complete() {
        let figures = super::figures(&ImageSet::new(&images(32)), 1, 1, true).unwrap();
        // Two variants at two moments: five layers with weights, four of sigmoids.
        check_figures(&CLAIM, &figures, 2 * 2 * (5 + 4));
    }
}
