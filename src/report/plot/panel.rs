//! One panel: a title, a legend above the data, axes with units, and series over epochs or other whole numbers.

use std::ops::RangeInclusive;

use plotters::style::RGBColor;

use super::axis::{Axis, drawable};
use super::canvas::{Align, Canvas, Drawn, Point, Shape, Stroke, Text};

/// With more points than this, markers would be beads on a string: only lone points and last ones get one.
const MARKED_POINTS: usize = 20;

/// Text.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Lines at ticks.
pub const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// Axes.
pub const FRAME: RGBColor = RGBColor(0x88, 0x88, 0x88);

/// Names of series, labels of ticks.
pub const WORDS: Text = Text { size: 15.0, bold: false, color: INK, align: Align::Start, upward: false };
/// Names of axes.
pub const CAPTION: Text = Text { color: GREY, align: Align::Middle, ..WORDS };
/// A panel's title.
pub const TITLE: Text = Text { size: 19.0, bold: true, ..WORDS };

/// One line of a panel.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub stroke: Stroke,
    pub shape: Shape,
    /// Of the markers, in pixels.
    pub radius: f64,
    /// Whole number and value, the numbers rising; values that are not finite leave a gap.
    pub points: Vec<(usize, f64)>,
}

/// What a panel shows.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    /// What the values are, their unit in brackets.
    pub label: &'static str,
    /// Series by row of the legend.
    pub series: Vec<Vec<Series>>,
    /// What the whole numbers count: `epoch`.
    pub counted: &'static str,
    /// The last of them on the axis, which begins with 1.
    pub last: usize,
    /// The least that the value axis spans.
    pub span: f64,
    /// What values can be.
    pub bounds: RangeInclusive<f64>,
    /// For differences: a line at zero, which the axis always holds.
    pub zero: bool,
}

/// The part of the picture that a panel fills, in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// Draws `panel` into `frame`.
pub fn draw(canvas: &Canvas, panel: &Panel, frame: Frame) -> Drawn {
    canvas.text(&panel.title, (frame.left, frame.top + 15.0), TITLE)?;
    let legend = frame.top + 27.0;
    draw_legend(canvas, &panel.series, frame.left, legend)?;
    let plot = Frame {
        left: frame.left + 80.0,
        top: legend + 21.0 * panel.series.len() as f64 + 10.0,
        right: frame.right,
        bottom: frame.bottom - 46.0,
    };

    let series = || panel.series.iter().flatten();
    let values = series().flat_map(|series| series.points.iter().map(|point| point.1));
    let values = values.chain(panel.zero.then_some(0.0));
    let map = Map {
        numbers: Axis::counted(panel.last),
        values: Axis::fit(values, panel.span, panel.bounds.clone()),
        plot,
        marked: panel.last <= MARKED_POINTS,
    };
    let labels = Labels { x: panel.counted, y: panel.label, left: frame.left };
    draw_axes(canvas, plot, (&map.numbers, &map.values), labels)?;
    if panel.zero {
        let y = map.y(0.0);
        canvas.fill((plot.left, y), (plot.right, y + 1.0), FRAME)?;
    }
    if !series().any(|series| series.points.iter().any(|point| drawable(point.1))) {
        let middle = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0 - 12.0);
        canvas.text("no value to show", middle, CAPTION)?;
    }
    series().try_for_each(|series| map.draw_series(canvas, series))
}

/// The legend: a row per variant, columns under each other.
fn draw_legend(canvas: &Canvas, rows: &[Vec<Series>], left: f64, top: f64) -> Drawn {
    const SAMPLE: f64 = 31.0;
    let widths = rows.iter().flatten().map(|series| canvas.text_width(&series.name, WORDS));
    let column = SAMPLE + 8.0 + widths.fold(0.0, f64::max) + 28.0;
    for (i, row) in rows.iter().enumerate() {
        for (j, series) in row.iter().enumerate() {
            let (x, y) = (left + column * j as f64, top + 21.0 * i as f64 + 10.0);
            canvas.line(&[(x, y), (x + SAMPLE, y)], series.stroke)?;
            draw_marker(canvas, series, (x + SAMPLE / 2.0, y))?;
            canvas.text(&series.name, (x + SAMPLE + 8.0, y + 5.0), WORDS)?;
        }
    }
    Ok(())
}

fn draw_marker(canvas: &Canvas, series: &Series, at: Point) -> Drawn {
    canvas.marker(at, series.shape, series.radius, series.stroke.color, series.stroke.dashed)
}

/// What is written along the axes.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// Below the horizontal axis.
    pub x: &'a str,
    /// Along the vertical axis; a unit in brackets takes the power of ten of its ticks.
    pub y: &'a str,
    /// Where `y` stands, in pixels.
    pub left: f64,
}

/// The axes around `plot`, horizontal and vertical, with their ticks and a grid.
pub fn draw_axes(canvas: &Canvas, plot: Frame, (xs, ys): (&Axis, &Axis), labels: Labels) -> Drawn {
    let Frame { left: x0, top: y0, right: x1, bottom: y1 } = plot;
    for &tick in &ys.ticks {
        let y = ys.pixel(tick, y1, y0).round();
        canvas.fill((x0, y), (x1, y + 1.0), GRID)?;
        let look = Text { align: Align::End, ..WORDS };
        canvas.text(&ys.label(tick), (x0 - 9.0, y + 5.5), look)?;
    }
    for &tick in &xs.ticks {
        let x = xs.pixel(tick, x0, x1).round();
        canvas.fill((x, y1), (x + 1.0, y1 + 6.0), FRAME)?;
        let look = Text { align: Align::Middle, ..WORDS };
        canvas.text(&xs.label(tick), (x, y1 + 21.0), look)?;
    }
    canvas.fill((x0, y0), (x0 + 1.0, y1), FRAME)?;
    canvas.fill((x0, y1), (x1, y1 + 1.0), FRAME)?;
    canvas.text(labels.x, ((x0 + x1) / 2.0, y1 + 42.0), CAPTION)?;
    let look = Text { upward: true, ..CAPTION };
    canvas.text(&ys.title(labels.y), (labels.left + 12.0, (y0 + y1) / 2.0), look)
}

/// From whole numbers and values to pixels.
struct Map {
    numbers: Axis,
    values: Axis,
    plot: Frame,
    /// Whether every point gets its marker.
    marked: bool,
}

impl Map {
    fn x(&self, number: f64) -> f64 {
        self.numbers.pixel(number, self.plot.left, self.plot.right)
    }

    fn y(&self, value: f64) -> f64 {
        self.values.pixel(value, self.plot.bottom, self.plot.top)
    }

    fn draw_series(&self, canvas: &Canvas, series: &Series) -> Drawn {
        let last = series.points.iter().rfind(|point| drawable(point.1)).map(|point| point.0);
        for run in runs(&series.points) {
            let line: Vec<Point> =
                run.iter().map(|&(number, value)| (self.x(number as f64), self.y(value))).collect();
            canvas.line(&line, series.stroke)?;
            for (&(number, _), &at) in run.iter().zip(&line) {
                if self.marked || run.len() == 1 || Some(number) == last {
                    draw_marker(canvas, series, at)?;
                }
            }
        }
        Ok(())
    }
}

/// The points that lines join: those of successive numbers with values that can be drawn.
fn runs(points: &[(usize, f64)]) -> impl Iterator<Item = &[(usize, f64)]> {
    points.chunk_by(|a, b| drawable(a.1) == drawable(b.1) && a.0 + 1 == b.0).filter(|run| drawable(run[0].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_a_value_or_a_number_is_missing() {
        let points = [(1, 0.5), (2, f64::NAN), (3, 0.4), (4, 0.3), (5, f64::INFINITY), (7, 0.2), (9, 0.1)];
        let runs: Vec<_> = runs(&points).collect();
        assert_eq!(runs, [&points[0..1], &points[2..4], &points[5..6], &points[6..7]]);
    }
}
