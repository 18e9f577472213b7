//! `torchvision.transforms.functional.adjust_*` on PIL images: Pillow's `ImageEnhance`, and its hue.
//!
//! Brightness, contrast and saturation each lead from a degenerate image (black, even gray, shades of gray) through
//! the image itself (factor 1) and beyond: degenerate + factor * (image - degenerate) in float32, cut off to a byte.

use super::hsv::turn_hue;
use super::{Image, Mode};

/// `adjust_brightness`: 0 gives black.
pub(super) fn adjust_brightness(image: &mut Image, factor: f64) {
    away_from(image, 0, factor);
}

/// `adjust_contrast`: 0 gives the mean of the image's gray everywhere.
pub(super) fn adjust_contrast(image: &mut Image, factor: f64) {
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
pub(super) fn adjust_saturation(image: &mut Image, factor: f64) {
    if image.mode() == Mode::Rgb {
        for rgb in image.pixels_mut().as_chunks_mut().0 {
            let gray = gray(*rgb);
            *rgb = rgb.map(|byte| blend(gray, byte, factor as f32));
        }
    }
}

/// `adjust_hue`: turns the hue by `factor` of a full circle, from -0.5 to 0.5, in 255 steps. A gray image stays as
/// it is; an RGB image goes to 8-bit HSV and back, which changes it even by 0.
pub(super) fn adjust_hue(image: &mut Image, factor: f64) {
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
