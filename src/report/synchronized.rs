//! Batch norms over several processes: the statistics of each process's own batch next to those that all normalized by, as a
//! section of the report.

use super::table;

/// The picture of them, in a run directory.
pub const SYNCHRONIZED: &str = "synchronized.png";

/// The statistics of a variant's synchronized batch norms in the last batch of an epoch.
#[derive(Clone, Debug)]
pub struct Synchronization {
    /// The variant they belong to.
    pub variant: String,
    /// The epoch that the batch ended.
    pub epoch: usize,
    /// In the network's order; one at least.
    pub layers: Vec<SynchronizedLayer>,
}

/// One layer's.
#[derive(Clone, Debug)]
pub struct SynchronizedLayer {
    /// Its name in the network: `1`.
    pub name: String,
    /// Over the batches of all processes.
    pub all: ChannelStatistics,
    /// Over each process's own batch, by rank.
    pub ranks: Vec<ChannelStatistics>,
}

/// A number a channel of each.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// In the unit of the layer's input.
    pub mean: Vec<f64>,
    /// Biased; the square of that unit.
    pub var: Vec<f64>,
}

impl Synchronization {
    /// The section of the report, in GitHub's Markdown.
    pub fn render(&self) -> String {
        let Self { variant, epoch, layers } = self;
        let ranks = layers.first().map_or(0, |layer| layer.ranks.len());
        let heads = ["layer", "channels", "mean, off by at most", "variance, from", "to"];
        let table = table(1, heads, layers.iter().map(SynchronizedLayer::row));
        format!(
            "\n## Synchronized statistics\n\n`{variant}` normalizes by the batches of all {ranks} processes together. Here is what each \
             process's own batch has instead, in the last step of epoch {epoch}: how far its mean is from that of all, in standard \
             deviations of all, and its variance over that of all; the extremes over processes and channels.\n\n\
             {table}\n![Statistics of each process and of all]({SYNCHRONIZED})\n"
        )
    }
}

impl SynchronizedLayer {
    fn row(&self) -> [String; 5] {
        let (least, most) = self.variance_ratios();
        let figures = [self.largest_distance(), least, most].map(|figure| format!("{figure:.3}"));
        let [distance, least, most] = figures;
        [self.name.clone(), self.all.mean.len().to_string(), distance, least, most]
    }

    /// Of a rank's mean from that of all, in standard deviations of all.
    fn largest_distance(&self) -> f64 {
        let ChannelStatistics { mean, var } = &self.all;
        let distances = self.ranks.iter().flat_map(|own| {
            own.mean.iter().zip(mean).zip(var).map(|((own, mean), var)| (own - mean).abs() / var.sqrt())
        });
        distances.fold(0.0, f64::max)
    }

    /// The least and the largest of a rank's variance over that of all.
    fn variance_ratios(&self) -> (f64, f64) {
        let ratios =
            self.ranks.iter().flat_map(|own| own.var.iter().zip(&self.all.var).map(|(own, all)| own / all));
        ratios.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), ratio| {
            (least.min(ratio), most.max(ratio))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn synchronization() -> Synchronization {
        let statistics =
            |mean: [f64; 2], var: [f64; 2]| ChannelStatistics { mean: mean.to_vec(), var: var.to_vec() };
        let layer = SynchronizedLayer {
            name: "1".to_owned(),
            all: statistics([1.0, -1.0], [4.0, 1.0]),
            ranks: vec![statistics([2.0, -1.25], [3.0, 0.5]), statistics([0.0, -0.75], [3.0, 1.25])],
        };
        Synchronization { variant: "scratch-sync".to_owned(), epoch: 3, layers: vec![layer] }
    }

    #[test]
    fn a_section_has_the_extremes_of_every_layer() {
        let text = synchronization().render();
        let row = text.lines().rfind(|line| line.starts_with('|')).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["1", "2", "0.500", "0.500", "1.250"]);
        assert!(text.contains("all 2 processes") && text.contains("epoch 3"), "{text}");
        assert!(text.contains(&format!("({SYNCHRONIZED})")), "{text}");
    }
}
