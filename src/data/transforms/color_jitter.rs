//! `torchvision.transforms.ColorJitter`.

use super::color::{adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation};
use super::{Image, Transform};
use crate::data::Draws;
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
/// use d2l_ch7::data::transforms::ColorJitter;
///
/// let jitter = ColorJitter::new(0.5, 0.5, (0.1, 3.0), 0.5)?;
/// assert!(ColorJitter::new(0.0, 0.0, 0.0, 0.6).is_err()); // hue goes to half a circle
/// # Ok::<(), d2l_ch7::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorJitter {
    brightness: Option<(f64, f64)>,
    contrast: Option<(f64, f64)>,
    saturation: Option<(f64, f64)>,
    hue: Option<(f64, f64)>,
}

/// What one image is changed by: the factors (1 is no change; of hue 0), and the order of the changes, in which 0
/// stands for brightness, 1 for contrast, 2 for saturation, 3 for hue.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// The numbers 0 to 3.
    pub order: Vec<i64>,
    /// `None` here and below: left alone.
    pub brightness: Option<f64>,
    /// See [`brightness`](Self::brightness).
    pub contrast: Option<f64>,
    /// See [`brightness`](Self::brightness).
    pub saturation: Option<f64>,
    /// See [`brightness`](Self::brightness).
    pub hue: Option<f64>,
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
        Ok(Self {
            brightness: factor_range("brightness", brightness.into())?,
            contrast: factor_range("contrast", contrast.into())?,
            saturation: factor_range("saturation", saturation.into())?,
            hue: range("hue", hue.into(), 0.0, (-0.5, 0.5))?,
        })
    }

    /// Draws what to change an image by: the order, then the factors.
    pub fn get_params(&self, draws: &mut dyn Draws) -> Factors {
        let order = draws.randperm(4);
        let mut factor =
            |range: Option<(f64, f64)>| range.map(|(min, max)| f64::from(draws.uniform(min, max)));
        Factors {
            order,
            brightness: factor(self.brightness),
            contrast: factor(self.contrast),
            saturation: factor(self.saturation),
            hue: factor(self.hue),
        }
    }
}

impl Transform for ColorJitter {
    fn transform(&self, mut image: Image, draws: &mut dyn Draws) -> Image {
        let factors = self.get_params(draws);
        for index in &factors.order {
            let (adjust, factor): (fn(&mut Image, f64), _) = match index {
                0 => (adjust_brightness, factors.brightness),
                1 => (adjust_contrast, factors.contrast),
                2 => (adjust_saturation, factors.saturation),
                _ => (adjust_hue, factors.hue),
            };
            if let Some(factor) = factor {
                adjust(&mut image, factor);
            }
        }
        image
    }
}

/// The range of a factor that is 1 where nothing changes, and never negative: a number over 1 is cut off there.
fn factor_range(name: &str, strength: Strength) -> Result<Option<(f64, f64)>> {
    let strength = match strength {
        Strength::Around(value) if value > 1.0 => Strength::Between(0.0, 1.0 + value),
        other => other,
    };
    range(name, strength, 1.0, (0.0, f64::INFINITY))
}

/// The range of a factor within `bounds`; `None` if it is always `center`, which changes nothing.
fn range(name: &str, strength: Strength, center: f64, bounds: (f64, f64)) -> Result<Option<(f64, f64)>> {
    let (min, max) = match strength {
        Strength::Around(value) => (center - value, center + value),
        Strength::Between(min, max) => (min, max),
    };
    if !(bounds.0 <= min && min <= max && max <= bounds.1 && max.is_finite()) {
        return Err(Error::usage(
            format!("{name} cannot be jittered by a factor from {min} to {max}"),
            format!("give a range within {} to {}, the smaller number first", bounds.0, bounds.1),
        ));
    }
    Ok(if min == center && max == center { None } else { Some((min, max)) })
}
