//! How the report writes numbers for people; files for machines keep every digit (see [`super::csv`]).

/// A number with commas between thousands: `41,233`; one decimal below 1,000; `NaN` and `inf` as they are.
pub(super) fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let text = if value.abs() < 999.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    let (whole, fraction) = text.split_once('.').map_or((&text[..], None), |(w, f)| (w, Some(f)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
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
    fn median_of_even_and_odd_counts() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
