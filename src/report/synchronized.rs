//! Batch norms over several processes: the statistics of each process's own batch next to those that all normalized by, as a
//! section of the report and as a picture.

use plotters::style::RGBColor;

use super::plot::{PALETTE, Panel, Series, Shape, Stroke, draw_panels};
use super::table;
use crate::Result;

/// The picture of them, in a run directory.
pub const SYNCHRONIZED: &str = "synchronized.png";

/// The colour of the statistics of all processes.
const ALL: RGBColor = RGBColor(0x22, 0x22, 0x22);

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

/// The statistics of one layer: means in the unit of the layer's input, and biased variances, one of each a channel.
#[derive(Clone, Debug)]
pub struct SynchronizedLayer {
    /// Its name in the network: `1`.
    pub name: String,
    /// Means and variances over the batches of all processes.
    pub all: [Vec<f64>; 2],
    /// Means and variances over each process's own batch, by rank.
    pub ranks: Vec<[Vec<f64>; 2]>,
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

    /// Draws mean and variance of the last layer, channel by channel, [`WIDTH`](super::plot::WIDTH) pixels wide, as the bytes of a
    /// PNG file; of more processes than there are colours, the first.
    ///
    /// # Errors
    /// If the drawing fails, for which there is no known cause.
    pub fn draw(&self) -> Result<Vec<u8>> {
        let layer = self.layers.last().expect("a variant that is synchronized has such layers");
        let title = format!(
            "{}: what layer {} normalized by, and what each process's own batch has\n{} processes, last step of epoch {}",
            self.variant,
            layer.name,
            layer.ranks.len(),
            self.epoch
        );
        let mean = layer.panel(0, "Mean", "mean", f64::NEG_INFINITY);
        let var = layer.panel(1, "Variance, biased", "variance", 0.0);
        draw_panels(&title, &[[mean, var]])
    }
}

impl SynchronizedLayer {
    /// Name, channels, a rank's largest distance from the mean of all in standard deviations of all, and the least and the largest
    /// of a rank's variance over that of all.
    fn row(&self) -> [String; 5] {
        let [mean, var] = &self.all;
        let channels =
            || self.ranks.iter().flat_map(|[means, vars]| means.iter().zip(vars).zip(mean.iter().zip(var)));
        let distances = channels().map(|((own, _), (mean, var))| (own - mean).abs() / var.sqrt());
        let ratios = || channels().map(|((_, own), (_, var))| own / var);
        let (least, most) =
            (ratios().fold(f64::INFINITY, f64::min), ratios().fold(f64::NEG_INFINITY, f64::max));
        let figures = [distances.fold(0.0, f64::max), least, most].map(|figure| format!("{figure:.3}"));
        let [distance, least, most] = figures;
        [self.name.clone(), mean.len().to_string(), distance, least, most]
    }

    /// The means (`which` is 0) or the variances (1), the channels in the order of the statistic of all.
    fn panel(&self, which: usize, title: &str, label: &'static str, least: f64) -> Panel {
        let all = &self.all[which];
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|&a, &b| all[a].total_cmp(&all[b]));
        let series = |name, values: &[f64], width, color, shape| Series {
            name,
            stroke: Stroke { width, color, dashed: false },
            shape,
            radius: 30,
            points: (1..).zip(order.iter().map(|&channel| values[channel])).collect(),
        };
        let ranks = self.ranks.iter().zip(PALETTE).enumerate().map(|(rank, (own, (color, shape)))| {
            series(format!("rank {rank}"), &own[which], 12, color, shape)
        });
        let all = series("all".to_owned(), all, 24, ALL, Shape::Circle);
        Panel {
            title: title.to_owned(),
            label,
            series: vec![ranks.chain([all]).collect()],
            counted: "channel, in the order of the statistic of all",
            last: order.len(),
            span: f64::MIN_POSITIVE,
            bounds: least..=f64::INFINITY,
            zero: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synchronization() -> Synchronization {
        let layer = SynchronizedLayer {
            name: "1".to_owned(),
            all: [vec![1.0, -1.0], vec![4.0, 1.0]],
            ranks: vec![[vec![2.0, -1.25], vec![3.0, 0.5]], [vec![0.0, -0.75], vec![3.0, 1.25]]],
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

    #[test]
    fn every_statistic_of_every_rank_is_in_the_picture() {
        let picture = synchronization().draw().unwrap();
        assert!(picture == synchronization().draw().unwrap());
        let changes: [fn(&mut SynchronizedLayer); 4] = [
            |layer| layer.all[0][0] += 0.1,
            |layer| layer.all[1][1] += 0.1,
            |layer| layer.ranks[0][0][1] += 0.1,
            |layer| layer.ranks[1][1][0] += 0.1,
        ];
        for change in changes {
            let mut changed = synchronization();
            change(&mut changed.layers[0]);
            assert!(picture != changed.draw().unwrap());
        }
    }
}
