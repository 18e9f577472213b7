//! What happens to the training images before they are seen.

use std::fmt;

use clap::ValueEnum;

use crate::Result;
use crate::data::transforms::{ColorJitter, Compose, RandomHorizontalFlip, RandomResizedCrop};
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
        let flipped = Compose::new().then(RandomHorizontalFlip::default());
        let cropped = |compose: Compose| Ok(compose.then(crop()?));
        let jittered = |compose: Compose| Ok(compose.then(jitter()?));
        let transforms: Result<Compose> = match self {
            Self::Flip => Ok(flipped),
            Self::FlipCrop => cropped(flipped),
            Self::FlipJitter => jittered(flipped),
            Self::All => cropped(flipped).and_then(jittered),
        };
        transforms.expect("the constants below are in range")
    }
}

fn crop() -> Result<RandomResizedCrop> {
    RandomResizedCrop::new((32, 32))?.scale(0.64, 1.0)?.ratio(1.0, 1.0)
}

fn jitter() -> Result<ColorJitter> {
    ColorJitter::new(0.5, 0.2, 0.6, 0.4)
}
