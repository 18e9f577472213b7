//! The findings of `compare --inspect`, for the screen and the report.

use super::table;
use crate::StatisticsRecord;

/// A look into the networks after an epoch. For the report it has the statistics of all epochs until then.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The last epoch looked at.
    pub epoch: usize,
    /// The first batch norm's scale and shift, a variant each.
    pub scales: Vec<Scale>,
    /// A row an epoch and layer; none unless both variants were trained.
    pub statistics: Vec<StatisticsRecord>,
}

/// Scale and shift of a batch norm, a number a channel.
#[derive(Clone, Debug)]
pub struct Scale {
    /// The variant they belong to.
    pub variant: String,
    /// The scale; PyTorch calls it `weight`.
    pub gamma: Vec<f64>,
    /// The shift; PyTorch calls it `bias`.
    pub beta: Vec<f64>,
}

impl Inspection {
    /// The lines for the screen: the statistics' differences, then gamma and beta to the four digits that PyTorch
    /// prints.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let statistics = self.statistics.iter().map(|row| {
            format!(
                "  layer {:>2}  running mean differs by {:.1e} at most, unbiased running variance by {:.1e}",
                row.layer, row.mean_difference, row.var_difference
            )
        });
        let scales = self.scales.iter().flat_map(|scale| {
            let Scale { variant, gamma, beta } = scale;
            [("gamma", gamma), ("beta", beta)]
                .map(|(name, values)| format!("  {variant}, first batch norm, {name:5} {}", rounded(values)))
        });
        statistics.chain(scales)
    }

    /// The section of the report, in GitHub's Markdown.
    pub fn render(&self) -> String {
        let scales = self.scales.iter();
        let scales = scales.map(|s| [s.variant.clone(), rounded(&s.gamma), rounded(&s.beta)]);
        let mut out = format!(
            "\n## Inside the networks\n\nThe first batch norm after epoch {}:\n\n{}",
            self.epoch,
            table(3, ["variant", "gamma", "beta"], scales)
        );
        if !self.statistics.is_empty() {
            let rows = self.statistics.iter().map(|row| {
                let [mean, var] =
                    [row.mean_difference, row.var_difference].map(|value| format!("{value:.2e}"));
                [row.epoch.to_string(), row.layer.clone(), mean, var]
            });
            out += "\nThe largest differences between the two variants' running statistics, over the channels of each \
                    batch norm layer. The hand-written layer averages biased variances; they are made unbiased here, \
                    batch by batch.\n\n";
            out += &table(0, ["epoch", "layer", "running mean", "running variance"], rows);
        }
        out
    }
}

/// `[0.3362, 4.0349]`.
fn rounded(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
    format!("[{}]", values.join(", "))
}
