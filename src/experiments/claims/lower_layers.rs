//! Lower layers train more slowly, and batch norm evens this out.

use super::probe::{LENET, Probe, norm};
use super::rule::{any, at_least, at_most, every, of_seeds, ratios};
use super::{Claim, Figure, Judgement, Quantity, Setting, written};
use crate::Result;
use crate::data::{FashionMnist, ImageSet};
use crate::experiments::recipes::Recipe;
use crate::norm::Variant;

/// The recipes, and what is measured in their networks: |w after - w before| / |w before| of a layer's weight, in the first batches,
/// and as the mean of all epochs.
const NETWORKS: [(&str, [Quantity; 2]); 2] = [
    (
        "book",
        [change("relative change in 20 batches, sigmoids"), change("relative change in an epoch, sigmoids")],
    ),
    (
        "no-dropout",
        [change("relative change in 20 batches, ReLU"), change("relative change in an epoch, ReLU")],
    ),
];

const fn change(name: &'static str) -> Quantity {
    Quantity { name, over: "layer", log: true }
}

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "lower-layers",
    title: "Lower layers train more slowly, since the loss is at the end, and batch norm evens this out",
    source: "Note 002, the first list of its section on batch norm.",
    predicts: "Without batch norm, the first layer's weight changes half as much as the last one's or less, each relative to its norm, in \
               the first 20 batches or in an epoch. Batch norm (native) at least doubles this ratio. It is so with sigmoids and with ReLU.",
    rule: "In two LeNets, as their notes train them. In a network and a period, the first part is wrong if the first layer changes as much \
           as the last one, the second if batch norm does not raise the ratio, each for every seed. A network agrees if in one of the two \
           periods both parts are right for every seed, and disagrees if in each period one part is wrong. Holds if both networks agree. \
           Does not hold if one disagrees. Otherwise undecided.",
    quantities: &[NETWORKS[0].1[0], NETWORKS[0].1[1], NETWORKS[1].1[0], NETWORKS[1].1[1]],
    measure,
    judge,
};

const FIRST_BATCHES: usize = 20;

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let images = FashionMnist::load(setting.data_dir.as_deref(), !setting.quiet)?.train;
    figures(&ImageSet::new(&images), setting.seeds, (!setting.full).then_some(2), setting.quiet)
}

/// `epochs` instead of the recipe's.
fn figures(images: &ImageSet, seeds: u64, epochs: Option<usize>, quiet: bool) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (recipe, quantities) in NETWORKS {
        let recipe = Recipe::named(recipe).expect("a recipe of the table");
        let epochs = epochs.unwrap_or(recipe.epochs);
        for (seed, variant) in (0..seeds).flat_map(|seed| [Variant::None, Variant::Native].map(|v| (seed, v)))
        {
            let probe = Probe::new(seed, |p| (recipe.net)(p, &variant.into()));
            let weights = || -> Vec<_> { probe.weights().iter().map(|(_, w)| w.detach().copy()).collect() };
            let mut before = weights();
            let mut changes = [[0.0; LENET.len()]; 2];
            let title = format!("lower-layers, {}, seed {seed}, {variant}", recipe.name);
            probe.train(recipe, images, epochs, (!quiet).then_some(&title), |done, of_epoch| {
                let period_ends = [done == FIRST_BATCHES.min(of_epoch), done % of_epoch == 0];
                for (period, _) in period_ends.into_iter().enumerate().filter(|&(_, ends)| ends) {
                    for ((sum, before), after) in changes[period].iter_mut().zip(&before).zip(weights()) {
                        *sum += norm(&(after - before)) / norm(before);
                    }
                }
                if period_ends[1] {
                    before = weights();
                }
            })?;
            for ((quantity, sums), periods) in quantities.into_iter().zip(changes).zip([1, epochs]) {
                let rows = LENET.into_iter().zip(sums);
                figures.extend(
                    rows.map(|(layer, sum)| {
                        Figure::new(&quantity, variant, layer, seed, sum / periods as f64)
                    }),
                );
            }
        }
    }
    Ok(figures)
}

fn judge(figures: &[Figure]) -> Judgement {
    let networks = NETWORKS.map(|(_, quantities)| {
        let periods = quantities.map(|quantity| {
            let ratio = |variant: Variant| {
                of_seeds(figures, |run| {
                    let [first, last] =
                        [LENET[0], LENET[4]].map(|layer| run.at(&quantity, variant.name(), layer));
                    first / last
                })
            };
            let (none, native) = (ratio(Variant::None), ratio(Variant::Native));
            let verdict = every([at_most(0.5, 1.0, &none), at_least(2.0, 1.0, &ratios(&native, &none))]);
            (verdict, format!("{} without batch norm and {} with it", written(none, ""), written(native, "")))
        });
        let [(first, in_first), (all, in_all)] = periods;
        (any([first, all]), format!("{in_first} in {FIRST_BATCHES} batches, {in_all} in an epoch"))
    });
    let [(sigmoids, with_sigmoids), (relu, with_relu)] = networks;
    let because = format!(
        "The first layer's relative change over the last one's is, with sigmoids, {with_sigmoids}; with ReLU, {with_relu}."
    );
    Judgement { verdict: every([sigmoids, relu]), because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::Verdict::{DoesNotHold, Holds};
    use crate::experiments::claims::probe::tests::{check_figures, images};
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn the_verdict_turns_with_the_variants() {
        let of = |quantity, none, native| {
            let ends = [("none", "conv 1", none), ("native", "conv 1", native)];
            figures(quantity, &[&ends[..], &[("none", "dense 3", 1.0), ("native", "dense 3", 1.0)]].concat())
        };
        let [(_, sigmoids), (_, relu)] = &NETWORKS;
        let at_first = [of(&sigmoids[0], 0.1, 0.4), of(&sigmoids[1], 1.0, 1.0)].concat();
        let later = [of(&relu[0], 1.0, 1.0), of(&relu[1], 0.2, 0.9)].concat();
        let measured = [at_first.clone(), later].concat();
        assert_eq!(judge(&measured).verdict, Holds);
        assert_eq!(judge(&exchanged(&measured, ["none", "native"])).verdict, DoesNotHold);
        // One network suffices to refute it.
        let never = [of(&relu[0], 1.0, 1.0), of(&relu[1], 0.2, 0.1)].concat();
        assert_eq!(judge(&[at_first, never].concat()).verdict, DoesNotHold);
    }

    #[test]
    fn a_measurement_of_a_few_images_is_complete() {
        let figures = super::figures(&ImageSet::new(&images(32)), 1, Some(1), true).unwrap();
        check_figures(&CLAIM, &figures, 2 * 2 * 2 * 5);
    }
}
