//! Pictures, and what they share.

mod axis;
mod curves;
mod gallery;
mod histograms;
mod panel;
mod picture;
mod ratios;
mod synchronized;

use plotters::style::{FontStyle, RGBColor};

pub use self::curves::{CURVES, Curves, draw_curves};
pub use self::gallery::{Gallery, Thumbnail, draw_gallery};
pub use self::histograms::{CHANNELS, Channel, HistogramPanel, Histograms, draw_histograms};
use self::panel::{Panel, Shape};
use self::picture::{Area, Drawn, INK, PIXEL, fitted, text};
pub use self::ratios::{BENCH, draw_ratios};
pub use self::synchronized::{SYNCHRONIZED, draw_synchronized};
use crate::Result;

/// Pixels from left to right.
pub const WIDTH: u32 = 1200;
/// The same in tenths of a pixel.
const FULL: i32 = WIDTH as i32 * PIXEL;
/// Between the picture's edge and what is in it, and between panels.
const MARGIN: i32 = 300;
/// For the title.
const HEADER: i32 = 740;
/// The height of a row of panels.
const PANEL: i32 = 3660;

/// Okabe and Ito's palette, told apart by colour-blind eyes too, with a shape each for prints without colour.
const PALETTE: [(RGBColor, Shape); 4] = [
    (RGBColor(0x00, 0x72, 0xb2), Shape::Circle),
    (RGBColor(0xe6, 0x6a, 0x00), Shape::Square),
    (RGBColor(0x00, 0x9e, 0x73), Shape::Triangle),
    (RGBColor(0xcc, 0x79, 0xa7), Shape::Diamond),
];

/// Panels in rows of two, one row at least, below a title, as the bytes of a PNG file.
fn draw_panels(title: &str, rows: &[[Panel; 2]]) -> Result<Vec<u8>> {
    let height = 2 * MARGIN + HEADER + (PANEL + MARGIN) * rows.len() as i32 - MARGIN;
    let picture = picture::render(WIDTH, (height / PIXEL) as u32, |area| {
        draw_title(area, title)?;
        for (row, panels) in (0..).zip(rows) {
            let cells = row_of_two(area, MARGIN + HEADER + (PANEL + MARGIN) * row);
            panels.iter().zip(cells).try_for_each(|(panel, cell)| panel.draw(&cell))?;
        }
        Ok(())
    })?;
    picture::png(&picture)
}

/// Two areas side by side, for panels.
fn row_of_two<'a>(area: &Area<'a>, top: i32) -> [Area<'a>; 2] {
    let width = (FULL - 3 * MARGIN) / 2;
    [MARGIN, 2 * MARGIN + width].map(|left| area.clone().shrink((left, top), (width, PANEL)))
}

/// The first line of `title`, and a second one smaller below it.
fn draw_title(area: &Area, title: &str) -> Drawn {
    let looks = [(266.0, FontStyle::Bold, INK), (181.0, FontStyle::Normal, RGBColor(0x55, 0x55, 0x55))];
    for ((line, (size, style, color)), y) in title.lines().zip(looks).zip([0, 320]) {
        let look = fitted(area, line, &text(size, style, color), FULL - 2 * MARGIN)?;
        area.draw_text(line, &look, (MARGIN, MARGIN + y))?;
    }
    Ok(())
}
