//! Images made small enough to be shown.

use torchvision_exact::image::{Image, Mode};
use torchvision_exact::transforms::{Resize, Size};

use crate::report::Thumbnail;

/// `image` with sides of `longest` pixels at most, resampled as [`Resize`] does; smaller ones stay as they are.
pub fn fitting(image: &Image, longest: usize) -> Thumbnail {
    let (height, width) = (image.height(), image.width());
    let side = |side: usize| (side * longest).div_euclid(height.max(width)).max(1);
    let small = (height.max(width) > longest).then(|| {
        let resize = Resize::new(Size::Exact(side(height), side(width)));
        resize.expect("sides of one pixel or more").image(image)
    });
    let shown = small.as_ref().unwrap_or(image);
    let pixels = match shown.mode() {
        Mode::L => shown.pixels().iter().map(|&gray| [gray; 3]).collect(),
        Mode::Rgb => shown.pixels().as_chunks().0.to_vec(),
    };
    Thumbnail { width: shown.width(), height: shown.height(), pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_fit_and_small_ones_stay() {
        let gray = |height, width| Image::new(Mode::L, height, width, vec![7; height * width]).unwrap();
        for (image, size) in
            [(gray(4, 3), (4, 3)), (gray(10, 10), (10, 10)), (gray(20, 11), (10, 5)), (gray(1, 500), (1, 10))]
        {
            let small = fitting(&image, 10);
            assert_eq!((small.height, small.width), size);
            assert_eq!(small.pixels, vec![[7; 3]; size.0 * size.1]);
        }
    }
}
