//! `chapter.png`: test accuracy over training time, a curve for each network.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::panel::{MARKED_POINTS, PALETTE, Series, Shape, draw_axes, draw_legend};
use super::picture::{self, FULL, HEADER, MARGIN, PIXEL, Stroke, WIDTH, draw_title};
use crate::Result;
use crate::report::{ChapterNetwork, ChapterReport, short};

/// Further colours, for networks beyond [`PALETTE`].
const MORE: [(RGBColor, Shape); 3] = [
    (RGBColor(0x22, 0x22, 0x22), Shape::Circle),
    (RGBColor(0x56, 0xb4, 0xe9), Shape::Square),
    (RGBColor(0x9a, 0x6b, 0x1f), Shape::Triangle),
];
/// Names in a row of the legend.
const COLUMNS: usize = 4;
/// The height of legend and chart.
const HEIGHT: i32 = 5600;

/// Draws the curves of all networks. A network's variants share its colour; the network without batch norm is dashed if another is
/// there too.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_chapter(run: &ChapterReport) -> Result<Vec<u8>> {
    let of_network: Vec<&[ChapterNetwork]> = run.networks.chunk_by(|a, b| a.recipe == b.recipe).collect();
    let looks = PALETTE.iter().chain(&MORE).cycle();
    let curves: Vec<(Series, Vec<(f64, f64)>)> = of_network
        .iter()
        .zip(looks)
        .flat_map(|(variants, &(color, shape))| {
            variants.iter().map(move |network| {
                let dashed = network.variant == "none" && variants.len() > 1;
                let stroke = Stroke { width: 20, color, dashed };
                let series =
                    Series { name: network.numbered_title(), stroke, shape, radius: 40, points: Vec::new() };
                let at = |i: usize| (network.epochs[i].seconds / 60.0, 100.0 * network.epochs[i].test_acc);
                (series, (0..network.epochs.len()).map(at).collect())
            })
        })
        .collect();
    let legend: Vec<Series> = curves.iter().map(|(series, _)| series.clone()).collect();
    let legend: Vec<Vec<Series>> = legend.chunks(COLUMNS).map(<[Series]>::to_vec).collect();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let x = Axis::fit(points().map(|point| point.0).chain([0.0, run.minutes]), 1e-6, 0.0..=f64::INFINITY);
    let y = Axis::fit(points().map(|point| point.1), 10.0, 0.0..=100.0);
    let height = (2 * MARGIN + HEADER + HEIGHT) / PIXEL;
    let picture = picture::render(WIDTH, height as u32, |area| {
        let minutes = short(run.minutes);
        draw_title(
            area,
            &format!("Chapter 7: test accuracy over {minutes} minutes of training\n{}", run.machine()),
        )?;
        let area = area.clone().shrink((MARGIN, MARGIN + HEADER - 300), (FULL - 2 * MARGIN, HEIGHT + 300));
        let below = area.split_vertically(draw_legend(&area, &legend)?).1;
        let chart = draw_axes(&below, x, y, ["minutes of training", "test accuracy (%)"])?;
        curves.iter().try_for_each(|(series, points)| {
            let last = points.len().saturating_sub(1);
            series.draw_joined(chart.plotting_area(), points, |i| i == last || points.len() <= MARKED_POINTS)
        })
    })?;
    picture::png(&picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chapter::tests::{network, report};

    #[test]
    fn what_every_network_reached_is_in_the_picture() {
        let networks: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"]
            .into_iter()
            .flat_map(|recipe| ["none", "native"].map(|variant| network(recipe, variant)))
            .collect();
        let draw = |networks: &[ChapterNetwork]| draw_chapter(&report(networks)).unwrap();
        let first = draw(&networks);
        for i in 0..networks.len() {
            let mut better = networks.clone();
            better[i].epochs[1].test_acc += 0.05;
            assert!(first != draw(&better), "network {i}, another accuracy");
            let mut later = networks.clone();
            later[i].epochs[1].seconds += 1.0;
            assert!(first != draw(&later), "network {i}, another time");
        }
        let mut without = networks[..1].to_vec();
        without[0].epochs.clear();
        for networks in [&without[..], &networks[..1], &[]] {
            assert!(!draw(networks).is_empty());
        }
    }
}
