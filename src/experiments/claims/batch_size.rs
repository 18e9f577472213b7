//! Note 003: with batches of one image batch norm learns nothing, and small batches do it more harm than a network without it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tch::Device;
use tch::nn::{ConvConfig, Path};
use tch_extra::optim::{Optimizer, Sgd};

use super::{Claim, Figure, Judgement, Quantity, Setting, Verdict, of, seeds, written};
use crate::data::{Batches, DataLoader, FashionMnist, ImageSet};
use crate::layers::{Sequential, conv2d, flatten, linear, max_pool2d, relu, sequential};
use crate::nets::Net;
use crate::nets::lenet::lenet_relu;
use crate::norm::{Dims, Norm, Variant};
use crate::train::{Metric, Totals, ch6, evaluate};
use crate::{Result, init, interrupt};

const ACCURACY: Quantity =
    Quantity { name: "test accuracy (%), each at its best learning rate", over: "batch size", log: false };

/// Builds a network.
type Build = fn(&Path) -> Sequential;

const RATES: [f64; 3] = [0.01, 0.05, 0.2];
const SIZES: [usize; 5] = [2, 4, 16, 64, 256];
const SCRATCH: &str = "scratch";
const CONVOLUTIONS: &str = "native after convolutions only";

/// At most so many percent of ten classes are what a network has that learns nothing.
const NOTHING: f64 = 15.0;
/// Percentage points by which batch norm must lose more than the network without.
const MORE: f64 = 3.0;

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "batch-size",
    title: "Batch norm learns nothing from batches of one image, and suffers from small ones",
    source: "Note 003, section on batch normalization; the book, section 7.5.1.",
    predicts: "In a batch of one, a dense layer's value minus the batch's mean is zero, so that nothing is learned: 10% of ten classes. \
               From larger batches to batches of two, a network with batch norm loses more accuracy than the same without.",
    rule: "LeNet (ReLU, no dropout) sees the same number of images at each batch size and three learning rates; the best one counts. \
           Batches of one are for the batch norm by hand, since libtorch's and the command compare refuse them; they are trained at the least rate. Holds if for every seed \
           it has at most 15% there, and native loses at least 3 percentage points more than none from its best batch size above one to two. \
           Does not hold if for every seed it has more than 15%, or native loses no more than none. Otherwise undecided. For comparison: \
           native after the convolutions only, which have many values a channel even in one image.",
    quantities: &[ACCURACY],
    measure,
    judge,
};

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let [images, tested] = [setting.either(Some(4000), None), setting.either(Some(2000), None)];
    let epochs = 2;
    let mut figures = Vec::new();
    for (variant, sizes) in [(Variant::None, [&[1], &SIZES[..]].concat()), (Variant::Native, SIZES.to_vec())]
    {
        let swept = setting.sweep(variant.name(), &["no-dropout"], &[variant], |sweep| {
            (sweep.lr, sweep.batch_size) = (RATES.to_vec(), sizes);
            (sweep.epochs, sweep.train_examples) = (Some(epochs), images);
            sweep.common.test_examples = tested;
        })?;
        let cells = swept.cells.iter().filter_map(|cell| Some((&cell.cell, cell.records.last()?.test_acc)));
        figures.extend(best(cells.map(|(cell, share)| (cell.batch_size, cell.seed, share)), variant.name()));
    }
    let data = FashionMnist::load(setting.data_dir.as_deref(), false)?;
    let train = DataLoader::new(&ImageSet::new(&data.train.first(images)), 1, true, Device::Cpu);
    let test = DataLoader::new(&ImageSet::new(&data.test.first(tested)), 256, false, Device::Cpu);
    let nets: [(&str, Build); 2] =
        [(SCRATCH, |p| lenet_relu(p, &Norm::Scratch, None)), (CONVOLUTIONS, convolutions_only)];
    for (subject, net) in nets {
        let mut shares = Vec::new();
        for seed in 0..setting.seeds {
            // The least alone: it is the best one without batch norm too, and steps of one image are many.
            shares.push((1, seed, trained(net, RATES[0], seed, (&train, epochs), &test)?));
        }
        figures.extend(best(shares.into_iter(), subject));
    }
    Ok(figures)
}

/// The greatest accuracy over the learning rates, of each batch size and seed.
fn best(shares: impl Iterator<Item = (usize, u64, f64)>, subject: &str) -> Vec<Figure> {
    let mut best = BTreeMap::new();
    for (batch_size, seed, share) in shares {
        let value = best.entry((batch_size, seed)).or_insert(share);
        *value = f64::max(*value, share);
    }
    let figures = best
        .into_iter()
        .map(|((size, seed), share)| Figure::new(&ACCURACY, subject, size, seed, 100.0 * share));
    figures.collect()
}

/// The test accuracy after so many epochs of `train`.
fn trained(
    net: Build,
    lr: f64,
    seed: u64,
    (train, epochs): (&DataLoader, usize),
    test: &DataLoader,
) -> Result<f64> {
    tch_extra::manual_seed(seed);
    let net = Net::new(net);
    init::xavier_weights(&net.vs);
    let mut sgd = Sgd::new(net.vs.trainable_variables(), lr);
    for _ in 0..epochs {
        let mut metric = Metric::new(Device::Cpu, Totals::default());
        let go_on = &mut |_: usize, _: &Metric, _: &dyn Optimizer| {
            Ok(if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        if ch6::train_epoch(&net, train.iter(), &mut sgd, &mut metric, go_on)?.is_break() {
            return Err(interrupt::error("interrupted in batches of one image", ""));
        }
    }
    Ok(evaluate(&net, test, Metric::new(Device::Cpu, Totals::default())).accuracy())
}

/// [`lenet_relu`] with libtorch's batch norm after its convolutions, and none after its dense layers.
fn convolutions_only(p: &Path) -> Sequential {
    sequential(p)
        .then(|p| conv2d(p, 1, 6, 5, ConvConfig { padding: 2, ..Default::default() }))
        .then_optional(|p| Norm::Native.batch_norm(p, 6, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(2, 2, 0))
        .then(|p| conv2d(p, 6, 16, 5, ConvConfig::default()))
        .then_optional(|p| Norm::Native.batch_norm(p, 16, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(2, 2, 0))
        .then(|_| flatten())
        .then(|p| linear(p, 16 * 5 * 5, 120))
        .then(|_| relu())
        .then(|p| linear(p, 120, 84))
        .then(|_| relu())
        .then(|p| linear(p, 84, 10))
        .done()
}

fn judge(figures: &[Figure]) -> Judgement {
    let values = |subject, seed| of(figures, &ACCURACY, subject).filter(move |figure| figure.seed == seed);
    let at = |subject, size: &str, seed| {
        values(subject, seed).find(|figure| figure.at == size).map_or(f64::NAN, |figure| figure.value)
    };
    let loss = |subject, seed| {
        values(subject, seed)
            .filter(|figure| figure.at != "1")
            .map(|figure| figure.value)
            .fold(f64::NAN, f64::max)
            - at(subject, "2", seed)
    };
    let of_seed = |seed| {
        let (one, more) = (at(SCRATCH, "1", seed), loss("native", seed) - loss("none", seed));
        Verdict::of(one <= NOTHING && more >= MORE, one > NOTHING || more <= 0.0)
    };
    let of_seeds = |value: &dyn Fn(u64) -> f64, unit| written(seeds(figures).map(value), unit);
    let because = format!(
        "In batches of one, batch norm by hand has {} of the test images right, batch norm after the convolutions only {}, no batch norm \
         {}. From the best batch size to two, native loses {}, none {}.",
        of_seeds(&|seed| at(SCRATCH, "1", seed), "%"),
        of_seeds(&|seed| at(CONVOLUTIONS, "1", seed), "%"),
        of_seeds(&|seed| at("none", "1", seed), "%"),
        of_seeds(&|seed| loss("native", seed), " points"),
        of_seeds(&|seed| loss("none", seed), " points"),
    );
    Judgement { verdict: Verdict::unanimous(seeds(figures).map(of_seed)), because }
}

#[cfg(test)]
mod tests {
    use tch::nn::ModuleT;
    use tch::{Kind, Tensor};

    use super::*;
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn batches_of_one_and_of_two_decide() {
        let values = [
            (SCRATCH, "1", 10.0),
            ("none", "1", 80.0),
            ("none", "2", 81.0),
            ("none", "64", 82.0),
            ("native", "2", 70.0),
            ("native", "64", 84.0),
        ];
        let measured = figures(&ACCURACY, &values);
        assert_eq!(judge(&measured).verdict, Verdict::Holds);
        assert_eq!(judge(&exchanged(&measured, ["none", "native"])).verdict, Verdict::DoesNotHold);
        assert_eq!(judge(&exchanged(&measured, ["none", SCRATCH])).verdict, Verdict::DoesNotHold);
    }

    #[test]
    fn the_best_rate_of_each_size_and_seed_counts() {
        let shares = [(2, 0, 0.5), (2, 0, 0.7), (2, 1, 0.6), (4, 0, 0.2), (2, 0, 0.4)];
        let figures = best(shares.into_iter(), "none");
        let found: Vec<_> =
            figures.iter().map(|figure| (&*figure.at, figure.seed, figure.value.round())).collect();
        assert_eq!(found, [("2", 0, 70.0), ("2", 1, 60.0), ("4", 0, 20.0)]);
    }

    /// In a batch of one image, all that dense batch norms leave is their beta.
    #[test]
    fn batches_of_one_image_say_nothing_of_it_by_hand() {
        tch_extra::manual_seed(0);
        let x = Tensor::rand([2, 1, 28, 28], (Kind::Float, Device::Cpu));
        let differ = |build: fn(&Path) -> Sequential| {
            let net = Net::new(build);
            let logits = [0, 1].map(|i| net.forward_t(&x.narrow(0, i, 1), true));
            logits[0] != logits[1]
        };
        assert!(!differ(|p| lenet_relu(p, &Norm::Scratch, None)));
        assert!(differ(convolutions_only));
    }
}
