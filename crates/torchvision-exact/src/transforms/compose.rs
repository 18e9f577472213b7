//! Transforms, one alone or one after the other: `torchvision.transforms.Compose`.

use crate::image::Image;
use crate::random::Draws;

/// A transform of an image, which may draw random numbers.
pub trait Transform: Send + Sync {
    /// The image transformed, with what is random drawn from `draws`.
    fn transform(&self, image: Image, draws: &mut dyn Draws) -> Image;
}

/// `transforms.Compose([...])`: transforms one after the other. What makes tensors, `ToTensor` and
/// `Normalize`, comes after it, a batch at a time.
///
/// ```
/// use torchvision_exact::image::{Image, Mode};
/// use torchvision_exact::random::Mt19937;
/// use torchvision_exact::transforms::{Compose, RandomHorizontalFlip, Resize, Size, Transform};
///
/// let augs = Compose::new().then(RandomHorizontalFlip::default()).then(Resize::new(Size::Exact(4, 4))?);
/// let image = Image::new(Mode::L, 1, 2, vec![10, 20])?;
/// assert_eq!(augs.transform(image, &mut Mt19937::new(0)).height(), 4);
/// # Ok::<(), torchvision_exact::Error>(())
/// ```
#[derive(Default)]
pub struct Compose {
    transforms: Vec<Box<dyn Transform>>,
}

impl Compose {
    /// No transform: images stay as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a transform.
    #[must_use]
    pub fn then(mut self, transform: impl Transform + 'static) -> Self {
        self.transforms.push(Box::new(transform));
        self
    }
}

impl Transform for Compose {
    fn transform(&self, image: Image, draws: &mut dyn Draws) -> Image {
        self.transforms.iter().fold(image, |image, transform| transform.transform(image, draws))
    }
}
