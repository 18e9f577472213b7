//! The effect of mixed precision and the memory format, for the report.

use super::numbers::percent;
use super::table;

/// Steps with the numerics that a run was asked for, compared with steps with PyTorch's own.
#[derive(Clone, Debug)]
pub struct NumericsEffect {
    /// The numerics of the run, in words.
    pub chosen: String,
    /// Images of the batch that the steps were made with.
    pub images: usize,
    /// Steps that were timed.
    pub steps: usize,
    /// Median seconds of a step.
    pub seconds: Figure,
    /// The loss before the first step, in nats per example.
    pub loss: Figure,
    /// The largest absolute logit before the first step.
    pub largest_logit: f64,
    /// The largest absolute difference of the logits before the first step.
    pub logit_difference: f64,
    /// Images of which both predict the same class before the first step.
    pub same_predictions: usize,
    /// For each variant, by its name, the share of the test images that the trained weights get right.
    pub test_acc: Vec<(String, Figure)>,
}

/// A figure with either numerics.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// As the run was asked to compute.
    pub chosen: f64,
    /// As PyTorch computes by itself.
    pub plain: f64,
}

impl NumericsEffect {
    /// The line for the screen.
    pub fn line(&self) -> String {
        format!(
            "{}: a step takes {:.2} times as long as without, logits differ by {:.1e} at most",
            self.chosen,
            self.seconds.chosen / self.seconds.plain,
            self.logit_difference
        )
    }

    /// The section of the report, in GitHub's Markdown.
    pub fn render(&self) -> String {
        let Self { chosen, images, steps, seconds, loss, .. } = self;
        let row = |numerics: &str, seconds: f64, loss: f64| {
            [numerics.to_owned(), format!("{seconds:.4}"), format!("{loss:.6}")]
        };
        let rows = [row(chosen, seconds.chosen, loss.chosen), row(PLAIN, seconds.plain, loss.plain)];
        let mut out = format!(
            "\n## Mixed precision and memory format\n\nThis run computes with {chosen}, which changes bits: its numbers \
             are not those of a run without.\n\nThe same weights and the same {images} images with and without, before \
             training: {steps} steps each, in turn, after one that is not timed.\n\n{}\n\
             A step takes {:.2} times as long as without. Logits of up to {:.3} differ by {:.1e} at most, and {} of {images} \
             predictions are the same.\n",
            table(1, ["with", "s per step, median", "loss before the first"], rows),
            seconds.chosen / seconds.plain,
            self.largest_logit,
            self.logit_difference,
            self.same_predictions,
        );
        if !self.test_acc.is_empty() {
            let heads = [chosen.as_str(), PLAIN].map(|numerics| format!("accuracy, {numerics}"));
            let accuracies = self.test_acc.iter();
            let rows = accuracies.map(|(name, acc)| [name.clone(), percent(acc.chosen), percent(acc.plain)]);
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
            steps: 3,
            seconds: Figure { chosen: 0.5, plain: 2.0 },
            loss: Figure { chosen: 2.25, plain: 2.5 },
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
        effect.test_acc.push(("plain".to_owned(), Figure { chosen: 0.5, plain: 0.75 }));
        assert_eq!(cells(&effect.render(), "The trained weights")[1], ["plain", "50.00%", "75.00%"]);
    }
}
