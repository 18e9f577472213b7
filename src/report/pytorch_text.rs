//! Tensors of one dimension as PyTorch prints them, to compare with a notebook's output.

/// Characters of a line.
const LINE_WIDTH: usize = 80;

/// The elements as `print(tensor)` writes them by default: four digits after the point, or scientific notation for
/// all if one of them needs it, right-aligned to one width. Whole numbers end in a point.
///
/// ```
/// use d2l_ch7::report::pytorch_text::elements;
///
/// assert_eq!(elements(&[0.05, -0.25]), [" 0.0500", "-0.2500"]);
/// assert_eq!(elements(&[1.0, 10.0]), [" 1.", "10."]);
/// assert_eq!(elements(&[1e-7, 0.5]), ["1.0000e-07", "5.0000e-01"]);
/// ```
pub fn elements(values: &[f32]) -> Vec<String> {
    let format = Format::of(values);
    values.iter().map(|&value| format!("{:>1$}", format.write(value), format.width)).collect()
}

/// `tensor([0.0500, ...])` as `print(tensor)` writes it, broken into lines of 80 characters; `requires_grad` adds the
/// words that PyTorch adds to a parameter. For up to 1,000 elements, beyond which PyTorch leaves some out.
pub fn tensor(values: &[f32], requires_grad: bool) -> String {
    const OPEN: &str = "tensor(";
    const SUFFIX: &str = "requires_grad=True";
    let per_line = (LINE_WIDTH - OPEN.len()) / (Format::of(values).width + ", ".len());
    let rows: Vec<String> = elements(values).chunks(per_line).map(|row| row.join(", ")).collect();
    let mut text = format!("{OPEN}[{}]", rows.join(&format!(",\n{:1$}", "", OPEN.len() + 1)));
    if requires_grad {
        // PyTorch counts the last line two characters too long.
        let last = text.len() - text.rfind('\n').map_or(0, |line_break| line_break + 1) + 2;
        let fits = last + ", ".len() + SUFFIX.len() <= LINE_WIDTH;
        text += &if fits { format!(", {SUFFIX}") } else { format!(",\n{:1$}{SUFFIX}", "", OPEN.len()) };
    }
    text + ")"
}

/// How the elements of one tensor are written: all alike.
struct Format {
    whole: bool,
    scientific: bool,
    width: usize,
}

impl Format {
    fn of(values: &[f32]) -> Self {
        // Zeros and what is not finite have no say.
        let counted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite() && *v != 0.0).collect();
        let sizes = || counted.iter().map(|&value| f64::from(value).abs());
        let (largest, smallest) = (sizes().fold(0.0, f64::max), sizes().fold(f64::INFINITY, f64::min));
        let mut format = Self {
            whole: counted.iter().all(|value| value.fract() == 0.0),
            scientific: largest / smallest > 1000.0 || largest > 1e8 || smallest < 1e-4,
            width: 1,
        };
        format.width = counted.iter().map(|&value| format.write(value).len()).fold(1, usize::max);
        format
    }

    fn write(&self, value: f32) -> String {
        // Widened exactly, as Python does: the digits are those of the float32.
        match f64::from(value) {
            value if value.is_nan() => "nan".to_owned(),
            value if value.is_infinite() => value.to_string(),
            value if self.scientific => scientific_text(value),
            value if self.whole => format!("{value:.0}."),
            value => format!("{value:.4}"),
        }
    }
}

/// `1.2346e-08`: C's exponent has a sign and two digits.
fn scientific_text(value: f64) -> String {
    let text = format!("{value:.4e}");
    let (mantissa, exponent) = text.split_once('e').expect("Rust writes an e");
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}
