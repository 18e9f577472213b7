//! The effect of mixed precision and the memory format, for the report.

use super::numbers::{median, percent};
use super::table;

/// Steps with the numerics that a run was asked for, compared with steps with PyTorch's own.
#[derive(Clone, Debug)]
pub struct NumericsEffect {
    /// The numerics of the run, in words.
    pub chosen: String,
    /// Images of the batch that the steps were made with.
    pub images: usize,
    /// The seconds of each step: as the run was asked to compute, and as PyTorch computes by itself; as many of either.
    pub seconds: [Vec<f64>; 2],
    /// The loss before the first step, in nats per example, likewise.
    pub loss: [f64; 2],
    /// The largest absolute logit before the first step.
    pub largest_logit: f64,
    /// The largest absolute difference of the logits before the first step.
    pub logit_difference: f64,
    /// Images of which both predict the same class before the first step.
    pub same_predictions: usize,
    /// For each variant, by its name, the share of the test images that the trained weights get right, likewise.
    pub test_acc: Vec<(String, [f64; 2])>,
}

impl NumericsEffect {
    /// The line for the screen.
    pub fn line(&self) -> String {
        let Self { chosen, logit_difference, .. } = self;
        format!(
            "{chosen}: a step takes {:.2} times as long as without, logits differ by {logit_difference:.1e} at most",
            self.times_as_long()
        )
    }

    /// The median seconds of a step.
    fn medians(&self) -> [f64; 2] {
        self.seconds.each_ref().map(|seconds| median(seconds.iter().copied()).unwrap_or(f64::NAN))
    }

    fn times_as_long(&self) -> f64 {
        let [chosen, plain] = self.medians();
        chosen / plain
    }

    /// The section of the report, in GitHub's Markdown.
    pub fn render(&self) -> String {
        let Self { chosen, images, largest_logit, logit_difference, same_predictions, .. } = self;
        let rows = [chosen.as_str(), PLAIN].into_iter().zip(self.medians()).zip(self.loss);
        let rows = rows.map(|((numerics, seconds), loss)| {
            [numerics.to_owned(), format!("{seconds:.4}"), format!("{loss:.6}")]
        });
        let mut out = format!(
            "\n## Mixed precision and memory format\n\nThis run computes with {chosen}, which changes bits: its numbers \
             are not those of a run without.\n\nThe same weights and the same {images} images with and without, before \
             training: {} steps each, in turn, after one that is not timed.\n\n{}\n\
             A step takes {:.2} times as long as without. Logits of up to {largest_logit:.3} differ by {logit_difference:.1e} at most, \
             and {same_predictions} of {images} predictions are the same.\n",
            self.seconds[0].len(),
            table(1, ["with", "s per step, median", "loss before the first"], rows),
            self.times_as_long(),
        );
        if !self.test_acc.is_empty() {
            let heads = [chosen.as_str(), PLAIN].map(|numerics| format!("accuracy, {numerics}"));
            let rows = self.test_acc.iter();
            let rows = rows.map(|(name, [chosen, plain])| [name.clone(), percent(*chosen), percent(*plain)]);
            let heads = ["variant".to_owned()].into_iter().chain(heads);
            out += &format!("\nThe trained weights on the test images:\n\n{}", table(1, heads, rows));
        }
        out + "\nWhat training without them gives, a run of the same command without the options tells.\n"
    }
}

/// PyTorch's own numerics.
const PLAIN: &str = "float32, contiguous memory";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::cells;

    #[test]
    fn figures_are_compared_with_those_without() {
        let mut effect = NumericsEffect {
            chosen: "bfloat16 autocast".to_owned(),
            images: 8,
            seconds: [vec![0.25, 0.5, 8.0], vec![2.0, 1.0, 4.0]],
            loss: [2.25, 2.5],
            largest_logit: 4.0,
            logit_difference: 0.0625,
            same_predictions: 7,
            test_acc: Vec::new(),
        };
        let text = effect.render();
        assert_eq!(cells(&text, "## Mixed")[1], ["bfloat16 autocast", "0.5000", "2.250000"]);
        assert_eq!(cells(&text, "## Mixed")[2], ["float32, contiguous memory", "2.0000", "2.500000"]);
        assert!(text.contains("takes 0.25 times as long"), "{text}");
        assert!(
            text.contains("Logits of up to 4.000 differ by 6.2e-2 at most, and 7 of 8 predictions"),
            "{text}"
        );
        effect.test_acc.push(("plain".to_owned(), [0.5, 0.75]));
        assert_eq!(cells(&effect.render(), "The trained weights")[1], ["plain", "50.00%", "75.00%"]);
    }
}
