//! `bench.png`: how many times as long others took as this program, a bar for each.

use plotters::style::{RGBColor, WHITE};

use super::axis::{Axis, drawable};
use super::canvas::{self, Align, Canvas, Drawn, Point, Stroke, Text};
use super::panel::{CAPTION, FRAME, GRID, INK, TITLE, WORDS};
use super::{HEADER, MARGIN, PALETTE, WIDTH, draw_title, within};
use crate::Result;
use crate::report::{Measurement, Ratio};

/// The picture's name in a run directory.
pub const BENCH: &str = "bench.png";

/// Pixels of a line of the legend.
const ENTRY: f64 = 24.0;
/// Pixels above the first row of a section, for its heading.
const HEADING: f64 = 50.0;
/// Pixels of a bar and the space around it.
const ROW: f64 = 22.0;
/// Pixels of a bar.
const BAR: f64 = 15.0;
/// Pixels between two measurements of a section.
const GAP: f64 = 7.0;
/// Pixels between bars and what is written at their sides.
const SPACE: f64 = 12.0;
/// Pixels below the last row, for the axis.
const AXIS: f64 = 72.0;
/// Pixels of the names at the left, at least and at most.
const NAMES: (f64, f64) = (100.0, 0.4 * WIDTH as f64);

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
    let legend = MARGIN + HEADER;
    let rows = rows(measurements, &contenders, legend + ENTRY * contenders.len() as f64);
    let bottom = rows.last().map_or(legend, |row| row.top + ROW);
    canvas::png(WIDTH, (bottom + AXIS + MARGIN) as u32, |canvas| {
        draw_title(canvas, title)?;
        if rows.is_empty() {
            let middle = (f64::from(WIDTH) / 2.0, bottom + AXIS / 2.0);
            return canvas.text("nothing beside it was measured", middle, CAPTION);
        }
        draw_legend(canvas, &contenders, legend)?;
        let chart = Chart::new(canvas, &rows);
        for section in rows.chunk_by(|a, b| a.section == b.section) {
            chart.draw_section(canvas, section)?;
        }
        chart.draw_axis(canvas, bottom)
    })
}

/// The names of those beside, in the order in which they appear.
fn contenders(measurements: &[Measurement]) -> Vec<&str> {
    let mut names = Vec::new();
    for (name, _) in measurements.iter().flat_map(|measurement| &measurement.beside) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// A bar and what is written beside it.
struct Row<'a> {
    section: &'a str,
    /// Of the measurement, where its rows begin.
    name: Option<&'a str>,
    look: Look,
    ratio: Ratio,
    /// In pixels.
    top: f64,
}

/// The rows of all measurements, from `top` down.
fn rows<'a>(measurements: &'a [Measurement], contenders: &[&str], mut top: f64) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = Vec::new();
    for measurement in measurements.iter().filter(|measurement| !measurement.beside.is_empty()) {
        let goes_on = rows.last().is_some_and(|row| row.section == measurement.section);
        top += if goes_on { GAP } else { HEADING };
        for (i, (contender, theirs)) in measurement.beside.iter().enumerate() {
            rows.push(Row {
                section: &measurement.section,
                name: (i == 0).then_some(&measurement.name),
                look: Look::of(contender, contenders),
                ratio: theirs.over(&measurement.here),
                top,
            });
            top += ROW;
        }
    }
    rows
}

impl Row<'_> {
    fn middle(&self) -> f64 {
        self.top + ROW / 2.0
    }

    /// What is written at the end of the bar: about three digits.
    fn value(&self) -> String {
        match self.ratio.median {
            ratio if !drawable(ratio) => "-".to_owned(),
            // Rounded, these are below 10 and 100.
            ratio if ratio < 9.995 => format!("{ratio:.2} x"),
            ratio if ratio < 99.95 => format!("{ratio:.1} x"),
            ratio if ratio < 1e7 => format!("{ratio:.0} x"),
            // Of clocks that stood still; there is no room for all digits.
            ratio => format!("{ratio:.1e} x"),
        }
    }
}

/// How the bars of a contender look.
#[derive(Clone, Copy)]
struct Look {
    color: RGBColor,
    hollow: bool,
}

impl Look {
    fn of(contender: &str, contenders: &[&str]) -> Self {
        let i = contenders.iter().position(|name| *name == contender).expect("all are among them");
        Self { color: PALETTE[i % PALETTE.len()].0, hollow: i / PALETTE.len() % 2 == 1 }
    }

    fn fill(self, canvas: &Canvas, (left, top): Point, (right, bottom): Point) -> Drawn {
        const EDGE: f64 = 2.0;
        canvas.fill((left, top), (right, bottom), self.color)?;
        if self.hollow && right - left > 2.0 * EDGE {
            canvas.fill((left + EDGE, top + EDGE), (right - EDGE, bottom - EDGE), WHITE)?;
        }
        Ok(())
    }
}

/// The contenders' names, a line each.
fn draw_legend(canvas: &Canvas, contenders: &[&str], top: f64) -> Drawn {
    const SAMPLE: f64 = 31.0;
    let text = MARGIN + SAMPLE + 8.0;
    for (i, name) in contenders.iter().enumerate() {
        let middle = top + ENTRY * (i as f64 + 0.5);
        let look = Look::of(name, contenders);
        look.fill(canvas, (MARGIN, middle - BAR / 2.0), (MARGIN + SAMPLE, middle + BAR / 2.0))?;
        let words = within(canvas, name, WORDS, f64::from(WIDTH) - MARGIN - text);
        canvas.text(name, (text, middle + 5.5), words)?;
    }
    Ok(())
}

/// The axis that all bars share, and where it lies.
struct Chart {
    axis: Axis,
    logarithmic: bool,
    /// In pixels.
    left: f64,
    right: f64,
}

impl Chart {
    fn new(canvas: &Canvas, rows: &[Row]) -> Self {
        let names = widest(canvas, rows.iter().filter_map(|row| row.name));
        let values = widest(canvas, rows.iter().map(Row::value));
        let ratios = || rows.iter().map(|row| row.ratio).filter(|ratio| drawable(ratio.median));
        let medians = || ratios().map(|ratio| ratio.median);
        let greatest = medians().fold(1.0, f64::max);
        let whisker = ratios().map(|ratio| ratio.greatest).fold(0.0, f64::max).min(WHISKER * greatest);
        let shown = medians().chain([1.0, whisker]);
        let logarithmic = greatest > LINEAR;
        Self {
            axis: if logarithmic {
                Axis::logarithmic(shown)
            } else {
                Axis::fit(shown.chain([0.0]), 0.0, 0.0..=f64::INFINITY)
            },
            logarithmic,
            left: MARGIN + names.clamp(NAMES.0, NAMES.1) + SPACE,
            right: f64::from(WIDTH) - MARGIN - values - SPACE,
        }
    }

    fn x(&self, ratio: f64) -> f64 {
        self.axis.pixel(ratio, self.left, self.right)
    }

    /// The rows of a section, at least one, below its name.
    fn draw_section(&self, canvas: &Canvas, rows: &[Row]) -> Drawn {
        let (top, bottom) = (rows[0].top - 2.0, rows[rows.len() - 1].top + ROW + 2.0);
        let heading = within(canvas, rows[0].section, TITLE, f64::from(WIDTH) - 2.0 * MARGIN);
        canvas.text(rows[0].section, (MARGIN, top - 11.0), heading)?;
        let line = |ratio, color| {
            let x = self.x(ratio).round();
            canvas.fill((x, top), (x + 1.0, bottom), color)
        };
        self.axis.ticks.iter().try_for_each(|&tick| line(tick, GRID))?;
        rows.iter().try_for_each(|row| self.draw_bar(canvas, row))?;
        canvas.fill((self.left, top), (self.left + 1.0, bottom), FRAME)?;
        // Over the bars, to show how far they reach beyond it; but below what is written.
        line(1.0, INK)?;
        rows.iter().try_for_each(|row| self.draw_words(canvas, row))
    }

    fn draw_bar(&self, canvas: &Canvas, row: &Row) -> Drawn {
        if !drawable(row.ratio.median) {
            return Ok(());
        }
        let (top, bottom) = (row.middle() - BAR / 2.0, row.middle() + BAR / 2.0);
        row.look.fill(canvas, (self.left, top), (self.bar_end(row.ratio), bottom))
    }

    /// What took no time at all has a bar too.
    fn bar_end(&self, ratio: Ratio) -> f64 {
        self.x(ratio.median).max(self.left + 2.0)
    }

    /// The name, the whisker and the value behind it.
    fn draw_words(&self, canvas: &Canvas, row: &Row) -> Drawn {
        let (baseline, ratio, value) = (row.middle() + 5.5, row.ratio, row.value());
        if let Some(name) = row.name {
            let look = within(canvas, name, WORDS, self.left - SPACE - MARGIN);
            canvas.text(name, (MARGIN, baseline), look)?;
        }
        let mut end = self.left;
        if drawable(ratio.median) {
            self.draw_whisker(canvas, ratio, row.middle())?;
            end = self.bar_end(ratio).max(self.x(ratio.greatest).min(self.right));
        }
        let (left, right) = (end + SPACE / 2.0, end + SPACE / 2.0 + canvas.text_width(&value, WORDS));
        // No line runs through it.
        canvas.fill((left - 2.0, row.top + 2.0), (right + 2.0, row.top + ROW - 2.0), WHITE)?;
        canvas.text(&value, (left, baseline), WORDS)
    }

    fn draw_whisker(&self, canvas: &Canvas, ratio: Ratio, y: f64) -> Drawn {
        let stroke = Stroke { width: 1.2, color: INK, dashed: false };
        let ends = [ratio.least, ratio.greatest].map(|end| self.x(end));
        for x in ends.into_iter().filter(|x| (self.left..=self.right).contains(x)) {
            canvas.line(&[(x, y - 3.5), (x, y + 3.5)], stroke)?;
        }
        canvas.line(&ends.map(|x| (x.clamp(self.left, self.right), y)), stroke)
    }

    /// The axis below all sections.
    fn draw_axis(&self, canvas: &Canvas, y: f64) -> Drawn {
        let y = y + 2.0;
        canvas.fill((self.left, y), (self.right, y + 1.0), FRAME)?;
        let look = Text { align: Align::Middle, ..WORDS };
        for &tick in &self.axis.ticks {
            let x = self.x(tick).round();
            canvas.fill((x, y), (x + 1.0, y + 6.0), FRAME)?;
            canvas.text(&self.axis.label(tick), (x, y + 21.0), look)?;
        }
        canvas.text("1 = this program", (self.x(1.0), y + 40.0), look)?;
        let kind = if self.logarithmic { " (logarithmic)" } else { "" };
        let caption = format!("times as long as this program{kind}");
        canvas.text(&caption, ((self.left + self.right) / 2.0, y + 63.0), CAPTION)
    }
}

/// The width of the widest of `texts`, in pixels.
fn widest(canvas: &Canvas, texts: impl Iterator<Item = impl AsRef<str>>) -> f64 {
    texts.map(|text| canvas.text_width(text.as_ref(), WORDS)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Times;
    use crate::report::measurement::tests::measurement;

    /// Two measurements in two sections, with as many as `ratios` beside the first.
    fn measured(ratios: &[[f64; 2]]) -> Vec<Measurement> {
        let mut measurements = vec![measurement("Step", "book"), measurement("Epoch", "native")];
        measurements[0].beside =
            ratios.iter().enumerate().map(|(i, ratios)| (format!("other {i}"), taking(*ratios))).collect();
        measurements
    }

    /// So many times as long as [`measurement`] here.
    fn taking([first, second]: [f64; 2]) -> Times {
        Times::new(vec![first, 2.0 * second]).unwrap()
    }

    fn draw(measurements: &[Measurement]) -> Vec<u8> {
        draw_ratios("title", measurements).unwrap()
    }

    /// Rows of pixels.
    fn pixels(picture: &[u8]) -> Vec<Vec<[u8; 3]>> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        bytes.as_chunks().0.chunks(WIDTH as usize).map(<[_]>::to_vec).collect()
    }

    /// How many pixels have the colour of the first contender.
    fn colored(picture: &[u8]) -> usize {
        let RGBColor(r, g, b) = PALETTE[0].0;
        pixels(picture).iter().flatten().filter(|pixel| **pixel == [r, g, b]).count()
    }

    #[test]
    fn every_ratio_and_name_is_in_the_picture() {
        let measurements = || measured(&[[2.0, 2.0], [2.0, 4.0]]);
        let picture = draw(&measurements());
        assert!(picture == draw(&measurements()));
        let changes: [fn(&mut [Measurement]); 7] = [
            |all| all[0].beside[0].1 = taking([2.1, 2.1]),
            // The same median.
            |all| all[0].beside[1].1 = taking([2.5, 3.5]),
            |all| all[0].here = taking([2.0, 2.0]),
            |all| all[0].beside[1].0 = "another".to_owned(),
            |all| all[1].name = "nativ".to_owned(),
            |all| all[0].section = "Steps".to_owned(),
            |all| all[1].section = "Step".to_owned(),
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut changed = measurements();
            change(&mut changed);
            assert!(picture != draw(&changed), "{i}");
        }
        assert!(picture != draw_ratios("title\nbelow", &measurements()).unwrap());
    }

    #[test]
    fn what_has_nothing_beside_it_has_no_row() {
        let mut measurements = measured(&[]);
        assert!(draw(&measurements) == draw(&measurements[1..]));
        measurements[1].beside.clear();
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
        let beside = |greatest: f64, ratio: f64| {
            let picture = |ratio: f64| draw(&measured(&[[ratio, ratio], [greatest, greatest]])[..1]);
            (colored(&picture(ratio)) - colored(&picture(f64::NAN))) as f64
        };
        assert!(beside(12.0, 8.0) / beside(12.0, 2.0) > 3.5, "linear");
        let [two, four, eight] = [2.0, 4.0, 8.0].map(|ratio| beside(80.0, ratio));
        assert!(((eight - four) / (four - two) - 1.0).abs() < 0.1, "{two} {four} {eight}");
        assert!(beside(80.0, 0.9) > 500.0, "a ratio below 1 is seen");
    }

    #[test]
    fn what_is_not_finite_has_no_bar() {
        let rows = |ratio: f64| {
            let all = measured(&[[ratio, ratio]]);
            let names = contenders(&all);
            rows(&all, &names, 0.0).iter().map(Row::value).collect::<Vec<_>>()
        };
        assert_eq!(rows(f64::NAN), ["-", "3.00 x"]);
        assert_eq!(rows(f64::INFINITY), ["-", "3.00 x"]);
        let without = |ratio: f64| colored(&draw(&measured(&[[ratio, ratio]])[..1]));
        assert!(without(f64::INFINITY) == without(f64::NAN) && without(f64::NAN) < without(1.0));
        let beside = |ratio: f64| colored(&draw(&measured(&[[2.0, 2.0], [ratio, ratio]])[..1]));
        assert_eq!(beside(f64::INFINITY), beside(f64::NAN), "the axis leaves it out");
    }

    #[test]
    fn one_slow_round_does_not_flatten_the_bars() {
        let bar = |slowest: f64| {
            let mut measurements = measured(&[[1.0, 1.0]]);
            measurements[0].here = Times::new(vec![1.0; 3]).unwrap();
            measurements[0].beside[0].1 = Times::new(vec![2.0, 2.0, slowest]).unwrap();
            colored(&draw(&measurements[..1])) as f64
        };
        for slowest in [1000.0, f64::INFINITY] {
            assert!(bar(slowest) > 0.6 * bar(2.0), "{} {}", bar(slowest), bar(2.0));
        }
    }

    #[test]
    fn values_have_about_three_digits() {
        let value = |median| {
            let ratio = Ratio { median, least: median, greatest: median };
            let look = Look { color: INK, hollow: false };
            Row { section: "", name: None, look, ratio, top: 0.0 }.value()
        };
        let values = [2.131, 9.994, 9.996, 99.94, 99.96, 1234.0, 1e300].map(value);
        assert_eq!(values, ["2.13 x", "9.99 x", "10.0 x", "99.9 x", "100 x", "1234 x", "1.0e300 x"]);
    }

    #[test]
    fn long_names_end_before_the_bars() {
        let mut measurements = measured(&[[2.0, 3.0]]);
        measurements[0].name = "a name that is long ".repeat(9);
        let between = (MARGIN + NAMES.1 + SPACE / 2.0) as usize;
        let pixels = pixels(&draw(&measurements));
        assert!(pixels.iter().all(|row| row[between] == [0xff; 3]));
    }
}
