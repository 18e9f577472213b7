//! The picture of a claim: a panel for each quantity, a curve for each subject over numbers, and points over names, such as layers.

use std::collections::BTreeSet;

use plotters::element::Polygon;
use plotters::style::Color;

use super::axis::{Axis, drawable};
use super::panel::{MARKED_POINTS, PALETTE, Series, draw_axes, draw_legend, legend_column, row_of_two};
use super::picture::{
    self, Area, Drawn, FULL, HEADER, MARGIN, PANEL, PIXEL, Stroke, WIDTH, caption, draw_line, draw_title,
    fitted, heading, width, words,
};
use crate::report::{Grouped, OverSeeds, Quantity, Subject};
use crate::{Figure, Result};

/// What the labels of the vertical axis take of a panel's width.
const LEFT: i32 = 800;

/// Draws `figures` as the bytes of a PNG file, [`WIDTH`] pixels wide, with a panel for each of the `quantities`. Over numbers each
/// subject has a curve, its mean over the seeds, in a band from the least to the greatest value; over names it has points with
/// whiskers. The places of an axis are equally far apart. Values that no axis holds are left out and counted: NaN, infinite ones, and
/// on a logarithmic axis those that are not positive.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_figures(title: &str, quantities: &[Quantity], figures: &[Figure]) -> Result<Vec<u8>> {
    let rows = quantities.chunks(2);
    let height = MARGIN + HEADER + (PANEL + MARGIN) * rows.len() as i32;
    let picture = picture::render(WIDTH, (height / PIXEL) as u32, |area| {
        draw_title(area, &format!("{title}\n{}", seeds(figures)))?;
        for (row, quantities) in (0..).zip(rows) {
            let top = MARGIN + HEADER + (PANEL + MARGIN) * row;
            let areas = match quantities {
                [_] => vec![area.clone().shrink((MARGIN, top), (FULL - 2 * MARGIN, PANEL))],
                _ => row_of_two(area, top).into(),
            };
            for (quantity, area) in quantities.iter().zip(areas) {
                draw_panel(&area, quantity, &Grouped::new(quantity, figures))?;
            }
        }
        Ok(())
    })?;
    picture::png(&picture)
}

/// What curves and bands are.
fn seeds(figures: &[Figure]) -> String {
    match figures.iter().map(|figure| figure.seed).collect::<BTreeSet<_>>().len() {
        seeds @ 0..=1 => format!("{seeds} seed"),
        seeds => format!("mean (curve or point) and range (band or whisker) of {seeds} seeds"),
    }
}

fn draw_panel(area: &Area, quantity: &Quantity, grouped: &Grouped) -> Drawn {
    let room = area.dim_in_pixel().0 as i32;
    area.draw_text(quantity.name, &fitted(area, quantity.name, &heading(), room)?, (0, 0))?;
    let shown = |value: &f64| drawable(*value) && (!quantity.log || *value > 0.0);
    let curves: Vec<(Series, Vec<Option<OverSeeds>>)> =
        (0..).zip(&grouped.subjects).map(|(i, subject)| curve(i, grouped, subject, shown)).collect();

    let series = || curves.iter().map(|curve| &curve.0);
    let columns = (room / legend_column(area, series())?).max(1) as usize;
    let legend: Vec<_> = series().cloned().collect();
    let legend: Vec<_> = legend.chunks(columns).map(<[Series]>::to_vec).collect();
    let mut top = draw_legend(area, &legend)?;
    let values = || grouped.subjects.iter().flat_map(|subject| subject.values.iter().flatten());
    let missing = values().filter(|value| !shown(value)).count();
    if missing > 0 {
        let why = if quantity.log { "zero or not finite" } else { "not finite" };
        let remark = format!("not drawn: {missing} of {} values, which are {why}", values().count());
        area.draw_text(&remark, &fitted(area, &remark, &caption(), room)?, (0, top - 70))?;
        top += 200;
    }

    let everything = values().copied().filter(shown);
    let axis = match quantity.log {
        true => Axis::decades(everything),
        false if values().any(|&value| value < 0.0) => Axis::fit(everything, 0.0, f64::MIN..=f64::MAX),
        false => Axis::fit(everything, 0.0, 0.0..=f64::MAX),
    };
    let below = area.split_vertically(top).1;
    let places = places(area, grouped, room - LEFT)?;
    let scale = if quantity.log { "logarithmic" } else { "" };
    let chart = draw_axes(&below, places, axis, [quantity.over, scale])?;
    let plot = chart.plotting_area();
    for (i, (series, over)) in curves.iter().enumerate() {
        if grouped.numeric {
            for run in series.runs() {
                let edge = |value: fn(&OverSeeds) -> f64| {
                    run.iter().filter_map(move |&(at, _)| Some((at as f64, value(over[at - 1].as_ref()?))))
                };
                let upper: Vec<_> = edge(|over| over.greatest).collect();
                let outline =
                    upper.into_iter().chain(edge(|over| over.least).collect::<Vec<_>>().into_iter().rev());
                plot.draw(&Polygon::new(
                    outline.collect::<Vec<_>>(),
                    series.stroke.color.mix(0.15).filled(),
                ))?;
            }
            series.draw(plot, grouped.places.len() <= MARKED_POINTS)?;
            continue;
        }
        // Side by side, around the place.
        let aside = 0.14 * (i as f64 - (curves.len() - 1) as f64 / 2.0);
        for (at, over) in (1..).zip(over).filter_map(|(at, over)| Some((f64::from(at) + aside, (*over)?))) {
            draw_line(plot, vec![(at, over.least), (at, over.greatest)], series.stroke)?;
            series.draw_marker(plot, (at, over.mean))?;
        }
    }
    Ok(())
}

/// The subject with this number, and its values over the seeds at each place.
fn curve(
    i: usize,
    grouped: &Grouped,
    subject: &Subject,
    shown: impl Fn(&f64) -> bool,
) -> (Series, Vec<Option<OverSeeds>>) {
    let (color, shape) = PALETTE[i % PALETTE.len()];
    // Earlier ones are broader, so that they show where later ones coincide.
    let more = if grouped.numeric { grouped.subjects.len().saturating_sub(i + 1).min(3) as i32 } else { 0 };
    let stroke = Stroke { width: 20 + 10 * more as u32, color, dashed: i >= PALETTE.len() };
    let over: Vec<Option<OverSeeds>> =
        subject.values.iter().map(|values| OverSeeds::of(values.iter().copied().filter(&shown))).collect();
    let points = (1..).zip(&over).map(|(at, over)| (at, over.map_or(f64::NAN, |over| over.mean))).collect();
    (Series { name: subject.name.to_owned(), stroke, shape, radius: 40 + 8 * more, points }, over)
}

/// The horizontal axis. Of numbers, as many have a tick as there is `room` for.
fn places(area: &Area, grouped: &Grouped, room: i32) -> Drawn<Axis> {
    let widths: Drawn<Vec<i32>> = grouped.places.iter().map(|place| width(area, place, &words())).collect();
    let needed = (widths?.into_iter().max().unwrap_or(0) + 120) * grouped.places.len() as i32;
    let step = if grouped.numeric { needed / room.max(1) + 1 } else { 1 };
    Ok(Axis::named(grouped.places.iter().map(|&place| place.to_owned()).collect(), step as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::{LOSS, figure};

    #[test]
    fn every_figure_is_in_the_picture_and_none_breaks_it() {
        let draw = |quantities: &[Quantity], figures: &[Figure]| {
            draw_figures("A claim", quantities, figures).unwrap()
        };
        let other = Quantity { name: "accuracy", log: false, ..LOSS };
        for at in [["1", "10"], ["conv1", "conv2"]] {
            let values = [0.0, 1e-9, f64::NAN, f64::INFINITY, -1.0, f64::MAX, 3.0, 0.5];
            let figures: Vec<Figure> = (0..)
                .zip(values)
                .map(|(i, v)| figure(["a", "b"][i / 2 % 2], at[i / 4], i as u64 % 2, v))
                .collect();
            let picture = draw(&[LOSS, other, other], &figures);
            assert!(picture == draw(&[LOSS, other, other], &figures));
            for i in [1, 6, 7] {
                let mut changed = figures.clone();
                changed[i].value *= 2.0;
                assert!(picture != draw(&[LOSS, other, other], &changed), "figure {i} at {at:?}");
            }
        }
        assert!(!draw(&[LOSS], &[]).is_empty());
        let many: Vec<Figure> =
            (0..60).map(|i| figure(&format!("a long name {}", i % 6), &i.to_string(), 0, 1.0)).collect();
        assert!(!draw(&[LOSS], &many).is_empty());
    }
}
