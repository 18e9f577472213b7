//! What happens to the training images before they are seen.

use std::fmt;

use clap::ValueEnum;
use torchvision_exact::transforms::{ColorJitter, Compose, RandomHorizontalFlip, RandomResizedCrop};

use crate::experiments::values::name_of;

/// What a comparison compares, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Data {
    /// Images changed at random, anew in every epoch.
    Augmented,
    /// Images as they are.
    Plain,
}

/// Transforms of the training images, the note's first; `ToTensor` follows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Augmentation {
    /// The note's: mirrored left and right, or not.
    Flip,
    /// Then a part of 0.64 to 1 of the image, resized to 32 x 32, as d2l's section 13.13 crops CIFAR-10.
    #[value(name = "flip+crop")]
    FlipCrop,
    /// Then the note's colours: brightness by up to 0.5, contrast by 0.2, saturation by 0.6, hue by 0.4.
    #[value(name = "flip+jitter")]
    FlipJitter,
    /// Flip, crop, colours.
    All,
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&name_of(self))
    }
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&name_of(self))
    }
}

impl Augmentation {
    /// The transforms of a CIFAR-10 image.
    pub fn transforms(self) -> Compose {
        const IN_RANGE: &str = "the constants are in range";
        let mut transforms = Compose::new().then(RandomHorizontalFlip::default());
        if matches!(self, Self::FlipCrop | Self::All) {
            let crop =
                RandomResizedCrop::new((32, 32)).and_then(|crop| crop.scale(0.64, 1.0)?.ratio(1.0, 1.0));
            transforms = transforms.then(crop.expect(IN_RANGE));
        }
        if matches!(self, Self::FlipJitter | Self::All) {
            transforms = transforms.then(ColorJitter::new(0.5, 0.2, 0.6, 0.4).expect(IN_RANGE));
        }
        transforms
    }
}
