//! One panel: a title, a legend above the data, axes with units, and series over epochs or other whole numbers.

use std::ops::RangeInclusive;

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::CoordTranslate;
use plotters::coord::cartesian::Cartesian2d;
use plotters::element::{EmptyElement, Polygon};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, TRANSPARENT, WHITE};

use super::axis::{Axis, drawable};
use super::picture::{
    self, Area, Drawn, FRAME, FULL, GRID, HEADER, MARGIN, PANEL, PIXEL, Stroke, WIDTH, caption, draw_line,
    draw_title, heading, width, words,
};
use crate::Result;

/// With more points than this, markers would be beads on a string: only lone points and last ones get one.
pub const MARKED_POINTS: usize = 20;

/// Okabe and Ito's palette, which colour-blind eyes can distinguish too, with a shape each for prints without colour.
pub const PALETTE: [(RGBColor, Shape); 4] = [
    (RGBColor(0x00, 0x72, 0xb2), Shape::Circle),
    (RGBColor(0xe6, 0x6a, 0x00), Shape::Square),
    (RGBColor(0x00, 0x9e, 0x73), Shape::Triangle),
    (RGBColor(0xcc, 0x79, 0xa7), Shape::Diamond),
];

/// Panels in rows of two, one row at least, below a title, as the bytes of a PNG file.
pub fn draw_panels(title: &str, rows: &[[Panel; 2]]) -> Result<Vec<u8>> {
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
pub fn row_of_two<'a>(area: &Area<'a>, top: i32) -> [Area<'a>; 2] {
    let width = (FULL - 3 * MARGIN) / 2;
    [MARGIN, 2 * MARGIN + width].map(|left| area.clone().shrink((left, top), (width, PANEL)))
}

/// A line of a panel.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub stroke: Stroke,
    pub shape: Shape,
    /// Of the markers.
    pub radius: i32,
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

impl Panel {
    /// Draws the panel into `area`.
    pub fn draw(&self, area: &Area) -> Drawn {
        area.draw_text(&self.title, &heading(), (0, 0))?;
        let below = area.split_vertically(draw_legend(area, &self.series)?).1;
        let series = || self.series.iter().flatten();
        let values = series().flat_map(|series| series.points.iter().map(|point| point.1));
        let values = values.chain(self.zero.then_some(0.0));
        let values = Axis::fit(values, self.span, self.bounds.clone());
        let chart = draw_axes(&below, Axis::counted(self.last, 12), values, [self.counted, self.label])?;
        let plot = chart.plotting_area();
        if self.zero {
            let (x, zero) = (plot.get_x_range(), Stroke { width: 10, color: FRAME, dashed: false });
            draw_line(plot, vec![(x.start, 0.0), (x.end, 0.0)], zero)?;
        }
        if !series().any(|series| series.points.iter().any(|point| drawable(point.1))) {
            let ((width, height), middle) = (plot.dim_in_pixel(), Pos::new(HPos::Center, VPos::Center));
            let at = (width as i32 / 2, height as i32 / 2 - 120);
            plot.strip_coord_spec().draw_text("no value to show", &caption().pos(middle), at)?;
        }
        series().try_for_each(|series| series.draw(plot, self.last <= MARKED_POINTS))
    }
}

/// The outline of a marker.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

impl Series {
    /// The points that lines join.
    pub fn runs(&self) -> impl Iterator<Item = &[(usize, f64)]> {
        runs(&self.points)
    }

    /// A marker around `at`; that of a dashed line is white inside.
    pub fn draw_marker<C: CoordTranslate>(&self, area: &Area<C>, at: C::From) -> Drawn
    where
        C::From: Clone + 'static,
    {
        let marker = |radius, color: RGBColor| {
            EmptyElement::at(at.clone()) + Polygon::new(self.shape.corners(radius), color.filled())
        };
        area.draw(&marker(self.radius, self.stroke.color))?;
        if self.stroke.dashed { area.draw(&marker(self.radius - 16, WHITE)) } else { Ok(()) }
    }

    /// The line, broken where there is no value, and a marker at each point if all are `marked`.
    pub fn draw(&self, plot: &Area<Cartesian2d<Axis, Axis>>, marked: bool) -> Drawn {
        let last = self.points.iter().rfind(|point| drawable(point.1)).map(|point| point.0);
        for run in runs(&self.points) {
            let points: Vec<_> = run.iter().map(|&(number, value)| (number as f64, value)).collect();
            self.draw_joined(plot, &points, |i| marked || run.len() == 1 || Some(run[i].0) == last)?;
        }
        Ok(())
    }

    /// A line through these `points`, and a marker at those whose number is `marked`.
    pub fn draw_joined(
        &self,
        plot: &Area<Cartesian2d<Axis, Axis>>,
        points: &[(f64, f64)],
        marked: impl Fn(usize) -> bool,
    ) -> Drawn {
        draw_line(plot, points.to_vec(), self.stroke)?;
        let mut marked = points.iter().enumerate().filter(|(i, _)| marked(*i));
        marked.try_for_each(|(_, &point)| self.draw_marker(plot, point))
    }
}

impl Shape {
    /// Around (0, 0). All shapes have about the area of the circle.
    fn corners(self, radius: i32) -> Vec<(i32, i32)> {
        let (corners, first, size) = match self {
            Self::Circle => (36, 0, 1.0),
            Self::Square => (4, 45, 1.27),
            Self::Triangle => (3, -90, 1.35),
            Self::Diamond => (4, 0, 1.3),
        };
        let corner = |i: i32| {
            let (sin, cos) = f64::from(first + 360 / corners * i).to_radians().sin_cos();
            let radius = size * f64::from(radius);
            ((radius * cos).round() as i32, (radius * sin).round() as i32)
        };
        (0..corners).map(corner).collect()
    }
}

/// The points that lines join: those of successive numbers with values that can be drawn.
fn runs(points: &[(usize, f64)]) -> impl Iterator<Item = &[(usize, f64)]> {
    points.chunk_by(|a, b| drawable(a.1) == drawable(b.1) && a.0 + 1 == b.0).filter(|run| drawable(run[0].1))
}

/// The line of a legend's entry.
const SAMPLE: i32 = 310;

/// The width of the legend's columns for these `series`.
pub fn legend_column<'a>(area: &Area, series: impl Iterator<Item = &'a Series>) -> Drawn<i32> {
    let widths: Drawn<Vec<i32>> = series.map(|series| width(area, &series.name, &words())).collect();
    Ok(SAMPLE + 80 + widths?.into_iter().max().unwrap_or(0) + 200)
}

/// The legend below a panel's title, columns under each other; gives where it ends. plotters would put it over the curves.
pub fn draw_legend(area: &Area, rows: &[Vec<Series>]) -> Drawn<i32> {
    let column = legend_column(area, rows.iter().flatten())?;
    for (i, row) in (0..).zip(rows) {
        for (j, series) in (0..).zip(row) {
            let (x, y) = (column * j, 370 + 210 * i);
            draw_line(area, vec![(x, y), (x + SAMPLE, y)], series.stroke)?;
            series.draw_marker(area, (x + SAMPLE / 2, y))?;
            let look = words().pos(Pos::new(HPos::Left, VPos::Center));
            area.draw_text(&series.name, &look, (x + SAMPLE + 80, y + PIXEL))?;
        }
    }
    Ok(370 + 210 * rows.len() as i32)
}

/// A chart with axes of `names`, ticks and a grid. A unit in brackets in the vertical axis' name takes the power of ten of the ticks.
pub fn draw_axes<'a>(
    area: &Area<'a>,
    x: Axis,
    y: Axis,
    names: [&str; 2],
) -> Drawn<ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>> {
    let y_name = y.title(names[1]);
    let mut chart =
        ChartBuilder::on(area).x_label_area_size(460).y_label_area_size(800).build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(PIXEL as u32))
        .light_line_style(TRANSPARENT)
        .axis_style(FRAME.stroke_width(PIXEL as u32))
        .set_tick_mark_size(LabelAreaPosition::Bottom, 6 * PIXEL)
        .set_tick_mark_size(LabelAreaPosition::Left, 4 * PIXEL)
        .label_style(words())
        .y_label_offset(PIXEL)
        .axis_desc_style(caption())
        .x_desc(names[0])
        .y_desc(y_name)
        .draw()?;
    Ok(chart)
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
