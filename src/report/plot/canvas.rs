//! A sheet to draw on: smooth lines, text in a bundled font, and PNG bytes at the end.
//!
//! The bitmaps of plotters have hard edges on lines wider than a pixel. So this draws [`SCALE`] times larger and takes
//! means. Outside this file all coordinates are pixels of the finished picture. Letters are set here with `ab_glyph`
//! itself: plotters (0.3.7) leaves out the space to the left of each, so that words look gapped.

use std::fmt::Display;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::style::{Color, RGBColor, WHITE};

use crate::{Error, Result};

/// Pixels drawn for one pixel of the picture, along each side.
const SCALE: i32 = 3;

/// From the left and from the top, in pixels of the picture.
pub type Point = (f64, f64);

/// The result of drawing; the error is plotters'.
pub type Drawn =
    std::result::Result<(), DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>>;

/// Which part of a text stands at its point.
#[derive(Clone, Copy, Debug)]
pub enum Align {
    Start,
    Middle,
    End,
}

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The height of a line, in pixels.
    pub size: f64,
    pub bold: bool,
    pub color: RGBColor,
    pub align: Align,
    /// Whether it reads upwards.
    pub upward: bool,
}

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    /// In pixels.
    pub width: f64,
    pub color: RGBColor,
    pub dashed: bool,
}

/// The outline of a marker.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// The sheet.
pub struct Canvas<'a> {
    area: DrawingArea<BitMapBackend<'a>, Shift>,
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

/// A picture of `width` x `height` pixels on white, as the bytes of a PNG file.
pub fn png(width: u32, height: u32, draw: impl FnOnce(&Canvas) -> Drawn) -> Result<Vec<u8>> {
    let regular = FontRef::try_from_slice(dejavu::sans::regular()).map_err(cannot_draw)?;
    let bold = FontRef::try_from_slice(dejavu::sans::bold()).map_err(cannot_draw)?;
    let large = (width * SCALE as u32, height * SCALE as u32);
    let mut pixels = vec![255; (large.0 * large.1 * 3) as usize];
    let area = BitMapBackend::with_buffer(&mut pixels, large).into_drawing_area();
    let canvas = Canvas { area, regular, bold };
    draw(&canvas).and_then(|()| canvas.area.present()).map_err(cannot_draw)?;
    drop(canvas);
    encode(width, height, &shrink(&pixels, width as usize, height as usize)).map_err(cannot_draw)
}

impl Canvas<'_> {
    /// Writes `text` with its baseline through `at`.
    pub fn text(&self, text: &str, at: Point, look: Text) -> Drawn {
        let (x, y) = large(at);
        let before = match look.align {
            Align::Start => 0.0,
            Align::Middle => 0.5,
            Align::End => 1.0,
        };
        let scale = font_scale(look);
        let mut caret = (-before * self.text_width(text, look)) as f32 * SCALE as f32;
        let font = self.font(look);
        for (kern, letter) in self.letters(text, look) {
            caret += kern;
            let glyph = letter.with_scale_and_position(scale, point(caret, 0.0));
            caret += font.as_scaled(scale).h_advance(letter);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            let mut drawn = Ok(());
            outline.draw(|right, down, cover| {
                let (right, down) = (corner.x as i32 + right as i32, corner.y as i32 + down as i32);
                let at = if look.upward { (x + down, y - right) } else { (x + right, y + down) };
                if drawn.is_ok() && cover > 0.0 {
                    drawn = self.area.draw_pixel(at, &look.color.mix(f64::from(cover)));
                }
            });
            drawn?;
        }
        Ok(())
    }

    /// How wide [`Canvas::text`] writes `text`, in pixels.
    pub fn text_width(&self, text: &str, look: Text) -> f64 {
        let font = self.font(look).as_scaled(font_scale(look));
        let width: f32 = self.letters(text, look).map(|(kern, letter)| kern + font.h_advance(letter)).sum();
        f64::from(width) / f64::from(SCALE)
    }

    /// The letters of `text`, and by how much each moves towards the one before it.
    fn letters(&self, text: &str, look: Text) -> impl Iterator<Item = (f32, GlyphId)> {
        let font = self.font(look).as_scaled(font_scale(look));
        text.chars().scan(None, move |last, letter| {
            let letter = font.glyph_id(letter);
            let kern = last.replace(letter).map_or(0.0, |last| font.kern(last, letter));
            Some((kern, letter))
        })
    }

    fn font(&self, look: Text) -> &FontRef<'static> {
        if look.bold { &self.bold } else { &self.regular }
    }

    /// Joins `points`; round at the joints.
    pub fn line(&self, points: &[Point], stroke: Stroke) -> Drawn {
        let width = scaled(stroke.width).max(1) as u32;
        let style = stroke.color.stroke_width(width);
        let points: Vec<_> = points.iter().copied().map(large).collect();
        if stroke.dashed {
            let (dash, gap) = (scaled(2.0 + 2.5 * stroke.width), scaled(2.0 + 1.5 * stroke.width));
            return self.area.draw(&DashedPathElement::new(points, dash, gap, style));
        }
        // Segment by segment: the outline of a whole zigzag would cross itself.
        for pair in points.windows(2) {
            self.area.draw(&PathElement::new(pair, style))?;
            self.area.draw(&Circle::new(pair[1], width / 2, stroke.color.filled()))?;
        }
        Ok(())
    }

    /// A marker that reaches about `radius` pixels from `at`; a `hollow` one is white inside.
    pub fn marker(&self, at: Point, shape: Shape, radius: f64, color: RGBColor, hollow: bool) -> Drawn {
        self.shape(at, shape, radius, color)?;
        if hollow { self.shape(at, shape, radius - 1.6, WHITE) } else { Ok(()) }
    }

    fn shape(&self, at: Point, shape: Shape, radius: f64, color: RGBColor) -> Drawn {
        // Corners of about the area of the circle.
        let corners: &[Point] = match shape {
            Shape::Circle => return self.area.draw(&Circle::new(large(at), scaled(radius), color.filled())),
            Shape::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Shape::Triangle => &[(0.0, -1.3), (1.2, 0.8), (-1.2, 0.8)],
            Shape::Diamond => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        };
        let corners = corners.iter().map(|(x, y)| large((at.0 + x * radius, at.1 + y * radius)));
        self.area.draw(&Polygon::new(corners.collect::<Vec<_>>(), color))
    }

    /// Fills the rectangle between two corners.
    pub fn fill(&self, top_left: Point, bottom_right: Point, color: RGBColor) -> Drawn {
        // The bitmap's rectangles leave the last row and column out, as here.
        self.area.draw(&Rectangle::new([large(top_left), large(bottom_right)], color.filled()))
    }
}

fn font_scale(look: Text) -> PxScale {
    PxScale::from(look.size as f32 * SCALE as f32)
}

fn scaled(pixels: f64) -> i32 {
    (pixels * f64::from(SCALE)).round() as i32
}

fn large((x, y): Point) -> (i32, i32) {
    (scaled(x), scaled(y))
}

/// The mean of every [`SCALE`] x [`SCALE`] pixels; three bytes a pixel, row by row.
fn shrink(large: &[u8], width: usize, height: usize) -> Vec<u8> {
    let scale = SCALE as usize;
    let stride = width * scale * 3;
    let mut small = Vec::with_capacity(width * height * 3);
    for rows in large.chunks_exact(stride * scale) {
        for left in (0..stride).step_by(scale * 3) {
            for channel in 0..3 {
                let block =
                    (0..scale).flat_map(|y| (0..scale).map(move |x| y * stride + left + 3 * x + channel));
                let sum: usize = block.map(|i| usize::from(rows[i])).sum();
                small.push((sum / (scale * scale)) as u8);
            }
        }
    }
    small
}

/// With fast compression: this happens after every epoch, and half the bytes are not worth twice the wait.
fn encode(width: u32, height: u32, pixels: &[u8]) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

fn cannot_draw(e: impl Display) -> Error {
    Error::failed(
        format!("the picture cannot be drawn: {e}"),
        "the files beside it hold the numbers; draw them elsewhere",
    )
}
