//! Augmentation regularizes.

use std::thread::sleep;
use std::time::Duration;

use super::probe::go_on;
use super::rule::{at_least, of_seeds};
use super::{Claim, Figure, Judgement, Quantity, Setting, Verdict, common_options, written};
use crate::Result;
use crate::data::Cifar10;
use crate::experiments::child::{self, Child};
use crate::experiments::cifar::EPOCHS;
use crate::experiments::options::CommonOptions;

/// Training accuracy is that of the epoch's batches as they are trained on, augmented or not.
const GAP: Quantity = Quantity { name: "training minus test accuracy (points)", over: "epoch", log: false };
const TEST: Quantity = Quantity { name: "test accuracy (%)", over: "epoch", log: false };

/// The claim.
pub const CLAIM: Claim = Claim {
    name: "augmentation",
    title: "Augmented images make the model generalize better",
    source: "Note 002, its section on augmentation; the book, section 13.1.",
    predicts: "ResNet-18, trained on CIFAR-10 with images that are flipped at random, has a gap between training and test accuracy that is \
               narrower by a fifth or more than with plain images.",
    rule: "After the last epoch. Holds if the gap is narrower by a fifth or more for every seed. Does not hold if it is no narrower for \
           any seed. Otherwise undecided, as where CIFAR-10 is not there or there is no gap.",
    quantities: &[GAP, TEST],
    measure,
    judge,
};

/// From one look at the process to the next.
const PAUSE: Duration = Duration::from_millis(50);

fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    // It is large, and not fetched for this.
    let Some(folder) = Cifar10::find() else { return Ok(Vec::new()) };
    let common = CommonOptions {
        // A single process, for larger networks than the others'.
        threads: Some(2),
        test_examples: setting.either(Some(256), None),
        ..common_options(Some(folder))
    };
    let lock = child::lock(&setting.dir, "claim")?;
    let mut figures = Vec::new();
    for seed in 0..setting.seeds {
        let options = [
            ("seed", Some(seed.to_string())),
            ("epochs", Some(setting.either(8, EPOCHS).to_string())),
            ("batch-size", setting.either(Some("32".to_owned()), None)),
            ("train-examples", setting.either(Some("256".to_owned()), None)),
            ("device", Some("cpu".to_owned())),
        ];
        let name = format!("seed{seed}");
        let arguments = child::arguments("cifar", &options, &common);
        let mut child =
            Child::start(format!("augmentation, {name}"), arguments, setting.dir.join(&name), &lock)?;
        let status = loop {
            go_on()?;
            match child.ended()? {
                Some(status) => break status,
                None => sleep(PAUSE),
            }
        };
        for record in child.outcome(status)? {
            for (quantity, share) in [(GAP, record.train_acc - record.test_acc), (TEST, record.test_acc)] {
                figures.push(Figure::new(&quantity, &record.variant, record.epoch, seed, 100.0 * share));
            }
        }
    }
    Ok(figures)
}

fn judge(figures: &[Figure]) -> Judgement {
    if figures.is_empty() {
        let because =
            "CIFAR-10 is not on this machine. `d2l_ch7 cifar` fetches it, if it has the network.".to_owned();
        return Judgement { verdict: Verdict::Undecided, because };
    }
    let epochs = figures.iter().filter_map(|figure| figure.at.parse::<usize>().ok());
    let last = epochs.max().unwrap_or_default().to_string();
    let of = |quantity: &Quantity, subject| of_seeds(figures, |run| run.at(quantity, subject, &last));
    let (augmented, plain) = (of(&GAP, "augmented"), of(&GAP, "plain"));
    let narrower =
        |(augmented, &plain): (&f64, &f64)| if plain > 0.0 { 1.0 - augmented / plain } else { f64::NAN };
    let narrower: Vec<f64> = augmented.iter().zip(&plain).map(narrower).collect();
    let because = format!(
        "After {last} epochs, training is ahead of the test by {} with augmented images and by {} with plain ones. Test accuracy is {} and {}.",
        written(augmented, " points"),
        written(plain, " points"),
        written(of(&TEST, "augmented"), "%"),
        written(of(&TEST, "plain"), "%"),
    );
    Judgement { verdict: at_least(0.2, 0.0, &narrower), because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::tests::{exchanged, figures};

    #[test]
    fn the_gap_after_the_last_epoch_decides() {
        let of = |augmented, plain| {
            let ends = [("augmented", "10", augmented), ("plain", "10", plain)];
            figures(&GAP, &[&ends[..], &[("augmented", "9", 50.0), ("plain", "9", 0.0)]].concat())
        };
        let measured = of(20.0, 40.0);
        assert_eq!(judge(&measured).verdict, Verdict::Holds);
        assert_eq!(judge(&exchanged(&measured, ["augmented", "plain"])).verdict, Verdict::DoesNotHold);
        assert_eq!(judge(&of(36.0, 40.0)).verdict, Verdict::Undecided);
        assert_eq!(judge(&of(-2.0, -1.0)).verdict, Verdict::Undecided, "no gap");
    }
}
