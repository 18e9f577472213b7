//! A picture: plotters draws it as an SVG, which resvg renders with smooth edges and the letters of a bundled font.
//!
//! plotters counts in whole numbers. So everything is drawn ten times larger than it appears: all lengths in this folder are
//! tenths of a pixel, unless they say otherwise.

use std::fmt::Display;

use dejavu::sans;
use plotters::backend::SVGBackend;
use plotters::coord::{CoordTranslate, Shift};
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{DashedPathElement, PathElement};
use plotters::style::{FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle, register_font};
use resvg::tiny_skia::{self, Pixmap, Transform};
use resvg::usvg;

use crate::{Error, Result};

/// A pixel of the picture.
pub const PIXEL: i32 = 10;

/// Pixels from left to right.
pub const WIDTH: u32 = 1200;
/// The same in tenths of a pixel.
pub const FULL: i32 = WIDTH as i32 * PIXEL;
/// Between the picture's edge and what is in it, and between panels.
pub const MARGIN: i32 = 300;
/// For the title.
pub const HEADER: i32 = 740;
/// The height of a row of panels.
pub const PANEL: i32 = 3660;

/// Text.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Lines at ticks.
pub const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// Axes.
pub const FRAME: RGBColor = RGBColor(0x88, 0x88, 0x88);
const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);

/// A part of the picture, to draw on.
pub type Area<'a, C = Shift> = DrawingArea<SVGBackend<'a>, C>;

/// The result of drawing; the error is plotters'.
pub type Drawn<T = ()> = std::result::Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    pub width: u32,
    pub color: RGBColor,
    pub dashed: bool,
}

/// A picture of `width` times `height` pixels, on white.
pub fn render(width: u32, height: u32, draw: impl FnOnce(&Area) -> Drawn) -> Result<Pixmap> {
    for (style, font) in [(FontStyle::Normal, sans::regular()), (FontStyle::Bold, sans::bold())] {
        register_font("sans-serif", style, font).map_err(|_| cannot_draw("no font"))?;
    }
    let mut svg = String::new();
    let size = (width * PIXEL as u32, height * PIXEL as u32);
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    draw(&area).and_then(|()| area.present()).map_err(cannot_draw)?;
    drop(area);

    let mut options = usvg::Options::default();
    for font in [sans::regular(), sans::bold()] {
        options.fontdb_mut().load_font_data(font.to_vec());
    }
    options.fontdb_mut().set_sans_serif_family("DejaVu Sans");
    let svg = svg.replacen("<svg ", "<svg stroke-linejoin=\"round\" ", 1);
    let tree = usvg::Tree::from_str(&svg, &options).map_err(cannot_draw)?;
    let mut picture = Pixmap::new(width, height).ok_or_else(|| cannot_draw("it has no size"))?;
    picture.fill(tiny_skia::Color::WHITE);
    // Half a pixel on, a line of one pixel between two whole ones fills one.
    let scale = 1.0 / PIXEL as f32;
    resvg::render(&tree, Transform::from_row(scale, 0.0, 0.0, scale, 0.5, 0.5), &mut picture.as_mut());
    Ok(picture)
}

/// The bytes of a PNG file.
pub fn png(picture: &Pixmap) -> Result<Vec<u8>> {
    picture.encode_png().map_err(cannot_draw)
}

/// Names of series, labels of ticks.
pub fn words() -> TextStyle<'static> {
    text(160.0, FontStyle::Normal, INK)
}

/// Names of axes.
pub fn caption() -> TextStyle<'static> {
    words().color(&GREY)
}

/// A panel's title.
pub fn heading() -> TextStyle<'static> {
    text(200.0, FontStyle::Bold, INK)
}

/// Letters are as high as 4/5 of `size`, what reaches below the line included.
pub fn text(size: f64, style: FontStyle, color: RGBColor) -> TextStyle<'static> {
    FontDesc::new(FontFamily::SansSerif, size, style).color(&color)
}

/// The first line of `title`, and a second one smaller below it.
pub fn draw_title(area: &Area, title: &str) -> Drawn {
    let looks = [(266.0, FontStyle::Bold, INK), (181.0, FontStyle::Normal, RGBColor(0x55, 0x55, 0x55))];
    for ((line, (size, style, color)), y) in title.lines().zip(looks).zip([0, 320]) {
        let room = area.dim_in_pixel().0 as i32 - 2 * MARGIN;
        let look = fitted(area, line, &text(size, style, color), room)?;
        area.draw_text(line, &look, (MARGIN, MARGIN + y))?;
    }
    Ok(())
}

/// How wide `text` is.
pub fn width(area: &Area, text: &str, style: &TextStyle) -> Drawn<i32> {
    Ok(area.estimate_text_size(text, style)?.0 as i32)
}

/// `style`, smaller where `text` would be wider than `room`.
pub fn fitted<'a>(area: &Area, text: &str, style: &TextStyle<'a>, room: i32) -> Drawn<TextStyle<'a>> {
    let size = style.font.get_size() * f64::from(room) / f64::from(width(area, text, style)?.max(room));
    Ok(TextStyle { font: style.font.resize(size), ..style.clone() })
}

/// Joins `points`.
pub fn draw_line<C: CoordTranslate>(area: &Area<C>, points: Vec<C::From>, stroke: Stroke) -> Drawn
where
    C::From: Clone + 'static,
{
    let style = ShapeStyle::from(stroke.color).stroke_width(stroke.width);
    if !stroke.dashed {
        return area.draw(&PathElement::new(points, style));
    }
    let (dash, gap) = (20 + stroke.width * 5 / 2, 20 + stroke.width * 3 / 2);
    area.draw(&DashedPathElement::new(points, dash, gap, style))
}

fn cannot_draw(e: impl Display) -> Error {
    Error::failed(
        format!("the picture cannot be drawn: {e}"),
        "the other files in the same directory hold the numbers; draw them elsewhere",
    )
}
