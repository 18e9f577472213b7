//! `torchvision.transforms.Resize`.

use super::{Resample, Transform};
use crate::image::Image;
use crate::random::Draws;
use crate::{Error, Result};

/// The size to give an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The shorter edge becomes as long as this; the longer one keeps the shape (rounded down). `Resize(224)`.
    ShorterEdge(usize),
    /// Height and width, whatever the shape. `Resize((224, 224))`.
    Exact(usize, usize),
}

/// `transforms.Resize(size)` on a PIL image: bilinear and antialiased.
///
/// ```
/// use torchvision_exact::image::{Image, Mode};
/// use torchvision_exact::transforms::{Resize, Size};
///
/// let image = Image::new(Mode::L, 2, 3, vec![0, 50, 100, 150, 200, 250])?;
/// let larger = Resize::new(Size::ShorterEdge(4))?.image(&image);
/// assert_eq!((larger.height(), larger.width()), (4, 6));
/// # Ok::<(), torchvision_exact::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    size: Size,
}

impl Resize {
    /// Resizes to `size`.
    ///
    /// # Errors
    /// If an edge would have no pixel, or more than 65,535.
    pub fn new(size: Size) -> Result<Self> {
        const LONGEST: usize = u16::MAX as usize;
        match size {
            Size::ShorterEdge(1..=LONGEST) | Size::Exact(1..=LONGEST, 1..=LONGEST) => Ok(Self { size }),
            _ => Err(Error::Size(size)),
        }
    }

    /// The size (height, width) that an image of `from` (height, width) gets.
    pub fn output_size(&self, from: (usize, usize)) -> (usize, usize) {
        // As Python computes int(size * long / short).
        let long_edge = |short, long: usize, shorter: usize| (short * long) as f64 / shorter as f64;
        match self.size {
            Size::Exact(height, width) => (height, width),
            Size::ShorterEdge(short) if from.1 <= from.0 => {
                (long_edge(short, from.0, from.1) as usize, short)
            }
            Size::ShorterEdge(short) => (short, long_edge(short, from.1, from.0) as usize),
        }
    }

    /// The image in its new size.
    pub fn image(&self, image: &Image) -> Image {
        let from = (image.height(), image.width());
        let to = self.output_size(from);
        let resample = Resample::new(from, to, image.mode().channels());
        let mut out = vec![0; resample.output_len()];
        resample.image(image.pixels(), &mut out);
        Image::new(image.mode(), to.0, to.1, out).expect("the resampling's own output size")
    }
}

impl Transform for Resize {
    fn transform(&self, image: Image, _draws: &mut dyn Draws) -> Image {
        self.image(&image)
    }
}
