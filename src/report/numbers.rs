//! How the report writes numbers for people; files for machines keep every digit (see [`super::csv`]).

/// A number with commas between thousands: `41,233`; one decimal below 1,000; `NaN` and `inf` as they are.
pub fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let text = if value.abs() < 999.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let thousands: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|d| str::from_utf8(d).unwrap_or("")).collect();
    format!("{sign}{}{fraction}", thousands.join(","))
}

/// A difference with its sign: `+0.0012`. One that would round to zero and is not zero is written `+1.2e-8`, since a
/// difference of one bit and none at all are not the same news here.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    if value == 0.0 {
        return format!("{:.decimals$}", 0.0);
    }
    if value.is_finite() && value.abs() < 0.5 * 10f64.powi(-(decimals as i32)) {
        return format!("{value:+.1e}");
    }
    format!("{value:+.decimals$}")
}

/// A loss in nats: `0.724461`, or `1.625e31`.
pub fn loss(nats: f64) -> String {
    if nats.is_finite() && nats.abs() >= 1e6 { format!("{nats:.3e}") } else { format!("{nats:.6}") }
}

/// A share in [0, 1] as `87.65%`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// A difference of shares in percentage points.
pub(super) fn points(difference: f64) -> String {
    signed(100.0 * difference, 3)
}

/// A number as people write it: `0.1`, `20`, `1e30`.
pub fn short(value: f64) -> String {
    if (1e-4..1e6).contains(&value) { value.to_string() } else { format!("{value:e}") }
}

/// A number with so many digits that count, with four of them `0.1235`, `12.35` or `1.235e-7`; whole numbers as they are.
pub fn significant(value: f64, digits: usize) -> String {
    let after_first = digits.saturating_sub(1);
    let power = if value == 0.0 || !value.is_finite() { 0.0 } else { value.abs().log10().floor() };
    match value {
        value if !value.is_finite() => value.to_string(),
        value if value.fract() == 0.0 && value.abs() < 1e6 => format!("{value}"),
        value if (-3.0..6.0).contains(&power) => {
            format!("{value:.*}", (after_first as f64 - power).max(0.0) as usize)
        }
        value => format!("{value:.after_first$e}"),
    }
}

/// The median; the mean of the two middle values where there is an even number; `None` of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(1_234_567.4), "1,234,567");
        assert_eq!(grouped(-41_233.0), "-41,233");
        assert_eq!(grouped(999.96), "1,000");
        assert_eq!(grouped(12.34), "12.3");
        assert_eq!(grouped(f64::INFINITY), "inf");
    }

    #[test]
    fn a_difference_that_is_not_zero_never_reads_as_zero() {
        assert_eq!(signed(0.0, 4), "0.0000");
        assert_eq!(signed(-0.0, 4), "0.0000");
        assert_eq!(signed(0.00012, 4), "+0.0001");
        assert_eq!(signed(-1.19e-7, 4), "-1.2e-7");
        assert_eq!(signed(f64::NAN, 4), "NaN");
    }

    #[test]
    fn large_and_small_numbers_have_exponents() {
        assert_eq!(
            [1.0, 0.0001, 250_000.0, 1e-7, 1e30].map(short),
            ["1", "0.0001", "250000", "1e-7", "1e30"]
        );
        assert_eq!([0.7244607, 1.6249e31, f64::NAN].map(loss), ["0.724461", "1.625e31", "NaN"]);
    }

    #[test]
    fn four_digits_count() {
        assert_eq!(
            [0.0, 3.0, -250_000.0, 0.123456, -12.3456, 99_999.5, 1.23456e-7, 2.5e9, f64::INFINITY]
                .map(|value| significant(value, 4)),
            ["0", "3", "-250000", "0.1235", "-12.35", "100000", "1.235e-7", "2.500e9", "inf"]
        );
    }

    #[test]
    fn median_of_even_and_odd_counts() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
