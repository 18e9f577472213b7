//! `torchvision.transforms.ColorJitter`, and `transforms.functional.adjust_*` on PIL images: Pillow's `ImageEnhance`, and its hue.
//!
//! Brightness, contrast and saturation each lead from a degenerate image (black, even gray, shades of gray) through
//! the image itself (factor 1) and beyond: degenerate + factor * (image - degenerate) in float32, cut off to a byte.

use super::Transform;
use super::hsv::turn_hue;
use crate::image::{Image, Mode};
use crate::random::Draws;
use crate::{Error, Result};

/// How much one property of an image may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strength {
    /// A single number: by so much to both sides of no change.
    Around(f64),
    /// A pair: the factor itself, from the first to the second.
    Between(f64, f64),
}

impl From<f64> for Strength {
    fn from(value: f64) -> Self {
        Self::Around(value)
    }
}

impl From<(f64, f64)> for Strength {
    fn from((min, max): (f64, f64)) -> Self {
        Self::Between(min, max)
    }
}

/// `transforms.ColorJitter(brightness, contrast, saturation, hue)` on a PIL image: changes each by a random factor,
/// in random order. A strength of 0 leaves a property alone.
///
/// ```
/// use torchvision_exact::transforms::ColorJitter;
///
/// let jitter = ColorJitter::new(0.5, 0.5, (0.1, 3.0), 0.5)?;
/// assert!(ColorJitter::new(0.0, 0.0, 0.0, 0.6).is_err()); // hue goes to half a circle
/// # Ok::<(), torchvision_exact::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorJitter {
    /// The least and the greatest factor of brightness, contrast, saturation and hue; `None`: left alone.
    ranges: [Option<(f64, f64)>; 4],
}

impl ColorJitter {
    /// Each strength is a number or a pair of factors.
    ///
    /// # Errors
    /// If a number is negative, a pair is not in order, a factor of brightness, contrast or saturation could be
    /// negative or infinite, or hue could turn by more than half a circle.
    pub fn new(
        brightness: impl Into<Strength>,
        contrast: impl Into<Strength>,
        saturation: impl Into<Strength>,
        hue: impl Into<Strength>,
    ) -> Result<Self> {
        let ranges = [
            factor_range("brightness", brightness.into())?,
            factor_range("contrast", contrast.into())?,
            factor_range("saturation", saturation.into())?,
            range("hue", hue.into(), 0.0, (-0.5, 0.5))?,
        ];
        Ok(Self { ranges })
    }
}

impl Transform for ColorJitter {
    /// Draws the order of the changes, then the factors: 1 is no change, of hue 0.
    fn transform(&self, mut image: Image, draws: &mut dyn Draws) -> Image {
        const ADJUST: [fn(&mut Image, f64); 4] =
            [adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue];
        let order = draws.randperm(ADJUST.len());
        let factors = self.ranges.map(|range| range.map(|(min, max)| f64::from(draws.uniform(min, max))));
        for property in order.into_iter().map(|property| property as usize) {
            if let Some(factor) = factors[property] {
                ADJUST[property](&mut image, factor);
            }
        }
        image
    }
}

/// The range of a factor that is 1 where nothing changes, and never negative: a number over 1 is cut off there.
fn factor_range(property: &'static str, strength: Strength) -> Result<Option<(f64, f64)>> {
    let strength = match strength {
        Strength::Around(value) if value > 1.0 => Strength::Between(0.0, 1.0 + value),
        other => other,
    };
    range(property, strength, 1.0, (0.0, f64::INFINITY))
}

/// The range of a factor within `bounds`; `None` if it is always `center`, which changes nothing.
fn range(
    property: &'static str,
    strength: Strength,
    center: f64,
    bounds: (f64, f64),
) -> Result<Option<(f64, f64)>> {
    let (min, max) = match strength {
        Strength::Around(value) => (center - value, center + value),
        Strength::Between(min, max) => (min, max),
    };
    if !(bounds.0 <= min && min <= max && max <= bounds.1 && max.is_finite()) {
        return Err(Error::Jitter { property, min, max, bounds });
    }
    Ok(if min == center && max == center { None } else { Some((min, max)) })
}

/// `adjust_brightness`: 0 gives black.
fn adjust_brightness(image: &mut Image, factor: f64) {
    away_from(image, 0, factor);
}

/// `adjust_contrast`: 0 gives the mean of the image's gray everywhere.
fn adjust_contrast(image: &mut Image, factor: f64) {
    let pixels = image.pixels();
    let sum: u64 = match image.mode() {
        Mode::L => pixels.iter().map(|&byte| u64::from(byte)).sum(),
        Mode::Rgb => pixels.as_chunks().0.iter().map(|&rgb| u64::from(gray(rgb))).sum(),
    };
    let count = image.height() * image.width();
    let mean = (sum as f64 / count as f64 + 0.5) as u8;
    away_from(image, mean, factor);
}

/// `adjust_saturation`: 0 gives shades of gray. A gray image stays as it is.
fn adjust_saturation(image: &mut Image, factor: f64) {
    if image.mode() == Mode::Rgb {
        for rgb in image.pixels_mut().as_chunks_mut().0 {
            let gray = gray(*rgb);
            *rgb = rgb.map(|byte| blend(gray, byte, factor as f32));
        }
    }
}

/// `adjust_hue`: turns the hue by `factor` of a full circle, from -0.5 to 0.5, in 255 steps. A gray image stays as
/// it is; an RGB image goes to 8-bit HSV and back, which changes it even by 0.
fn adjust_hue(image: &mut Image, factor: f64) {
    // Cut off to a whole number, then around the circle, whose 256 steps are not 255: so does torchvision.
    let turn = (factor * 255.0) as i32 as u8;
    if image.mode() == Mode::Rgb {
        turn_hue(image.pixels_mut().as_chunks_mut().0, turn);
    }
}

/// Blends every byte with the same one.
fn away_from(image: &mut Image, degenerate: u8, factor: f64) {
    let blended: [u8; 256] = std::array::from_fn(|byte| blend(degenerate, byte as u8, factor as f32));
    for byte in image.pixels_mut() {
        *byte = blended[usize::from(*byte)];
    }
}

/// `Image.blend` of two bytes. The conversion to a byte cuts off the fraction, and what is below 0 or over 255.
fn blend(degenerate: u8, byte: u8, factor: f32) -> u8 {
    (f32::from(degenerate) + factor * (f32::from(byte) - f32::from(degenerate))) as u8
}

/// `convert("L")`: ITU-R 601 luma in 16 bits of fixed point.
fn gray([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}
