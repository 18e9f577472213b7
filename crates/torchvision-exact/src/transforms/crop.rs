//! `torchvision.transforms.RandomResizedCrop`.

use super::{Resize, Size, Transform};
use crate::image::{CropBox, Image};
use crate::random::Draws;
use crate::{Error, Result};

/// `transforms.RandomResizedCrop(size, scale, ratio)` on a PIL image: cuts out a part of random area and shape at a
/// random place, and resizes it (bilinear, antialiased). Without the feature `tch`, a few crops of a million have a side that is longer or
/// shorter by a pixel than torchvision's: see [How exact](crate#how-exact).
///
/// ```
/// use torchvision_exact::transforms::RandomResizedCrop;
///
/// let crop = RandomResizedCrop::new((200, 200))?.scale(0.1, 1.0)?.ratio(0.5, 2.0)?;
/// assert!(crop.scale(0.5, 0.1).is_err());
/// # Ok::<(), torchvision_exact::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomResizedCrop {
    resize: Resize,
    scale: (f64, f64),
    ratio: (f64, f64),
    log_ratio: (f64, f64),
}

impl RandomResizedCrop {
    /// Crops that get the size (height, width), with torchvision's defaults: 0.08 to 1 of the image's area, sides
    /// (width to height) from 3:4 to 4:3.
    ///
    /// # Errors
    /// If the size holds no pixel.
    pub fn new(size: (usize, usize)) -> Result<Self> {
        let resize = Resize::new(Size::Exact(size.0, size.1))?;
        Self { resize, scale: (0.08, 1.0), ratio: (1.0, 1.0), log_ratio: (0.0, 0.0) }
            .ratio(3.0 / 4.0, 4.0 / 3.0)
    }

    /// The least and the most of an image's area that is cut out, as a share of it. Shares over 1 never fit.
    ///
    /// # Errors
    /// Unless 0 <= min <= max, and max is positive and finite.
    pub fn scale(self, min: f64, max: f64) -> Result<Self> {
        check("scale", min, max, min >= 0.0 && max > 0.0)?;
        Ok(Self { scale: (min, max), ..self })
    }

    /// The least and the most of width over height.
    ///
    /// # Errors
    /// Unless 0 < min <= max, and max is finite.
    pub fn ratio(self, min: f64, max: f64) -> Result<Self> {
        check("ratio", min, max, min > 0.0)?;
        // torchvision takes the logarithm in float32.
        Ok(Self { ratio: (min, max), log_ratio: (log(min as f32), log(max as f32)), ..self })
    }

    /// Draws what to cut out of an image of `height` x `width` pixels: the first of ten draws that fits; else the
    /// middle of the image, as much as the ratio permits, which may be nothing of an image a few pixels wide.
    pub fn get_params(&self, height: usize, width: usize, draws: &mut dyn Draws) -> CropBox {
        let area = (height * width) as f64;
        for _ in 0..10 {
            let target_area = area * f64::from(draws.uniform(self.scale.0, self.scale.1));
            let aspect_ratio = exp(draws.uniform(self.log_ratio.0, self.log_ratio.1));
            let w = rounded((target_area * aspect_ratio).sqrt());
            let h = rounded((target_area / aspect_ratio).sqrt());
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = draws.randint(height - h + 1);
                let left = draws.randint(width - w + 1);
                return CropBox { top, left, height: h, width: w };
            }
        }
        self.central(height, width)
    }

    fn central(&self, height: usize, width: usize) -> CropBox {
        let in_ratio = width as f64 / height as f64;
        let (h, w) = if in_ratio < self.ratio.0 {
            (rounded(width as f64 / self.ratio.0), width)
        } else if in_ratio > self.ratio.1 {
            (height, rounded(height as f64 * self.ratio.1))
        } else {
            (height, width)
        };
        CropBox { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}

impl Transform for RandomResizedCrop {
    fn transform(&self, image: Image, draws: &mut dyn Draws) -> Image {
        let part = self.get_params(image.height(), image.width(), draws);
        if part.height == 0 || part.width == 0 {
            // Pillow sums up no pixels: black.
            let (height, width) = self.resize.output_size((1, 1));
            return Image::black(image.mode(), height, width);
        }
        self.resize.image(&image.crop(part))
    }
}

/// `torch.log` of one float32.
fn log(x: f32) -> f64 {
    #[cfg(feature = "tch")]
    return tch::Tensor::from_slice(&[x]).log().double_value(&[]);
    #[cfg(not(feature = "tch"))]
    f64::from(f64::from(x).ln() as f32)
}

/// `torch.exp` of one float32.
fn exp(x: f32) -> f64 {
    #[cfg(feature = "tch")]
    return tch::Tensor::from_slice(&[x]).exp().double_value(&[]);
    #[cfg(not(feature = "tch"))]
    f64::from(f64::from(x).exp() as f32)
}

/// Python's `int(round(x))`: a half goes to the even neighbour.
fn rounded(x: f64) -> usize {
    x.round_ties_even() as usize
}

fn check(parameter: &'static str, min: f64, max: f64, in_range: bool) -> Result<()> {
    if in_range && min <= max && max.is_finite() {
        return Ok(());
    }
    Err(Error::Crop { parameter, min, max })
}
