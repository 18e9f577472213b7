//! Axes as plotters takes them: which values they span, where their ticks stand and what is written there.

use std::ops::{Range, RangeInclusive};

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::picture::PIXEL;
use crate::report::short;

/// Values beyond this are not drawn: a range of them overflows.
const LARGEST: f64 = f64::MAX / 8.0;

/// Whether a panel can show `value`; a loss that is NaN or infinite has no place on an axis.
pub fn drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// A linear axis, or a logarithmic one.
#[derive(Clone, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    /// Where the ticks stand, rising.
    ticks: Vec<f64>,
    /// Tick labels are values divided by ten to this power, so that they stay short.
    exponent: i32,
    decimals: usize,
    /// What is written at 1, 2, ...; the numbers themselves if it is empty.
    names: Vec<String>,
    /// Whether equal ratios, not equal differences, are equally far apart.
    pub logarithmic: bool,
}

impl Axis {
    /// An axis over whole numbers from 1 to `last`, a tick at whole numbers only, about `most` of them at most.
    pub fn counted(last: usize, most: usize) -> Self {
        let last = last.max(1);
        // With few of them each has its tick; beyond, round ones, and the first.
        let step =
            if last <= most { 1 } else { round_step(last as f64 / (most - 2) as f64).max(1.0) as usize };
        let first = (step >= 5).then_some(1);
        let ticks =
            first.into_iter().chain((step..=last).step_by(step)).map(|number| number as f64).collect();
        let margin = (0.03 * (last - 1) as f64).max(0.5);
        Self {
            low: 1.0 - margin,
            high: last as f64 + margin,
            ticks,
            exponent: 0,
            decimals: 0,
            names: Vec::new(),
            logarithmic: false,
        }
    }

    /// An axis over things with these `names`, at 1, 2, ..., a tick at every `step`th.
    pub fn named(names: Vec<String>, step: usize) -> Self {
        let ticks = (1..=names.len()).step_by(step).map(|number| number as f64).collect();
        let counted = Self::counted(names.len(), usize::MAX);
        Self { ticks, names, ..counted }
    }

    /// An axis that shows all `values` that are [`drawable`], and at least `span`, within `bounds`.
    pub fn fit(values: impl Iterator<Item = f64>, span: f64, bounds: RangeInclusive<f64>) -> Self {
        let (min, max) = values
            .filter(|&value| drawable(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (min, max) = if min <= max { (min, max) } else { (0.0, 0.0) };
        // A span much smaller than the values would be lost in their rounding.
        let span = span.max(1e-9 * min.abs().max(max.abs()));
        let missing = (span - (max - min)).max(0.0) / 2.0;
        let margin = 0.06 * (max - min).max(span);
        let low = (min - missing - margin).max(*bounds.start());
        let high = (max + missing + margin).min(*bounds.end());

        let step = round_step((high - low) / 5.0);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        let ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).collect();
        let largest = low.abs().max(high.abs());
        let exponent = match largest.log10().floor() as i32 {
            -3..=4 => 0,
            // A multiple of three, at or below: labels have one to three digits before the point.
            power => power.div_euclid(3) * 3,
        };
        let decimals = (exponent - step.log10().floor() as i32).max(0) as usize;
        Self { low, high, ticks, exponent, decimals, names: Vec::new(), logarithmic: false }
    }

    /// A logarithmic axis around 1 and `values`, as [`Self::decades`].
    pub fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        Self::decades(values.chain([1.0]))
    }

    /// A logarithmic axis around all `values` that are positive and [`drawable`]. It begins at half of the least, so that a bar from
    /// there to any of them has a length.
    pub fn decades(values: impl Iterator<Item = f64>) -> Self {
        let (min, max) = values
            .filter(|&value| value > 0.0 && drawable(value))
            .fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        let (min, max) = if min <= max { (min, max) } else { (1.0, 1.0) };
        let (low, high) = (min / 2.0, max * 1.1);
        let decades = high.log10() - low.log10();
        let digits: &[f64] = if decades < 3.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        // About ten powers of ten at most; 1 is among them if it is on the axis.
        let step = (decades / 10.0).ceil() as i32;
        let powers = (low.log10().floor() as i32..=high.log10().ceil() as i32)
            .filter(|power| power.rem_euclid(step) == 0);
        let ticks = powers
            .flat_map(|power| {
                digits.iter().map(move |&digit| format!("{digit}e{power}").parse().expect("a number"))
            })
            .filter(|tick| (low..=high).contains(tick))
            .collect();
        Self { low, high, ticks, exponent: 0, decimals: 0, names: Vec::new(), logarithmic: true }
    }

    /// `label` with the power of ten before its unit, which is in brackets: `loss (10⁻⁶ nats per example)`. No label: the power alone.
    pub fn title(&self, label: &str) -> String {
        if self.exponent == 0 {
            return label.to_owned();
        }
        let power: String = self.exponent.to_string().chars().map(superscript).collect();
        if label.is_empty() {
            return format!("10{power}");
        }
        label.replacen('(', &format!("(10{power} "), 1)
    }

    /// `value` as a share of the way from the low end to the high one.
    fn share(&self, value: f64) -> f64 {
        let place = |value: f64| if self.logarithmic { value.log10() } else { value };
        (place(value) - place(self.low)) / (place(self.high) - place(self.low))
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    /// Lines of the grid fall on whole pixels, which keeps them sharp.
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let place = f64::from(from) + self.share(*value) * f64::from(to - from);
        if !self.ticks.contains(value) {
            return place.round() as i32;
        }
        let pixel = f64::from(PIXEL);
        (((place / pixel).round() * pixel) as i32).clamp(from.min(to), from.max(to))
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, &value: &f64) -> String {
        if !self.names.is_empty() {
            return self.names[(value as usize).clamp(1, self.names.len()) - 1].clone();
        }
        if self.logarithmic {
            return short(value);
        }
        let text = format!("{:.*}", self.decimals, value / 10f64.powi(self.exponent));
        // A true minus sign, as wide as a digit.
        text.replace('-', "\u{2212}")
    }
}

/// The 1, 2 or 5 times a power of ten that is nearest to `rough`, about.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let step = match rough / power {
        r if r < 1.5 => 1.0,
        r if r < 3.5 => 2.0,
        r if r < 7.5 => 5.0,
        _ => 10.0,
    };
    step * power
}

fn superscript(digit: char) -> char {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    digit.to_digit(10).map_or('⁻', |d| DIGITS[d as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: RangeInclusive<f64> = f64::NEG_INFINITY..=f64::INFINITY;

    #[test]
    fn counted_axes_have_whole_ticks_up_to_the_last() {
        assert_eq!(Axis::counted(1, 12).ticks, [1.0]);
        assert_eq!(Axis::counted(3, 12).ticks, [1.0, 2.0, 3.0]);
        assert_eq!(Axis::counted(20, 12).ticks.len(), 10);
        assert_eq!(
            Axis::counted(50, 12).ticks,
            [1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0]
        );
        assert_eq!(Axis::counted(100, 12).format_ext(&90.0), "90");
    }

    #[test]
    fn an_axis_holds_every_finite_value_and_a_few_ticks() {
        let awkward: [&[f64]; 9] = [
            &[],
            &[0.0],
            &[0.3],
            &[f64::NAN, f64::INFINITY, 0.3, 0.7],
            &[1e-9, -3e-9],
            &[5e-324],
            &[3.4e38, 0.1],
            &[LARGEST, -LARGEST],
            &[1e15, 1e15 + 1.0],
        ];
        for values in awkward {
            let axis = Axis::fit(values.iter().copied(), 1e-7, ANY);
            assert!(axis.low.is_finite() && axis.high.is_finite() && axis.low < axis.high, "{values:?}");
            assert!((2..=12).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
            let labels: Vec<_> = axis.ticks.iter().map(|&tick| axis.format_ext(&tick)).collect();
            assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{values:?}: {labels:?}");
            for value in values.iter().filter(|&&value| drawable(value)) {
                assert!((0.0..=1000.0).contains(&(1000.0 * axis.share(*value))), "{values:?}: {axis:?}");
            }
        }
    }

    #[test]
    fn labels_stay_short_and_name_their_power() {
        let axis = Axis::fit([-1.2e-6, 3.4e-6].into_iter(), 1e-9, ANY);
        assert_eq!(axis.title("loss (nats)"), "loss (10⁻⁶ nats)");
        assert!(axis.ticks.iter().any(|&tick| axis.format_ext(&tick) == "−1"), "{axis:?}");
        assert_eq!(Axis::fit([0.2, 0.8].into_iter(), 0.1, ANY).title("loss (nats)"), "loss (nats)");
    }

    #[test]
    fn bounds_are_kept() {
        let axis = Axis::fit([99.0, 100.0].into_iter(), 1.0, 0.0..=100.0);
        assert_eq!(axis.high, 100.0);
        assert_eq!(axis.ticks.last(), Some(&100.0));
    }

    #[test]
    fn equal_ratios_are_equally_far_apart_on_a_logarithmic_axis() {
        let axis = Axis::logarithmic([0.9, 80.0, 0.0, f64::NAN].into_iter());
        let labels: Vec<_> = axis.ticks.iter().map(|&tick| axis.format_ext(&tick)).collect();
        assert_eq!(labels, ["0.5", "1", "2", "5", "10", "20", "50"]);
        let x = |value| 1000.0 * axis.share(value);
        assert!((x(4.0) - x(2.0) - (x(2.0) - x(1.0))).abs() < 1e-9);
        assert!(x(0.9) > 100.0 && x(80.0) < 1000.0, "{} {}", x(0.9), x(80.0));
    }

    #[test]
    fn a_logarithmic_axis_of_any_length_has_a_few_short_labels() {
        for values in [vec![], vec![0.002, 0.02], vec![3e7], vec![5e-324, LARGEST]] {
            let axis = Axis::logarithmic(values.iter().copied());
            assert!((2..=12).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
            assert!(axis.ticks.contains(&1.0), "{values:?}: {axis:?}");
            assert!(axis.ticks.iter().all(|&tick| axis.format_ext(&tick).len() <= 6), "{values:?}: {axis:?}");
        }
    }
}
