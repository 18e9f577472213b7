//! `synchronized.png`: the statistics of each process's own batch, and those that a batch norm over all processes normalized by.

use plotters::style::RGBColor;

use super::panel::{PALETTE, Panel, Series, Shape, draw_panels};
use super::picture::Stroke;
use crate::Result;
use crate::report::{ChannelStatistics, Synchronization, SynchronizedLayer};

const ALL: RGBColor = RGBColor(0x22, 0x22, 0x22);

/// A statistic of each channel.
type Statistic = fn(&ChannelStatistics) -> &[f64];

/// Draws mean and variance of the last layer, channel by channel, [`WIDTH`](super::WIDTH) pixels wide, as the bytes of a PNG file;
/// of more processes than there are colours, the first.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_synchronized(found: &Synchronization) -> Result<Vec<u8>> {
    let layer = found.layers.last().expect("a variant that is synchronized has such layers");
    let title = format!(
        "{}: what layer {} normalized by, and what each process's own batch has\n{} processes, last step of epoch {}",
        found.variant,
        layer.name,
        layer.ranks.len(),
        found.epoch
    );
    let mean = panel(layer, "Mean", "mean", f64::NEG_INFINITY, |statistics| &statistics.mean);
    let var = panel(layer, "Variance, biased", "variance", 0.0, |statistics| &statistics.var);
    draw_panels(&title, &[[mean, var]])
}

fn panel(layer: &SynchronizedLayer, title: &str, label: &'static str, least: f64, of: Statistic) -> Panel {
    let all = of(&layer.all);
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&a, &b| all[a].total_cmp(&all[b]));
    let points = |values: &[f64]| (1..).zip(order.iter().map(|&channel| values[channel])).collect();
    let ranks = layer.ranks.iter().zip(PALETTE).enumerate().map(|(rank, (own, (color, shape)))| Series {
        name: format!("rank {rank}"),
        stroke: Stroke { width: 12, color, dashed: false },
        shape,
        radius: 30,
        points: points(of(own)),
    });
    let all = Series {
        name: "all".to_owned(),
        stroke: Stroke { width: 24, color: ALL, dashed: false },
        shape: Shape::Circle,
        radius: 30,
        points: points(all),
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synchronized::tests::synchronization;

    #[test]
    fn every_statistic_of_every_rank_is_in_the_picture() {
        let picture = draw_synchronized(&synchronization()).unwrap();
        assert!(picture == draw_synchronized(&synchronization()).unwrap());
        let changes: [fn(&mut SynchronizedLayer); 4] = [
            |layer| layer.all.mean[0] += 0.1,
            |layer| layer.all.var[1] += 0.1,
            |layer| layer.ranks[0].mean[1] += 0.1,
            |layer| layer.ranks[1].var[0] += 0.1,
        ];
        for change in changes {
            let mut changed = synchronization();
            change(&mut changed.layers[0]);
            assert!(picture != draw_synchronized(&changed).unwrap());
        }
    }
}
