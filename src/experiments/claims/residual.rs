//! A residual network contains the smaller one, and its gradients do not vanish.

use tch::nn::{ConvConfig, ModuleT, Path};

use super::probe::{Probe, first_batch, go_on, norm};
use super::rule::{at_least, at_most, every, of_seeds};
use super::{Claim, Figure, Judgement, Quantity, Setting, written};
use crate::Result;
use crate::data::{Batch, FashionMnist, ImageSet};
use crate::layers::{Layer, Sequential, adaptive_avg_pool2d, conv2d, flatten, linear, relu, sequential};
use crate::nets::residual::Residual;
use crate::norm::{Dims, Norm};

/// The norm of the gradient of the loss by the weights of a block's g, at a depth; and the blocks of this depth at each of the four
/// numbers of channels.
const DEPTHS: [(Quantity, [usize; 4]); 2] = [
    (Quantity { name: "gradient norm, depth 18", over: "block", log: true }, [2, 2, 2, 2]),
    (Quantity { name: "gradient norm, depth 34", over: "block", log: true }, [3, 4, 6, 3]),
];
/// The largest difference between the outputs of both depths, relative to the largest output.
const CONTAINED: Quantity =
    Quantity { name: "difference from the smaller network", over: "added blocks", log: false };

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "residual",
    title: "A residual network contains the smaller one, and its shortcuts keep gradients from vanishing",
    source: "Note 002, its section on residual networks.",
    predicts: "ResNet-34 whose added blocks have g(x) = 0 gives the output of ResNet-18 to the last bit. Before training, the gradient of \
               ResNet-34's first block is half of the last one's or more, and without shortcuts a tenth of it or less.",
    rule: "In networks with batch norm, as the note has them; those without are shown and do not decide. The first part is wrong if outputs \
           differ, the second if the gradient is a tenth or less with shortcuts, the third if it is half or more without them, each for \
           every seed. Holds if all three parts are right for every seed. Does not hold if one is wrong. Otherwise undecided.",
    quantities: &[DEPTHS[0].0, DEPTHS[1].0, CONTAINED],
    measure,
    judge,
};

const SUBJECTS: [(&str, bool, Norm); 4] = [
    ("shortcuts", true, Norm::Native),
    ("no shortcuts", false, Norm::Native),
    ("shortcuts, no batch norm", true, Norm::None),
    ("no shortcuts, no batch norm", false, Norm::None),
];

/// ResNet with a stem for images (N, 1, 28, 28). Without `shortcuts`, a block is the g of the residual block and a ReLU.
fn resnet(p: &Path, norm: &Norm, depth: [usize; 4], shortcuts: bool) -> Sequential {
    let conv = |p: &Path, inputs, channels, stride| {
        conv2d(p, inputs, channels, 3, ConvConfig { stride, padding: 1, ..Default::default() })
    };
    let block = |p: &Path, inputs, channels, stride| -> Box<dyn Layer> {
        match (shortcuts, stride) {
            (true, 1) => Box::new(Residual::new(p, norm, channels)),
            (true, _) => Box::new(Residual::with_1x1conv(p, norm, inputs, channels, stride)),
            (false, _) => Box::new(
                sequential(p)
                    .then(|p| conv(p, inputs, channels, stride))
                    .then_optional(|p| norm.batch_norm(p, channels, Dims::Four))
                    .then(|_| relu())
                    .then(|p| conv(p, channels, channels, 1))
                    .then_optional(|p| norm.batch_norm(p, channels, Dims::Four))
                    .then(|_| relu())
                    .done(),
            ),
        }
    };
    let mut net = sequential(p)
        .then(|p| conv(p, 1, 64, 1))
        .then_optional(|p| norm.batch_norm(p, 64, Dims::Four))
        .then(|_| relu());
    let mut inputs = 64;
    for (stage, blocks) in depth.into_iter().enumerate() {
        let channels = 64 << stage;
        for i in 0..blocks {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            net = net.add_module(&block_name(stage, i), |p| block(p, inputs, channels, stride));
            inputs = channels;
        }
    }
    net.add_module("pool", |_| adaptive_avg_pool2d([1, 1]))
        .add_module("flatten", |_| flatten())
        .add_module("fc", |p| linear(p, 512, 10))
        .done()
}

/// The same in networks of all depths.
fn block_name(stage: usize, i: usize) -> String {
    format!("stage{stage}_block{i}")
}

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let images = FashionMnist::load(setting.data_dir.as_deref(), !setting.quiet)?.train;
    figures(&first_batch(&ImageSet::new(&images), if setting.full { 256 } else { 32 }), setting.seeds)
}

fn figures(batch: &Batch, seeds: u64) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (seed, (subject, shortcuts, norms)) in (0..seeds).flat_map(|seed| SUBJECTS.map(|s| (seed, s))) {
        let [small, large] = DEPTHS.map(|(quantity, depth)| {
            let probe = Probe::new(seed, |p| resnet(p, &norms, depth, shortcuts));
            (quantity, probe)
        });
        for (quantity, probe) in [&small, &large] {
            go_on()?;
            let gradients = probe.gradients(batch);
            // Both convolutions of each block, without the one of its shortcut.
            let of_g = |name: &str| name.starts_with("stage") && !name.contains("conv3");
            let norms: Vec<f64> =
                gradients.iter().filter(|(name, _)| of_g(name)).map(|(_, gradient)| norm(gradient)).collect();
            for (i, [first, second]) in norms.as_chunks().0.iter().enumerate() {
                figures.push(Figure::new(quantity, subject, i + 1, seed, f64::hypot(*first, *second)));
            }
        }
        if matches!(norms, Norm::Native) {
            figures.push(Figure::new(&CONTAINED, subject, 8, seed, difference(&small.1, &large.1, batch)));
        }
    }
    Ok(figures)
}

/// Gives the larger network the smaller one's weights and makes g zero in the blocks that this one lacks. The largest difference
/// between their outputs, relative to the largest output.
fn difference(small: &Probe, large: &Probe, batch: &Batch) -> f64 {
    let _no_grad = tch::no_grad_guard();
    let smaller = small.vs.variables();
    for (name, mut variable) in large.vs.variables() {
        match smaller.get(&name) {
            Some(value) => variable.copy_(value),
            // The scale of the second batch norm, whose shift is 0.
            None if name.ends_with("bn2.weight") || name.ends_with(".4.weight") => {
                let _ = variable.zero_();
            }
            None => {}
        }
    }
    let [small, large] = [small, large].map(|probe| probe.net.forward_t(&batch.x, true));
    let largest = |tensor: tch::Tensor| tensor.abs().max().double_value(&[]);
    largest(&large - &small) / largest(small)
}

fn judge(figures: &[Figure]) -> Judgement {
    let deep = DEPTHS[1].0;
    let difference = of_seeds(figures, |run| run.at(&CONTAINED, "shortcuts", "8"));
    let ratio = |subject| of_seeds(figures, |run| run.at(&deep, subject, "1") / run.at(&deep, subject, "16"));
    let [shortcuts, plain, shortcuts_bare, plain_bare] = SUBJECTS.map(|(subject, ..)| ratio(subject));
    let parts = [
        at_most(0.0, f64::MIN_POSITIVE, &difference),
        at_least(0.5, 0.1, &shortcuts),
        at_most(0.1, 0.5, &plain),
    ];
    let because = format!(
        "The larger network's output differs by {}. At depth 34, the first block's gradient over the last one's is {} with shortcuts and \
         {} without. In networks without batch norm, it is {} with shortcuts and {} without.",
        written(difference, ""),
        written(shortcuts, ""),
        written(plain, ""),
        written(shortcuts_bare, ""),
        written(plain_bare, ""),
    );
    Judgement { verdict: every(parts), because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::Verdict::{DoesNotHold, Holds};
    use crate::experiments::claims::probe::tests::{check_figures, images};
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn the_verdict_turns_with_the_shortcuts() {
        let subjects = ["shortcuts", "no shortcuts"];
        let contained = figures(&CONTAINED, &[(subjects[0], "8", 0.0), (subjects[1], "8", 1.0)]);
        let ends = [
            (subjects[0], "1", 0.8),
            (subjects[0], "16", 1.0),
            (subjects[1], "1", 0.01),
            (subjects[1], "16", 1.0),
        ];
        let gradients = figures(&DEPTHS[1].0, &ends);
        let verdict =
            |contained: &[Figure], gradients: &[Figure]| judge(&[contained, gradients].concat()).verdict;
        let other = |figures: &[Figure]| exchanged(figures, subjects);
        assert_eq!(verdict(&contained, &gradients), Holds);
        assert_eq!(verdict(&other(&contained), &other(&gradients)), DoesNotHold);
        // Each part decides by itself.
        assert_eq!(verdict(&other(&contained), &gradients), DoesNotHold);
        assert_eq!(verdict(&contained, &other(&gradients)), DoesNotHold);
    }

    #[test]
    fn a_measurement_of_a_few_images_is_complete() {
        let batch = first_batch(&ImageSet::new(&images(2)), 2);
        let figures = super::figures(&batch, 1).unwrap();
        check_figures(&CLAIM, &figures, 4 * (8 + 16) + 2);
        let difference = |subject| of_seeds(&figures, |run| run.at(&CONTAINED, subject, "8"))[0];
        assert_eq!(difference("shortcuts"), 0.0);
        assert!(difference("no shortcuts") > 0.1);
    }
}
