//! `channels.png`: images, and the histograms of their three channels before and after scaling.

use plotters::chart::SeriesLabelPosition;
use plotters::element::PathElement;
use plotters::series::LineSeries;
use plotters::style::{Color, RGBColor, TRANSPARENT};

use super::axis::Axis;
use super::gallery::{Thumbnail, put};
use super::panel::{draw_axes, row_of_two};
use super::picture::{self, Area, Drawn, HEADER, MARGIN, PANEL, PIXEL, WIDTH, draw_title, heading, words};
use crate::Result;

/// The picture's name in a run directory.
pub const CHANNELS: &str = "channels.png";

/// Pixels of the sides of a thumbnail.
const THUMBNAIL: i32 = 128;
/// Pixels between two thumbnails.
const GAP: i32 = 16;

/// Red, green and blue as eyes that confuse them still tell apart, and a width each.
const STROKES: [(RGBColor, u32); 3] =
    [(RGBColor(0xd5, 0x3a, 0x00), 34), (RGBColor(0x00, 0x9e, 0x73), 24), (RGBColor(0x00, 0x5f, 0xb2), 16)];

/// Three histograms over one axis.
#[derive(Clone, Debug)]
pub struct HistogramPanel {
    /// Above the panel.
    pub title: &'static str,
    /// What the values are.
    pub label: &'static str,
    /// Red, green, blue.
    pub channels: [Channel; 3],
}

/// A channel's histogram: bins of one width.
#[derive(Clone, Debug)]
pub struct Channel {
    /// In the legend.
    pub name: String,
    /// Where the first bin begins and the last one ends.
    pub range: (f64, f64),
    /// How many values each bin holds.
    pub counts: Vec<i64>,
}

impl Channel {
    /// The outline of the histogram, as value and share of pixels per unit of value: it encloses an area of 1.
    fn outline(&self) -> Vec<(f64, f64)> {
        let (low, high) = self.range;
        let width = (high - low) / self.counts.len() as f64;
        let all = self.counts.iter().sum::<i64>().max(1) as f64;
        let steps = self.counts.iter().enumerate().flat_map(|(i, &count)| {
            let (left, density) = (low + width * i as f64, count as f64 / all / width);
            [(left, density), (left + width, density)]
        });
        [(low, 0.0)].into_iter().chain(steps).chain([(high, 0.0)]).collect()
    }
}

/// Draws images, eight at most, and histograms, before and after, [`WIDTH`] pixels wide, as the bytes of a PNG file. The first line of
/// `title` is the title; a second one is written smaller below it.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_histograms(title: &str, images: &[Thumbnail], panels: &[HistogramPanel; 2]) -> Result<Vec<u8>> {
    let top = MARGIN + HEADER + THUMBNAIL * PIXEL + MARGIN;
    let mut picture = picture::render(WIDTH, ((top + PANEL + MARGIN) / PIXEL) as u32, |area| {
        draw_title(area, title)?;
        panels.iter().zip(row_of_two(area, top)).try_for_each(|(panel, area)| panel.draw(&area))
    })?;
    for (image, i) in images.iter().take(8).zip(0..) {
        // The longer side fills the room.
        let scale = THUMBNAIL as f32 / image.width.max(image.height) as f32;
        let corner = (MARGIN / PIXEL + (THUMBNAIL + GAP) * i, (MARGIN + HEADER) / PIXEL);
        put(&mut picture, image, corner, scale);
    }
    picture::png(&picture)
}

impl HistogramPanel {
    fn draw(&self, area: &Area) -> Drawn {
        area.draw_text(self.title, &heading(), (0, 0))?;
        let outlines = self.channels.each_ref().map(Channel::outline);
        let all = || outlines.iter().flatten();
        // Room above for the legend.
        let tallest = 1.35 * all().map(|point| point.1).fold(0.0, f64::max);
        let x = Axis::fit(all().map(|point| point.0), 0.0, f64::NEG_INFINITY..=f64::INFINITY);
        let y = Axis::fit([0.0, tallest].into_iter(), f64::MIN_POSITIVE, 0.0..=f64::INFINITY);
        let below = area.split_vertically(360).1;
        let mut chart = draw_axes(&below, x, y, [self.label, "share of pixels per unit"])?;
        for ((outline, channel), (color, width)) in outlines.into_iter().zip(&self.channels).zip(STROKES) {
            let style = color.stroke_width(width);
            chart
                .draw_series(LineSeries::new(outline, style))?
                .label(&channel.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 310, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .legend_area_size(390)
            .label_font(words())
            .border_style(TRANSPARENT)
            .draw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(range: (f64, f64), counts: &[i64]) -> Channel {
        Channel { name: "red".to_owned(), range, counts: counts.to_vec() }
    }

    #[test]
    fn an_outline_encloses_an_area_of_one() {
        let outline = channel((-1.0, 0.5), &[1, 0, 3]).outline();
        assert_eq!(outline.first().zip(outline.last()), Some((&(-1.0, 0.0), &(0.5, 0.0))));
        let area: f64 = outline.windows(2).map(|pair| (pair[1].0 - pair[0].0) * pair[0].1).sum();
        assert!((area - 1.0).abs() < 1e-12, "{area}");
        assert_eq!(outline[1], (-1.0, 0.5), "a quarter of the values over a width of one half");
    }

    #[test]
    fn every_channel_and_image_is_in_the_picture() {
        let draw = |counts: [[i64; 2]; 3], pixel: [u8; 3]| {
            let panel = HistogramPanel {
                title: "Before",
                label: "x",
                channels: counts.map(|counts| channel((0.0, 1.0), &counts)),
            };
            let image = Thumbnail { width: 1, height: 1, pixels: vec![pixel] };
            draw_histograms("title", &[image], &[panel.clone(), panel]).unwrap()
        };
        let picture = draw([[1, 2], [3, 4], [5, 6]], [1, 2, 3]);
        assert!(picture == draw([[1, 2], [3, 4], [5, 6]], [1, 2, 3]));
        for other in [
            draw([[2, 2], [3, 4], [5, 6]], [1, 2, 3]),
            draw([[1, 2], [3, 9], [5, 6]], [1, 2, 3]),
            draw([[1, 2], [3, 4], [5, 1]], [1, 2, 3]),
            draw([[1, 2], [3, 4], [5, 6]], [1, 2, 99]),
            draw([[0, 0], [0, 0], [0, 0]], [1, 2, 3]),
        ] {
            assert!(picture != other);
        }
    }
}
