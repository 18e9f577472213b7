//! Channels that are scaled to one range act alike.

use tch::{Kind, Tensor};

use super::probe::{Probe, first_batch, go_on, norm};
use super::rule::{at_least, at_most, every, of_seeds};
use super::{Claim, Figure, Judgement, Quantity, Setting, written};
use crate::Result;
use crate::data::{Batch, FashionMnist, ImageSet};
use crate::nets::resnet18::resnet18_cifar;
use crate::norm::Norm;

/// The standard deviation of what a channel adds to the first convolution's output, and the norm of the gradient by the weights that a
/// channel meets there.
const QUANTITIES: [Quantity; 2] = [
    Quantity { name: "effect on the first convolution", over: "channel", log: true },
    Quantity { name: "gradient norm", over: "channel", log: true },
];

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "scaling",
    title: "Channels that are scaled to one range act alike on the first convolution and get like gradients",
    source: "Note 001, its second section.",
    predicts: "In the notes' ResNet-18 for three channels, before training, one channel acts more than another on the first convolution, \
               and gets larger gradients: by a factor of 2 at most where every channel has mean 0 and deviation 1, and by 10 at least where \
               one is in 0 to 255 and the others are in 0 to 1.",
    rule: "The factor is the largest channel's figure over the smallest one's. Holds if all four factors are so for every seed. Does not \
           hold if for every seed a factor is 10 or more with scaling, or 2 or less without it. Otherwise undecided. That gradient descent \
           becomes smoother, which the note says too, is not measured.",
    quantities: &QUANTITIES,
    measure,
    judge,
};

const SCALED: &str = "scaled";
const UNSCALED: &str = "one channel in 0 to 255";

/// Three channels that differ, made of a gray image.
const CHANNELS: [&str; 3] = ["the image", "mirrored", "upside down"];

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let images = FashionMnist::load(setting.data_dir.as_deref(), !setting.quiet)?.train;
    figures(&first_batch(&ImageSet::new(&images), if setting.full { 256 } else { 64 }), setting.seeds)
}

fn figures(batch: &Batch, seeds: u64) -> Result<Vec<Figure>> {
    let unscaled = channels(&batch.x);
    let over = [0i64, 2, 3].as_slice();
    let scaled = (&unscaled - unscaled.mean_dim(over, true, None)) / unscaled.std_dim(over, false, true);
    let mut figures = Vec::new();
    for seed in 0..seeds {
        for (subject, x) in [(UNSCALED, &unscaled), (SCALED, &scaled)] {
            go_on()?;
            let probe = Probe::new(seed, |p| resnet18_cifar(p, &Norm::Native, 10, 3));
            let [weight, gradient] =
                [&probe.weights(), &probe.gradients(&Batch { x: x.copy(), y: batch.y.copy() })]
                    .map(|layers| layers[0].1.detach());
            for (channel, name) in (0..).zip(CHANNELS) {
                let part = |tensor: &Tensor| tensor.narrow(1, channel, 1);
                let added = part(x).conv2d(&part(&weight), None::<Tensor>, 1, 1, 1, 1);
                let values =
                    [added.to_kind(Kind::Double).std(false).double_value(&[]), norm(&part(&gradient))];
                for (quantity, value) in QUANTITIES.into_iter().zip(values) {
                    figures.push(Figure::new(&quantity, subject, name, seed, value));
                }
            }
        }
    }
    Ok(figures)
}

/// Gray images (N, 1, H, W) in 0 to 1 as [`CHANNELS`], the last one in 0 to 255.
fn channels(gray: &Tensor) -> Tensor {
    Tensor::cat(&[gray.shallow_clone(), gray.flip([3]), gray.flip([2]) * 255.0], 1)
}

fn judge(figures: &[Figure]) -> Judgement {
    let [effect, gradient] = QUANTITIES.map(|quantity| {
        let factor = |subject| {
            of_seeds(figures, |run| {
                let (least, greatest) = run.range(&quantity, subject);
                greatest / least
            })
        };
        let (scaled, unscaled) = (factor(SCALED), factor(UNSCALED));
        let verdict = every([at_most(2.0, 10.0, &scaled), at_least(10.0, 2.0, &unscaled)]);
        (verdict, format!("{} with scaling and {} without", written(scaled, ""), written(unscaled, "")))
    });
    let because = format!(
        "The largest channel's effect on the first convolution over the smallest one's is {}; its gradient norm over the smallest one's is \
         {}.",
        effect.1, gradient.1
    );
    Judgement { verdict: every([effect.0, gradient.0]), because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::Verdict::{DoesNotHold, Holds, Undecided};
    use crate::experiments::claims::probe::tests::{check_figures, images};
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn the_verdict_turns_with_the_scale() {
        let values = |unscaled| {
            [
                (SCALED, "mirrored", 1.0),
                (SCALED, "upside down", 1.5),
                (UNSCALED, "mirrored", 1.0),
                (UNSCALED, "upside down", unscaled),
            ]
        };
        let of = |quantity: usize, unscaled| figures(&QUANTITIES[quantity], &values(unscaled));
        let measured = [of(0, 200.0), of(1, 200.0)].concat();
        assert_eq!(judge(&measured).verdict, Holds);
        assert_eq!(judge(&exchanged(&measured, [SCALED, UNSCALED])).verdict, DoesNotHold);
        assert_eq!(judge(&[of(0, 200.0), of(1, 1.5)].concat()).verdict, DoesNotHold);
        assert_eq!(judge(&[of(0, 5.0), of(1, 200.0)].concat()).verdict, Undecided);
    }

    #[test]
    fn a_measurement_of_a_few_images_is_complete() {
        let figures = super::figures(&first_batch(&ImageSet::new(&images(2)), 2), 1).unwrap();
        check_figures(&CLAIM, &figures, 2 * 2 * 3);
    }
}
