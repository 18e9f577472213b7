//! `channels.png`: images, and the histograms of their three channels before and after scaling.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::canvas::{self, Align, Canvas, Drawn, Point, Stroke, Text};
use super::gallery::Thumbnail;
use super::panel::{Frame, Labels, TITLE, WORDS, draw_axes};
use super::{HEADER, MARGIN, PANEL, WIDTH, draw_title};
use crate::Result;

/// The picture's name in a run directory.
pub const CHANNELS: &str = "channels.png";

/// Pixels of the sides of a thumbnail.
const THUMBNAIL: f64 = 128.0;
/// Pixels between two thumbnails.
const GAP: f64 = 16.0;

/// Red, green and blue as eyes that confuse them still tell apart, and a width each.
const STROKES: [(RGBColor, f64); 3] =
    [(RGBColor(0xd5, 0x3a, 0x00), 3.4), (RGBColor(0x00, 0x9e, 0x73), 2.4), (RGBColor(0x00, 0x5f, 0xb2), 1.6)];

/// What [`draw_histograms`] draws.
#[derive(Clone, Debug)]
pub struct Histograms {
    /// The first line is the title; a second one is written smaller below it.
    pub title: String,
    /// The images, as many as there is room for: eight.
    pub thumbnails: Vec<Thumbnail>,
    /// Before and after, left and right.
    pub panels: [HistogramPanel; 2],
}

/// Three histograms over one axis.
#[derive(Clone, Debug)]
pub struct HistogramPanel {
    /// Above the panel.
    pub title: String,
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
    fn outline(&self) -> Vec<Point> {
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

/// Draws images and histograms, [`WIDTH`] pixels wide, as the bytes of a PNG file.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_histograms(histograms: &Histograms) -> Result<Vec<u8>> {
    let top = MARGIN + HEADER + THUMBNAIL + MARGIN;
    let width = (f64::from(WIDTH) - 3.0 * MARGIN) / 2.0;
    canvas::png(WIDTH, (top + PANEL + MARGIN) as u32, |canvas| {
        draw_title(canvas, &histograms.title)?;
        for (i, thumbnail) in histograms.thumbnails.iter().take(8).enumerate() {
            // The longer side fills the room.
            let pixel = THUMBNAIL / thumbnail.width.max(thumbnail.height) as f64;
            thumbnail.draw(canvas, (MARGIN + (THUMBNAIL + GAP) * i as f64, MARGIN + HEADER), pixel)?;
        }
        for (i, panel) in histograms.panels.iter().enumerate() {
            let left = MARGIN + (width + MARGIN) * i as f64;
            draw_panel(canvas, panel, Frame { left, top, right: left + width, bottom: top + PANEL })?;
        }
        Ok(())
    })
}

fn draw_panel(canvas: &Canvas, panel: &HistogramPanel, frame: Frame) -> Drawn {
    canvas.text(&panel.title, (frame.left, frame.top + 15.0), TITLE)?;
    let outlines = panel.channels.each_ref().map(Channel::outline);
    let plot = Frame {
        left: frame.left + 80.0,
        top: frame.top + 36.0,
        right: frame.right,
        bottom: frame.bottom - 46.0,
    };
    let all = || outlines.iter().flatten();
    // Room above for the legend.
    let tallest = 1.35 * all().map(|point| point.1).fold(0.0, f64::max);
    let xs = Axis::fit(all().map(|point| point.0), 0.0, f64::NEG_INFINITY..=f64::INFINITY);
    let ys = Axis::fit([0.0, tallest].into_iter(), f64::MIN_POSITIVE, 0.0..=f64::INFINITY);
    let labels = Labels { x: panel.label, y: "share of pixels per unit", left: frame.left };
    draw_axes(canvas, plot, (&xs, &ys), labels)?;
    for (outline, (color, width)) in outlines.iter().zip(STROKES) {
        let pixel =
            |&(x, y): &Point| (xs.pixel(x, plot.left, plot.right), ys.pixel(y, plot.bottom, plot.top));
        let points: Vec<Point> = outline.iter().map(pixel).collect();
        canvas.line(&points, Stroke { width, color, dashed: false })?;
    }
    draw_legend(canvas, &panel.channels, plot)
}

/// The channels' names in the upper right corner of the plot.
fn draw_legend(canvas: &Canvas, channels: &[Channel; 3], plot: Frame) -> Drawn {
    let widest = channels.iter().map(|channel| canvas.text_width(&channel.name, WORDS)).fold(0.0, f64::max);
    let text = plot.right - 8.0 - widest;
    for (i, (channel, (color, width))) in channels.iter().zip(STROKES).enumerate() {
        let y = plot.top + 16.0 + 21.0 * i as f64;
        canvas.line(&[(text - 40.0, y), (text - 8.0, y)], Stroke { width, color, dashed: false })?;
        canvas.text(&channel.name, (text, y + 5.0), Text { align: Align::Start, ..WORDS })?;
    }
    Ok(())
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
                title: "Before".to_owned(),
                label: "x",
                channels: counts.map(|counts| channel((0.0, 1.0), &counts)),
            };
            let thumbnails = vec![Thumbnail { width: 1, height: 1, pixels: vec![pixel] }];
            let panels = [panel.clone(), panel];
            draw_histograms(&Histograms { title: "title".to_owned(), thumbnails, panels }).unwrap()
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
