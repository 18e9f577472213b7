//! `bench.png`: how many times as long others took as this program, a bar for each.

use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::coord::ranged1d::Ranged;
use plotters::element::Rectangle;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, TRANSPARENT, WHITE};

use super::axis::{Axis, drawable};
use super::panel::PALETTE;
use super::picture::{
    self, Area, Drawn, FRAME, FULL, GRID, HEADER, INK, MARGIN, PIXEL, Stroke, WIDTH, caption, draw_line,
    draw_title, fitted, heading, width, words,
};
use crate::Result;
use crate::report::{Measurement, Spread};

/// A line of the legend.
const ENTRY: i32 = 240;
/// Above the first bar of a section, for its heading.
const HEADING: i32 = 500;
/// A bar and the space around it.
const ROW: i32 = 220;
/// The height of a bar.
const BAR: i32 = 150;
/// Between two measurements of a section.
const GAP: i32 = 70;
/// Between bars and what is written at their sides.
const SPACE: i32 = 120;
/// Below the last bar, for the axis.
const AXIS: i32 = 720;
/// The width of the names at the left, and of the values at the right.
const NAMES: i32 = 2600;
const VALUES: i32 = 900;
/// Where the bars begin, and where the axis ends.
const LEFT: i32 = MARGIN + NAMES + SPACE;
const RIGHT: i32 = FULL - MARGIN - VALUES;

/// With a greater ratio than this the axis is logarithmic: bars around 1 would be stumps.
const LINEAR: f64 = 12.0;
/// How far the axis goes for a whisker, as a multiple of the greatest median: one slow round should not flatten all bars.
const WHISKER: f64 = 1.5;

/// Draws how many times as long others took as this program, [`WIDTH`] pixels wide, as the bytes of a PNG file: a bar up to
/// the median of the rounds, and a whisker from the least to the greatest of them. The first line of `title` is the title; a
/// second one is written smaller below it. A whisker that leaves the axis has no end there. A median that is not finite has
/// no bar. From the fifth contender on colours come again, as hollow bars; from the ninth on all looks do.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_ratios(title: &str, measurements: &[Measurement]) -> Result<Vec<u8>> {
    let contenders = contenders(measurements);
    let top = MARGIN + HEADER + ENTRY * contenders.len() as i32;
    let rows = rows(measurements, &contenders, top);
    let bottom = rows.last().map_or(top, |row| row.middle + ROW / 2);
    let picture = picture::render(WIDTH, ((bottom + AXIS + MARGIN) / PIXEL) as u32, |area| {
        draw_title(area, title)?;
        if rows.is_empty() {
            let middle = caption().pos(Pos::new(HPos::Center, VPos::Center));
            return area.draw_text("nothing else was measured", &middle, (FULL / 2, top + AXIS / 2));
        }
        for (i, name) in contenders.iter().enumerate() {
            let middle = MARGIN + HEADER + ENTRY / 2 + ENTRY * i as i32;
            draw_bar(area, i, (MARGIN, MARGIN + 310), middle)?;
            write_at(area, name, (MARGIN + 390, middle), FULL - 2 * MARGIN - 390)?;
        }
        draw_chart(area, &rows, top..bottom)
    })?;
    picture::png(&picture)
}

/// The names of the others, in the order in which they appear.
fn contenders(measurements: &[Measurement]) -> Vec<&str> {
    let mut names = Vec::new();
    for (name, ..) in measurements.iter().flat_map(|measurement| measurement.figures().skip(1)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A bar and what is written at its sides.
struct Row<'a> {
    /// Of the section, at its first bar.
    section: Option<&'a str>,
    /// Of the measurement, at its first bar.
    name: Option<&'a str>,
    /// Which one of the others this is.
    contender: usize,
    ratio: Spread,
    /// The middle of the bar.
    middle: i32,
}

/// The rows below `top`.
fn rows<'a>(measurements: &'a [Measurement], contenders: &[&str], mut top: i32) -> Vec<Row<'a>> {
    let (mut rows, mut last) = (Vec::new(), None);
    for measurement in measurements.iter().filter(|measurement| measurement.times.len() > 1) {
        let section = Some(measurement.section);
        top += if section == last { GAP } else { HEADING };
        for (i, (contender, _, ratio)) in measurement.figures().skip(1).enumerate() {
            rows.push(Row {
                section: section.filter(|_| i == 0 && section != last),
                name: (i == 0).then_some(&measurement.name),
                contender: contenders.iter().position(|&name| name == contender).unwrap_or(0),
                ratio,
                middle: top + ROW / 2,
            });
            top += ROW;
        }
        last = section;
    }
    rows
}

/// What is written at the end of a bar: about three digits.
fn value(ratio: f64) -> String {
    match ratio {
        ratio if !drawable(ratio) => "-".to_owned(),
        // Rounded, these are below 10 and 100.
        ..9.995 => format!("{ratio:.2} x"),
        ..99.95 => format!("{ratio:.1} x"),
        ..1e7 => format!("{ratio:.0} x"),
        // Of clocks that stood still; there is no room for all digits.
        _ => format!("{ratio:.1e} x"),
    }
}

/// The bars below each other, to the right of their names.
fn draw_chart(area: &Area, rows: &[Row], Range { start: top, end: bottom }: Range<i32>) -> Drawn {
    let axis = axis(rows);
    let kind = if axis.logarithmic { " (logarithmic)" } else { "" };
    ChartBuilder::on(&area.clone().shrink((MARGIN, top), (RIGHT - MARGIN, bottom - top + AXIS)))
        .y_label_area_size(LEFT - MARGIN)
        .x_label_area_size(AXIS)
        .build_cartesian_2d(axis.clone(), 0.0..1.0)?
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .bold_line_style(GRID.stroke_width(PIXEL as u32))
        .light_line_style(TRANSPARENT)
        .axis_style(FRAME.stroke_width(PIXEL as u32))
        .set_all_tick_mark_size(6 * PIXEL)
        .label_style(words())
        .axis_desc_style(caption())
        .x_desc(format!("times as long as this program{kind}"))
        .draw()?;
    // As plotters places the axis: it ends before the area does.
    let x = |ratio: f64| axis.map(&ratio, (LEFT, RIGHT - 1));
    // What took no time at all has a bar too.
    let bar_end = |row: &Row| drawable(row.ratio.median).then(|| x(row.ratio.median).max(LEFT + 20));
    for row in rows {
        if let Some(end) = bar_end(row) {
            draw_bar(area, row.contender, (LEFT, end), row.middle)?;
        }
    }
    // Over the bars, to show how far they reach beyond it; but below what is written.
    let one = Stroke { width: PIXEL as u32, color: INK, dashed: false };
    draw_line(area, vec![(x(1.0), top), (x(1.0), bottom - 1)], one)?;
    let below = words().pos(Pos::new(HPos::Center, VPos::Top));
    area.draw_text("1 = this program", &below, (x(1.0), bottom + 310))?;
    for row in rows {
        if let Some(section) = row.section {
            let top = row.middle - ROW / 2 - HEADING;
            // The grid ends above a heading.
            area.draw(&Rectangle::new([(MARGIN, top - 20), (RIGHT, top + HEADING - 40)], WHITE.filled()))?;
            area.draw_text(
                section,
                &fitted(area, section, &heading(), RIGHT - MARGIN)?,
                (MARGIN, top + 220),
            )?;
        }
        if let Some(name) = row.name {
            write_at(area, name, (MARGIN, row.middle), NAMES)?;
        }
        let whisker = bar_end(row).map(|end| (end, [row.ratio.least, row.ratio.greatest].map(x)));
        draw_whisker(area, whisker, row)?;
    }
    Ok(())
}

/// The axis that all bars share.
fn axis(rows: &[Row]) -> Axis {
    let ratios = || rows.iter().map(|row| row.ratio).filter(|ratio| drawable(ratio.median));
    let medians = || ratios().map(|ratio| ratio.median);
    let greatest = medians().fold(1.0, f64::max);
    let whisker = ratios().map(|ratio| ratio.greatest).fold(0.0, f64::max).min(WHISKER * greatest);
    let shown = medians().chain([1.0, whisker]);
    if greatest > LINEAR {
        return Axis::logarithmic(shown);
    }
    Axis::fit(shown.chain([0.0]), 0.0, 0.0..=f64::INFINITY)
}

/// A bar of a contender.
fn draw_bar(area: &Area, contender: usize, (left, right): (i32, i32), middle: i32) -> Drawn {
    const EDGE: i32 = 20;
    let (color, _) = PALETTE[contender % PALETTE.len()];
    let (top, bottom) = (middle - BAR / 2, middle + BAR / 2);
    area.draw(&Rectangle::new([(left, top), (right, bottom)], color.filled()))?;
    if contender / PALETTE.len() % 2 == 1 && right - left > 2 * EDGE {
        let inside = [(left + EDGE, top + EDGE), (right - EDGE, bottom - EDGE)];
        area.draw(&Rectangle::new(inside, WHITE.filled()))?;
    }
    Ok(())
}

/// The whisker, and the value after it. `whisker` is where the bar ends, and both ends of the whisker.
fn draw_whisker(area: &Area, whisker: Option<(i32, [i32; 2])>, row: &Row) -> Drawn {
    let (middle, value) = (row.middle, value(row.ratio.median));
    let mut end = LEFT;
    if let Some((bar_end, ends)) = whisker {
        let stroke = Stroke { width: 14, color: INK, dashed: false };
        for x in ends.into_iter().filter(|x| (LEFT..=RIGHT).contains(x)) {
            draw_line(area, vec![(x, middle - 35), (x, middle + 35)], stroke)?;
        }
        draw_line(area, ends.map(|x| (x.clamp(LEFT, RIGHT), middle)).to_vec(), stroke)?;
        end = bar_end.max(ends[1].min(RIGHT));
    }
    let left = end + SPACE / 2;
    // No line runs through it.
    let behind = [(left - 20, middle - 90), (left + width(area, &value, &words())?, middle + 90)];
    area.draw(&Rectangle::new(behind, WHITE.filled()))?;
    write_at(area, &value, (left, middle), VALUES)
}

/// Words at the side of a bar, smaller where they are wider than `room`.
fn write_at(area: &Area, text: &str, (left, middle): (i32, i32), room: i32) -> Drawn {
    let look = fitted(area, text, &words(), room)?.pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(text, &look, (left, middle + PIXEL))
}

#[cfg(test)]
mod tests {
    use plotters::style::RGBColor;

    use super::*;
    use crate::report::HERE;
    use crate::report::bench::tests::measurement;

    /// Two measurements in two sections, the first with as many others as `ratios`.
    fn measured(ratios: &[[f64; 2]]) -> Vec<Measurement> {
        let mut measurements = vec![measurement("Step", "book"), measurement("Epoch", "native")];
        measurements[0].times.truncate(1);
        let others = ratios.iter().enumerate().map(|(i, ratios)| (format!("other {i}"), taking(*ratios)));
        measurements[0].times.extend(others);
        measurements
    }

    /// So many times as long as [`measurement`] here.
    fn taking([first, second]: [f64; 2]) -> Vec<f64> {
        vec![first, 2.0 * second]
    }

    fn draw(measurements: &[Measurement]) -> Vec<u8> {
        draw_ratios("title", measurements).unwrap()
    }

    /// Rows of pixels.
    fn pixels(picture: &[u8]) -> Vec<Vec<[u8; 4]>> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        bytes.as_chunks().0.chunks(WIDTH as usize).map(<[_]>::to_vec).collect()
    }

    /// How many pixels have the colour of the first contender.
    fn colored(picture: &[u8]) -> usize {
        let RGBColor(r, g, b) = PALETTE[0].0;
        pixels(picture).iter().flatten().filter(|pixel| **pixel == [r, g, b, 0xff]).count()
    }

    #[test]
    fn every_ratio_and_name_is_in_the_picture() {
        let measurements = || measured(&[[2.0, 2.0], [2.0, 4.0]]);
        let picture = draw(&measurements());
        assert!(picture == draw(&measurements()));
        let changes: [fn(&mut [Measurement]); 7] = [
            |all| all[0].times[1].1 = taking([2.1, 2.1]),
            // The same median.
            |all| all[0].times[2].1 = taking([2.5, 3.5]),
            |all| all[0].times[0].1 = taking([2.0, 2.0]),
            |all| all[0].times[2].0 = "another".to_owned(),
            |all| all[1].name = "nativ".to_owned(),
            |all| all[0].section = "Steps",
            |all| all[1].section = "Step",
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut changed = measurements();
            change(&mut changed);
            assert!(picture != draw(&changed), "{i}");
        }
        assert!(picture != draw_ratios("title\nbelow", &measurements()).unwrap());
    }

    #[test]
    fn a_measurement_without_others_has_no_row() {
        let mut measurements = measured(&[]);
        assert!(draw(&measurements) == draw(&measurements[1..]));
        measurements[1].times.truncate(1);
        let nothing = draw(&measurements);
        assert!(nothing == draw(&[]));
        assert!(pixels(&nothing).iter().skip(100).flatten().any(|pixel| pixel[0] < 0x80), "it says so");
    }

    #[test]
    fn a_bar_is_as_long_as_its_ratio() {
        let alone = |ratio: f64| draw(&measured(&[[ratio, ratio], [4.0, 4.0]])[..1]);
        // Without a bar, the legend's sample.
        let sample = colored(&alone(f64::NAN));
        let bar = |ratio| (colored(&alone(ratio)) - sample) as f64;
        assert!((bar(3.0) / bar(1.5) - 2.0).abs() < 0.1, "{} {}", bar(3.0), bar(1.5));
        assert!(sample > 0 && bar(0.0) > 0.0, "nothing is hidden");
    }

    #[test]
    fn great_ratios_share_a_logarithmic_axis_with_small_ones() {
        let bar = |greatest: f64, ratio: f64| {
            let picture = |ratio: f64| draw(&measured(&[[ratio, ratio], [greatest, greatest]])[..1]);
            (colored(&picture(ratio)) - colored(&picture(f64::NAN))) as f64
        };
        assert!(bar(12.0, 8.0) / bar(12.0, 2.0) > 3.5, "linear");
        let [two, four, eight] = [2.0, 4.0, 8.0].map(|ratio| bar(80.0, ratio));
        assert!(((eight - four) / (four - two) - 1.0).abs() < 0.1, "{two} {four} {eight}");
        assert!(bar(80.0, 0.9) > 500.0, "a ratio below 1 is seen");
    }

    #[test]
    fn what_is_not_finite_has_no_bar() {
        let values = |ratio: f64| {
            let all = measured(&[[ratio, ratio]]);
            rows(&all, &contenders(&all), 0).iter().map(|row| value(row.ratio.median)).collect::<Vec<_>>()
        };
        assert_eq!(values(f64::NAN), ["-", "3.00 x"]);
        assert_eq!(values(f64::INFINITY), ["-", "3.00 x"]);
        let without = |ratio: f64| colored(&draw(&measured(&[[ratio, ratio]])[..1]));
        assert!(without(f64::INFINITY) == without(f64::NAN) && without(f64::NAN) < without(1.0));
        let bar = |ratio: f64| colored(&draw(&measured(&[[2.0, 2.0], [ratio, ratio]])[..1]));
        assert_eq!(bar(f64::INFINITY), bar(f64::NAN), "the axis leaves it out");
    }

    #[test]
    fn one_slow_round_does_not_flatten_the_bars() {
        let bar = |slowest: f64| {
            let mut measurements = measured(&[[1.0, 1.0]]);
            measurements[0].times =
                vec![(HERE.to_owned(), vec![1.0; 3]), ("other".to_owned(), vec![2.0, 2.0, slowest])];
            colored(&draw(&measurements[..1])) as f64
        };
        for slowest in [1000.0, f64::INFINITY] {
            assert!(bar(slowest) > 0.6 * bar(2.0), "{} {}", bar(slowest), bar(2.0));
        }
    }

    #[test]
    fn values_have_about_three_digits() {
        let values = [2.131, 9.994, 9.996, 99.94, 99.96, 1234.0, 1e300].map(value);
        assert_eq!(values, ["2.13 x", "9.99 x", "10.0 x", "99.9 x", "100 x", "1234 x", "1.0e300 x"]);
    }

    #[test]
    fn long_names_end_before_the_bars() {
        let mut measurements = measured(&[[2.0, 3.0]]);
        measurements[0].name = "a name that is long ".repeat(9);
        let between = ((MARGIN + NAMES + SPACE / 2) / PIXEL) as usize;
        let pixels = pixels(&draw(&measurements));
        assert!(pixels.iter().all(|row| row[between] == [0xff; 4]));
    }
}
