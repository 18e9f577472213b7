//! What mixed precision and the memory format change, for the report.

use std::fmt::Write;

use super::table::{Side, Table};

/// Steps with the numerics that a run was asked for, beside steps with PyTorch's own.
#[derive(Clone, Debug)]
pub struct NumericsEffect {
    /// What was asked for, in words.
    pub chosen: String,
    /// Images of the batch that the steps were made with.
    pub images: usize,
    /// Steps that were timed.
    pub steps: usize,
    /// Median seconds of a step.
    pub seconds: Beside,
    /// The loss before the first step, in nats per example.
    pub loss: Beside,
    /// The largest logit before the first step, by its size, and how far the two at most differ.
    pub largest_logit: f64,
    /// See above.
    pub logit_difference: f64,
    /// Images of which both predict the same class before the first step.
    pub same_predictions: usize,
    /// For each variant, by its name, the share of the test images that the trained weights get right.
    pub test_acc: Vec<(String, Beside)>,
}

/// A figure with either numerics.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
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
        let Self { chosen, images, steps, .. } = self;
        let mut out = format!(
            "\n## Mixed precision and memory format\n\nThis run computes with {chosen}, which changes bits: its numbers \
             are not those of a run without.\n\nThe same weights and the same {images} images with and without, before \
             training: {steps} steps each, in turn, after one that is not timed.\n\n"
        );
        let head = |name: &str| (name.to_owned(), Side::Right);
        let mut table = Table::new([
            ("with".to_owned(), Side::Left),
            head("s per step, median"),
            head("loss before the first"),
        ]);
        for (with, figure) in [(chosen.as_str(), Beside::chosen as fn(Beside) -> f64), (PLAIN, Beside::plain)]
        {
            let row = [format!("{:.4}", figure(self.seconds)), format!("{:.6}", figure(self.loss))];
            table.row([vec![with.to_owned()], row.to_vec()].concat());
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{table}\nA step takes {:.2} times as long as without. Logits of up to {:.3} differ by {:.1e} at most, and \
             {} of {images} predictions are the same.",
            self.seconds.chosen / self.seconds.plain,
            self.largest_logit,
            self.logit_difference,
            self.same_predictions,
        );
        if !self.test_acc.is_empty() {
            let _ = write!(out, "\nThe trained weights on the test images:\n\n{}", self.test_table());
        }
        out.push_str(
            "\nWhat training without them gives, a run of the same command without the options tells.\n",
        );
        out
    }

    fn test_table(&self) -> Table {
        let heads = [self.chosen.as_str(), PLAIN].map(|with| (format!("accuracy, {with}"), Side::Right));
        let mut table = Table::new([("variant".to_owned(), Side::Left)].into_iter().chain(heads));
        for (variant, Beside { chosen, plain }) in &self.test_acc {
            table.row([variant.clone(), super::percent(*chosen), super::percent(*plain)]);
        }
        table
    }
}

/// PyTorch's own numerics.
const PLAIN: &str = "float32, contiguous memory";

impl Beside {
    fn chosen(self) -> f64 {
        self.chosen
    }

    fn plain(self) -> f64 {
        self.plain
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cells;
    use super::*;

    #[test]
    fn figures_stand_beside_those_without() {
        let mut effect = NumericsEffect {
            chosen: "bfloat16 autocast".to_owned(),
            images: 8,
            steps: 3,
            seconds: Beside { chosen: 0.5, plain: 2.0 },
            loss: Beside { chosen: 2.25, plain: 2.5 },
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
        effect.test_acc.push(("plain".to_owned(), Beside { chosen: 0.5, plain: 0.75 }));
        assert_eq!(cells(&effect.render(), "The trained weights")[1], ["plain", "50.00%", "75.00%"]);
    }
}
