//! torchvision's transforms, as they act on PIL images: the same pixels, all of them.
//!
//! torchvision 0.26 hands 8-bit images to Pillow, whose arithmetic is fixed-point or single precision; what is here
//! follows Pillow 13. The random ones draw what torchvision draws, in its order, from any stream of PyTorch's random
//! numbers ([`Draws`](crate::random::Draws)). Names, parameters and defaults are torchvision's.

mod color_jitter;
mod compose;
mod crop;
mod flip;
mod hsv;
mod resample;
mod resize;
#[cfg(feature = "tch")]
mod tensor;

pub use color_jitter::{ColorJitter, Strength};
pub use compose::{Compose, Transform};
pub use crop::RandomResizedCrop;
pub use flip::{RandomHorizontalFlip, RandomVerticalFlip};
pub use resample::Resample;
pub use resize::{Resize, Size};
#[cfg(feature = "tch")]
pub use tensor::{Normalize, ToTensor};
