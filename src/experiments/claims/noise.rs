//! Batch norm acts as noise that controls the model's capacity.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use super::probe::{Probe, first_batch};
use super::rule::{at_least, every, of_seeds, ratios};
use super::{Claim, Figure, Judgement, Quantity, Setting, written};
use crate::Result;
use crate::data::{Batch, FashionMnist, ImageSet, Images};
use crate::experiments::recipes::Recipe;
use crate::layers::{Layer, Sequential, sequential};
use crate::norm::Norm;

/// The standard deviation of an image's logits over the batches that it is in, relative to that over the images.
const SPREAD: Quantity = Quantity { name: "spread of an image's output", over: "batch size", log: true };
/// Of the network trained as the recipe does, by the statistics of evaluation.
const ACCURACY: Quantity = Quantity { name: "test accuracy (%)", over: "batch size", log: false };
/// By the moving statistics.
const TRAINED: Quantity =
    Quantity { name: "accuracy after training (%)", over: "images that a statistic is of", log: false };

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "noise",
    title: "Batch norm acts as noise, which controls the model's capacity",
    source: "Note 002, what its section on batch norm says of the effect. Note 004, the last point of its summary.",
    predicts: "An image's output depends on the other images of its batch: eight times as much in batches of 4 as in batches of 256, if \
               this is noise of sampling. Training with more noise, by statistics of 16 images instead of 256 in the same steps, narrows \
               the gap between training and test accuracy by a fifth or more.",
    rule: "In LeNet (ReLU, SGD 0.05, native). Holds if for every seed the spread is at least four times as large in batches of 4 as in \
           batches of 256, and the gap is narrower by a fifth or more. Does not hold if for every seed the spread is no larger in the \
           small batches, or the gap is no narrower. Otherwise undecided, as where there is no gap.",
    quantities: &[SPREAD, ACCURACY, TRAINED],
    measure,
    judge,
};

const BATCH_SIZES: [i64; 4] = [4, 16, 64, 256];
const GROUPS: [i64; 3] = [16, 64, 256];
/// How often the images are dealt into batches.
const DEALS: usize = 8;

/// A network that in training normalizes each `size` images of a batch by themselves: more noise in the same steps.
#[derive(Debug)]
struct Groups {
    net: Sequential,
    size: i64,
}

impl ModuleT for Groups {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return self.net.forward_t(x, train);
        }
        let parts: Vec<Tensor> =
            x.split(self.size, 0).iter().map(|part| self.net.forward_t(part, train)).collect();
        Tensor::cat(&parts, 0)
    }
}

impl Layer for Groups {
    fn class(&self) -> &'static str {
        "Groups"
    }
}

/// LeNet with ReLU, of which note 000 says that it overfits.
fn recipe() -> &'static Recipe {
    Recipe::named("no-dropout").expect("a recipe of the table")
}

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let data = FashionMnist::load(setting.data_dir.as_deref(), !setting.quiet)?;
    // Few images soon show a gap.
    let (limit, epochs) = if setting.full { (None, None) } else { (Some(2000), Some(40)) };
    figures(data.train.first(limit), data.test, setting.seeds, epochs, setting.quiet)
}

/// `epochs` instead of the recipe's.
fn figures(
    train: Images,
    test: Images,
    seeds: u64,
    epochs: Option<usize>,
    quiet: bool,
) -> Result<Vec<Figure>> {
    let recipe = recipe();
    let (train, test) = (ImageSet::new(&train), ImageSet::new(&test));
    let dealt = first_batch(&test, 1024);
    let mut figures = Vec::new();
    for (seed, size) in (0..seeds).flat_map(|seed| GROUPS.map(|size| (seed, size))) {
        let probe = Probe::new(seed, |p| {
            sequential(p).then(|p| Groups { net: (recipe.net)(p, &Norm::Native), size }).done()
        });
        let title = format!("noise, seed {seed}, statistics of {size}");
        probe.train(
            recipe,
            &train,
            epochs.unwrap_or(recipe.epochs),
            (!quiet).then_some(&title),
            |_, _| (),
        )?;
        for (subject, images) in [("training images", &train), ("test images", &test)] {
            figures.push(Figure::new(
                &TRAINED,
                subject,
                size,
                seed,
                100.0 * probe.evaluate(images).accuracy(),
            ));
        }
        if size == 256 {
            // Before the batches below, whose statistics move the running ones.
            let moving = tch::no_grad(|| probe.net.forward_t(&dealt.x, false));
            for batch_size in BATCH_SIZES {
                let (spread, own) = deal(&probe.net, &dealt, batch_size);
                figures.push(Figure::new(&SPREAD, "native", batch_size, seed, spread));
                figures.push(Figure::new(
                    &ACCURACY,
                    "the batch's own statistics",
                    batch_size,
                    seed,
                    100.0 * own,
                ));
                let accuracy = 100.0 * accuracy(&moving, &dealt.y);
                figures.push(Figure::new(&ACCURACY, "moving statistics", batch_size, seed, accuracy));
            }
        }
    }
    Ok(figures)
}

/// Deals the images into batches again and again, and normalizes each by its own statistics. The relative spread of an image's logits,
/// and the accuracy.
fn deal(net: &Sequential, images: &Batch, batch_size: i64) -> (f64, f64) {
    let _no_grad = tch::no_grad_guard();
    let n = images.x.size()[0];
    let outputs = (0..DEALS).map(|_| {
        let order = Tensor::randperm(n, (Kind::Int64, Device::Cpu));
        let batches = images.x.index_select(0, &order).split(batch_size, 0);
        let outputs: Vec<Tensor> = batches.iter().map(|batch| net.forward_t(batch, true)).collect();
        Tensor::cat(&outputs, 0).index_select(0, &order.argsort(0, false))
    });
    let outputs = Tensor::stack(&outputs.collect::<Vec<_>>(), 0); // (DEALS, n, 10)
    let deviation = |variances: Tensor| variances.mean(Kind::Double).double_value(&[]).sqrt();
    let within = deviation(outputs.var_dim(0, true, false));
    let between = deviation(outputs.mean_dim(0, false, None).var_dim(0, true, false));
    (within / between, accuracy(&outputs, &images.y))
}

/// The share of logits (..., n, 10) whose largest is that of the label (n,).
fn accuracy(logits: &Tensor, labels: &Tensor) -> f64 {
    logits.argmax(-1, false).eq_tensor(labels).to_kind(Kind::Double).mean(None).double_value(&[])
}

fn judge(figures: &[Figure]) -> Judgement {
    let spread = |size: &str| of_seeds(figures, |run| run.at(&SPREAD, "native", size));
    let gap = |size: &str| {
        of_seeds(figures, |run| {
            run.at(&TRAINED, "training images", size) - run.at(&TRAINED, "test images", size)
        })
    };
    let (small, large, noisy, quiet) = (spread("4"), spread("256"), gap("16"), gap("256"));
    let narrower = |(noisy, &quiet): (&f64, &f64)| if quiet > 0.0 { 1.0 - noisy / quiet } else { f64::NAN };
    let narrower: Vec<f64> = noisy.iter().zip(&quiet).map(narrower).collect();
    let parts = [at_least(4.0, 1.0, &ratios(&small, &large)), at_least(0.2, 0.0, &narrower)];
    let test = |size: &str| written(of_seeds(figures, |run| run.at(&TRAINED, "test images", size)), "%");
    let because = format!(
        "The batch spreads an image's output by {} of the spread over images in batches of 4, and by {} in batches of 256. Training by \
         statistics of 16 images leaves a gap of {} and a test accuracy of {}; of 256 images, {} and {}. The gap is narrower by {}.",
        written(small, ""),
        written(large, ""),
        written(noisy, " points"),
        test("16"),
        written(quiet, " points"),
        test("256"),
        written(narrower.iter().map(|share| 100.0 * share), "%"),
    );
    Judgement { verdict: every(parts), because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::Verdict::{DoesNotHold, Holds, Undecided};
    use crate::experiments::claims::probe::tests::{check_figures, images};
    use crate::experiments::claims::tests::figures;

    #[test]
    fn the_verdict_turns_with_the_noise() {
        let spread = |small, large| figures(&SPREAD, &[("native", "4", small), ("native", "256", large)]);
        let gaps = |noisy, quiet| {
            let training =
                [("training images", "16", 80.0 + noisy), ("training images", "256", 80.0 + quiet)];
            figures(
                &TRAINED,
                &[training, [("test images", "16", 80.0), ("test images", "256", 80.0)]].concat(),
            )
        };
        let verdict = |spread: Vec<Figure>, gaps| judge(&[spread, gaps].concat()).verdict;
        assert_eq!(verdict(spread(0.4, 0.05), gaps(5.0, 10.0)), Holds);
        assert_eq!(verdict(spread(0.05, 0.4), gaps(5.0, 10.0)), DoesNotHold);
        assert_eq!(verdict(spread(0.4, 0.05), gaps(10.0, 5.0)), DoesNotHold);
        assert_eq!(verdict(spread(0.4, 0.05), gaps(9.0, 10.0)), Undecided);
        assert_eq!(verdict(spread(0.4, 0.05), gaps(-5.0, -1.0)), Undecided, "no gap");
    }

    #[test]
    fn groups_are_normalized_by_themselves_in_training_alone() {
        let vs = tch::nn::VarStore::new(Device::Cpu);
        let groups = Groups { net: (recipe().net)(&vs.root(), &Norm::Native), size: 4 };
        let x = Tensor::rand([8, 1, 28, 28], tch::kind::FLOAT_CPU);
        let _no_grad = tch::no_grad_guard();
        let [whole, first] = [&x, &x.narrow(0, 0, 4)].map(|x| groups.forward_t(x, true));
        assert_eq!(whole.narrow(0, 0, 4), first);
        assert!((whole - groups.net.forward_t(&x, true)).abs().max().double_value(&[]) > 1e-3);
        assert_eq!(groups.forward_t(&x, false), groups.net.forward_t(&x, false));
    }

    #[test]
    fn a_measurement_of_a_few_images_is_complete() {
        let figures = super::figures(images(32), images(512), 1, Some(1), true).unwrap();
        check_figures(&CLAIM, &figures, 4 * 3 + 3 * 2);
        // The images of one batch, dealt again, are in it again.
        let dealt = first_batch(&ImageSet::new(&images(64)), 64);
        let net = Probe::new(2, |p| (recipe().net)(p, &Norm::Native)).net;
        let [few, all] = [4, 64].map(|size| deal(&net, &dealt, size).0);
        assert!(all < 1e-4 && few > 0.1, "{few} {all}");
    }
}
