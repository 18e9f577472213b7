//! torchvision's transforms, as they act on PIL images: the same pixels, all of them.
//!
//! torchvision 0.26 hands 8-bit images to Pillow, whose arithmetic is fixed-point or single precision; what is here
//! follows Pillow 13. An [`Image`] goes through [`Resize`] pixel for pixel as it would in Python.

mod image;
mod resample;
mod resize;

pub use image::{Image, Mode};
pub use resample::Resample;
pub use resize::{Resize, Size};
