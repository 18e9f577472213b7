//! Pictures, and what they share.

mod axis;
mod canvas;
mod curves;
mod gallery;
mod histograms;
mod panel;
mod ratios;
mod synchronized;

use plotters::style::RGBColor;

use self::canvas::{Align, Shape, Text};
pub use self::curves::{CURVES, Curves, draw_curves};
pub use self::gallery::{Gallery, Thumbnail, draw_gallery};
pub use self::histograms::{CHANNELS, Channel, HistogramPanel, Histograms, draw_histograms};
use self::panel::{Frame, Panel};
pub use self::ratios::{BENCH, draw_ratios};
pub use self::synchronized::{SYNCHRONIZED, draw_synchronized};
use crate::Result;

/// Pixels from left to right.
pub const WIDTH: u32 = 1200;
/// Pixels between the picture's edge and what is in it, and between panels.
const MARGIN: f64 = 30.0;
/// Pixels for the title.
const HEADER: f64 = 74.0;
/// Pixels of a row of panels.
const PANEL: f64 = 366.0;

/// Okabe and Ito's palette, told apart by colour-blind eyes too, with a shape each for prints without colour.
const PALETTE: [(RGBColor, Shape); 4] = [
    (RGBColor(0x00, 0x72, 0xb2), Shape::Circle),
    (RGBColor(0xe6, 0x6a, 0x00), Shape::Square),
    (RGBColor(0x00, 0x9e, 0x73), Shape::Triangle),
    (RGBColor(0xcc, 0x79, 0xa7), Shape::Diamond),
];

/// Panels in rows of two, one row at least, below a title.
fn draw_panels(title: &str, rows: &[[Panel; 2]]) -> Result<Vec<u8>> {
    let height =
        (2.0 * MARGIN + HEADER + PANEL * rows.len() as f64 + MARGIN * (rows.len() - 1) as f64) as u32;
    canvas::png(WIDTH, height, |canvas| {
        draw_title(canvas, title)?;
        for (row, panels) in rows.iter().enumerate() {
            let top = MARGIN + HEADER + (PANEL + MARGIN) * row as f64;
            let width = (f64::from(WIDTH) - 3.0 * MARGIN) / 2.0;
            for (column, panel) in panels.iter().enumerate() {
                let left = MARGIN + (width + MARGIN) * column as f64;
                panel::draw(canvas, panel, Frame { left, top, right: left + width, bottom: top + PANEL })?;
            }
        }
        Ok(())
    })
}

fn draw_title(canvas: &canvas::Canvas, title: &str) -> canvas::Drawn {
    let main = Text {
        size: 25.0,
        bold: true,
        color: RGBColor(0x22, 0x22, 0x22),
        align: Align::Start,
        upward: false,
    };
    let sub = Text { size: 17.0, bold: false, color: RGBColor(0x55, 0x55, 0x55), ..main };
    for ((line, look), baseline) in title.lines().zip([main, sub]).zip([19.0, 44.0]) {
        let look = within(canvas, line, look, f64::from(WIDTH) - 2.0 * MARGIN);
        canvas.text(line, (MARGIN, MARGIN + baseline), look)?;
    }
    Ok(())
}

/// `look`, smaller where `line` would be wider than `room`.
fn within(canvas: &canvas::Canvas, line: &str, look: Text, room: f64) -> Text {
    Text { size: look.size * (room / canvas.text_width(line, look).max(room)), ..look }
}
