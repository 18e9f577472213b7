//! `curves.png`: losses and accuracies of every variant over epochs, and how two variants differ.

use plotters::style::RGBColor;

use super::panel::{PALETTE, Panel, Series, Shape, draw_panels};
use super::picture::Stroke;
use crate::report::Report;
use crate::{EpochRecord, Result};

const DIFFERENCES: [(RGBColor, Shape); 2] =
    [(RGBColor(0x22, 0x22, 0x22), Shape::Circle), (RGBColor(0x9a, 0x4d, 0xa8), Shape::Diamond)];

/// A quantity of a record, as a panel shows it.
type Value = fn(&EpochRecord) -> f64;

/// The two curves of a quantity: what they are called, and whether they are dashed.
const CURVE_NAMES: [(&str, bool); 2] = [("training", false), ("test", true)];

/// One pair of curves: what they are called, their unit, and the values in training and test.
struct Quantity {
    name: &'static str,
    label: &'static str,
    difference_label: &'static str,
    values: [Value; 2],
    /// How many of them the panel of differences shows. The test loss swings so much from epoch to epoch that the difference in
    /// training, which comes from the arithmetic, would look flat.
    differences: usize,
    /// No value is larger.
    largest: f64,
    /// The least that an axis spans.
    span: f64,
}

const LOSS: Quantity = Quantity {
    name: "Loss",
    label: "loss (nats per example)",
    difference_label: "difference (nats per example)",
    values: [|record| record.train_loss, |record| record.test_loss],
    differences: 1,
    largest: f64::INFINITY,
    span: 0.05,
};
const ACCURACY: Quantity = Quantity {
    name: "Accuracy",
    label: "accuracy (%)",
    difference_label: "difference (percentage points)",
    values: [|record| 100.0 * record.train_acc, |record| 100.0 * record.test_acc],
    differences: 2,
    largest: 100.0,
    span: 1.0,
};

/// Draws the curves of a run, [`WIDTH`](super::WIDTH) pixels wide, as the bytes of a PNG file. The epochs of the whole run are on the
/// axis from the start. With exactly two variants, a row of panels shows the first minus the second. What is not finite is left out.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_curves(run: &Report) -> Result<Vec<u8>> {
    let mut rows = vec![[LOSS, ACCURACY].map(|quantity| run.panel(&quantity))];
    if let [first, second] = run.variants {
        rows.push([LOSS, ACCURACY].map(|quantity| run.difference_panel(&quantity, first, second)));
    }
    draw_panels(run.title, &rows)
}

impl Report<'_> {
    fn panel(&self, quantity: &Quantity) -> Panel {
        let series = self.variants.iter().enumerate().map(|(i, variant)| {
            let (color, shape) = PALETTE[i % PALETTE.len()];
            // The first is drawn below the others and broader, so that it shows where they coincide.
            let (width, radius) = if i == 0 && self.variants.len() > 1 { (44, 60) } else { (20, 40) };
            let curves = CURVE_NAMES.into_iter().zip(quantity.values);
            curves
                .map(|((what, dashed), value)| Series {
                    name: format!("{variant}, {what}"),
                    stroke: Stroke { width, color, dashed },
                    shape,
                    radius,
                    points: self.points(variant, value),
                })
                .collect()
        });
        Panel {
            title: quantity.name.to_owned(),
            label: quantity.label,
            series: series.collect(),
            counted: "epoch",
            last: self.last_epoch(),
            span: quantity.span,
            bounds: 0.0..=quantity.largest,
            zero: false,
        }
    }

    fn difference_panel(&self, quantity: &Quantity, first: &str, second: &str) -> Panel {
        let curves = CURVE_NAMES.into_iter().zip(quantity.values).zip(DIFFERENCES).take(quantity.differences);
        let series = curves.map(|(((what, dashed), value), (color, shape))| Series {
            name: what.to_owned(),
            stroke: Stroke { width: 20, color, dashed },
            shape,
            radius: 40,
            points: difference(&self.points(first, value), &self.points(second, value)),
        });
        let series: Vec<Series> = series.collect();
        let zero = series.iter().all(|series| series.points.iter().all(|point| point.1 == 0.0));
        Panel {
            title: format!("{}, {first} minus {second}", quantity.name),
            label: quantity.difference_label,
            series: vec![series],
            counted: "epoch",
            last: self.last_epoch(),
            // Nothing but zeros needs some span; else the smallest difference there is fills the panel.
            span: if zero { quantity.span } else { f64::MIN_POSITIVE },
            bounds: f64::NEG_INFINITY..=f64::INFINITY,
            zero: true,
        }
    }

    /// Epoch and value, rising epochs.
    fn points(&self, variant: &str, value: Value) -> Vec<(usize, f64)> {
        let records = EpochRecord::of(self.records, variant);
        let mut points: Vec<_> = records.map(|record| (record.epoch, value(record))).collect();
        points.sort_by_key(|point| point.0);
        points
    }

    fn last_epoch(&self) -> usize {
        self.records.iter().map(|record| record.epoch).fold(self.epochs, usize::max)
    }
}

/// First minus second at the epochs that both have.
fn difference(first: &[(usize, f64)], second: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let of_second = |epoch| second.iter().find(|point| point.0 == epoch);
    first.iter().filter_map(|&(epoch, a)| of_second(epoch).map(|&(_, b)| (epoch, a - b))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::picture::{MARGIN, PANEL, PIXEL, WIDTH};
    use crate::report::tests::record;

    const BOTH: [&str; 2] = ["scratch", "native"];

    fn records(variants: &[&str], epochs: usize) -> Vec<EpochRecord> {
        (1..=epochs).flat_map(|epoch| variants.iter().map(move |variant| record(variant, epoch))).collect()
    }

    /// Width, height and pixels of the picture.
    fn draw(variants: &[&str], records: &[EpochRecord], epochs: usize) -> (u32, u32, Vec<u8>) {
        let variants: Vec<String> = variants.iter().map(|&variant| variant.to_owned()).collect();
        let title = "book\nseed 0";
        let run = Report { recipe: "book", title, facts: &[], variants: &variants, records, epochs };
        let bytes = draw_curves(&run).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    /// How many pixels have about this colour.
    fn count((_, _, pixels): &(u32, u32, Vec<u8>), RGBColor(r, g, b): RGBColor) -> usize {
        pixels.chunks(4).filter(|p| p[0] == r && p[1] == g && p[2] == b).count()
    }

    #[test]
    fn two_variants_have_a_row_of_differences() {
        let one = draw(&["native"], &records(&["native"], 3), 3);
        let two = draw(&BOTH, &records(&BOTH, 3), 3);
        assert_eq!((one.0, two.0), (WIDTH, WIDTH));
        assert_eq!((two.1 - one.1) as i32, (PANEL + MARGIN) / PIXEL);
        assert_eq!(count(&one, DIFFERENCES[1].0), 0);
        assert!(count(&two, DIFFERENCES[1].0) > 0);
    }

    #[test]
    fn what_a_curve_shows_is_in_the_picture() {
        let all = records(&BOTH, 4);
        let picture = draw(&BOTH, &all, 4);
        assert_eq!(picture, draw(&BOTH, &all, 4));
        let changes: [fn(&mut EpochRecord); 4] = [
            |record| record.train_loss += 0.02,
            |record| record.test_loss += 0.02,
            |record| record.train_acc += 0.02,
            |record| record.test_acc += 0.02,
        ];
        for change in changes {
            let mut changed = all.clone();
            change(&mut changed[3]);
            assert!(picture != draw(&BOTH, &changed, 4));
        }
    }

    #[test]
    fn a_single_epoch_shows_as_markers() {
        let nothing = draw(&["native"], &[], 1);
        let point = draw(&["native"], &records(&["native"], 1), 1);
        let color = PALETTE[0].0;
        // A filled disc and a ring in either panel.
        assert!(count(&point, color) > count(&nothing, color) + 50);

        // So does an epoch between two without a value, even in a run too long for a marker at every epoch.
        let lone = |finite: &[usize]| {
            let mut all = records(&["native"], 30);
            for record in &mut all {
                let loss = if finite.contains(&record.epoch) { 0.5 } else { f64::NAN };
                (record.train_loss, record.test_loss) = (loss, loss);
            }
            count(&draw(&["native"], &all, 30), color)
        };
        assert!(lone(&[10, 30]) > lone(&[30]) + 10);
    }

    #[test]
    fn values_that_are_not_finite_are_left_out() {
        let mut all = records(&BOTH, 3);
        for record in all.iter_mut().filter(|record| record.epoch > 1) {
            (record.train_loss, record.test_loss) = (f64::NAN, f64::INFINITY);
        }
        let with = draw(&BOTH, &all, 3);
        for record in all.iter_mut().filter(|record| record.epoch > 1) {
            (record.train_loss, record.test_loss) = (f64::NEG_INFINITY, f64::MAX);
        }
        assert!(with == draw(&BOTH, &all, 3));
    }

    #[test]
    fn differences_are_first_minus_second_where_both_are() {
        let first = [(1, 0.5), (2, 0.25), (3, 0.125)];
        let second = [(1, 0.25), (3, 0.5)];
        assert_eq!(difference(&first, &second), [(1, 0.25), (3, -0.375)]);
    }
}
