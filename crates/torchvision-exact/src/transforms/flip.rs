//! `torchvision.transforms.RandomHorizontalFlip` and `RandomVerticalFlip`.

use super::Transform;
use crate::image::{Image, Mode};
use crate::random::Draws;

/// `transforms.RandomHorizontalFlip(p)`: mirrors left and right with probability `p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomHorizontalFlip {
    /// Probability, 0.5 by default.
    pub p: f64,
}

/// `transforms.RandomVerticalFlip(p)`: turns top and bottom with probability `p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomVerticalFlip {
    /// Probability, 0.5 by default.
    pub p: f64,
}

impl Default for RandomHorizontalFlip {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

impl Default for RandomVerticalFlip {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

/// `torch.rand(1) < p`, which PyTorch compares in float32. Draws whatever `p` is.
fn happens(p: f64, draws: &mut dyn Draws) -> bool {
    draws.rand() < p as f32
}

impl Transform for RandomHorizontalFlip {
    fn transform(&self, mut image: Image, draws: &mut dyn Draws) -> Image {
        if happens(self.p, draws) {
            let (mode, row_len) = (image.mode(), image.width() * image.mode().channels());
            for row in image.pixels_mut().chunks_exact_mut(row_len) {
                match mode {
                    Mode::L => row.reverse(),
                    Mode::Rgb => row.as_chunks_mut::<3>().0.reverse(),
                }
            }
        }
        image
    }
}

impl Transform for RandomVerticalFlip {
    fn transform(&self, mut image: Image, draws: &mut dyn Draws) -> Image {
        if happens(self.p, draws) {
            let (height, row_len) = (image.height(), image.width() * image.mode().channels());
            let (top, bottom) = image.pixels_mut().split_at_mut(height / 2 * row_len);
            let bottom = bottom.chunks_exact_mut(row_len).rev();
            for (above, below) in top.chunks_exact_mut(row_len).zip(bottom) {
                above.swap_with_slice(below);
            }
        }
        image
    }
}
