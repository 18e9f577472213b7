//! Transforms of images: every pixel is torchvision's and Pillow's, on every machine. The Python of each test stands above
//! the test.

mod common;

use common::Stored;
use common::listed::transforms;
use torchvision_exact::random::{Draws, Mt19937};
use torchvision_exact::transforms::{ColorJitter, RandomResizedCrop, Resize, Size};

/// `make_references.resize` stores the pixels of this Python, for every image and size of `RESIZES`:
///
/// ```python
/// image = torch.randint(0, 256, (12, 12, 1), dtype=torch.uint8)
/// resized = Resize(96)(to_pil_image(image.permute(2, 0, 1)))  # bilinear
/// pil_to_tensor(resized).permute(1, 2, 0)
/// ```
#[test]
fn resized_pixels_are_pillows() {
    let stored = Stored::open("resize");
    for (case, size) in [
        ("gray_up", Size::ShorterEdge(96)),
        ("gray_same", Size::ShorterEdge(8)),
        ("gray_landscape", Size::ShorterEdge(25)),
        ("gray_portrait", Size::ShorterEdge(10)),
        ("odd_up", Size::Exact(19, 23)),
        ("odd_down", Size::Exact(10, 17)),
        ("columns_first", Size::Exact(20, 15)),
        ("rows_first", Size::Exact(10, 26)),
        ("rows_down_columns_up", Size::Exact(13, 31)),
        ("columns_down_rows_up", Size::Exact(31, 13)),
        ("columns_only", Size::Exact(6, 14)),
        ("rows_only", Size::Exact(14, 6)),
        ("tall", Size::Exact(20, 3)),
        ("one_row", Size::Exact(1, 7)),
        ("one_pixel", Size::Exact(5, 7)),
        ("to_one_pixel", Size::Exact(1, 1)),
    ] {
        let [image, resized] =
            ["image", "resized"].map(|part| stored.get(&format!("{case}.{part}")).images().remove(0));
        assert_eq!(Resize::new(size).unwrap().image(&image), resized, "{case}");
    }
}

const SETS: [&str; 6] = ["rgb", "gray", "rgb_pixel", "gray_pixel", "row", "column"];
const DRAWS: usize = 4;

/// `reference_transforms.transformed`, here for one of `TRANSFORMS`:
///
/// ```python
/// torch.manual_seed(0)
/// transform = RandomResizedCrop((9, 11), scale=(0.1, 1), ratio=(0.5, 2))
/// for image in images:
///     pil = to_pil_image(image.permute(2, 0, 1))
///     out = torch.stack([pil_to_tensor(transform(pil)).permute(1, 2, 0) for _ in range(4)])
/// next_seed = torch.empty((), dtype=torch.int64).random_()
/// ```
#[test]
fn transformed_pixels_are_torchvisions() {
    let stored = Stored::open("transforms");
    for (name, transform) in transforms() {
        for set in SETS {
            let mut draws = Mt19937::new(0);
            let images = stored.get(&format!("{set}.images")).images();
            let expected = stored.get(&format!("{name}.{set}.out")).images();
            assert_eq!(expected.len(), images.len() * DRAWS);
            for (image, expected) in images.iter().zip(expected.chunks(DRAWS)) {
                for expected in expected {
                    assert_eq!(transform.transform(image.clone(), &mut draws), *expected, "{name}: {set}");
                }
            }
            let next = stored.get(&format!("{name}.{set}.next_seed")).int();
            assert_eq!(draws.random_i64(), next, "{name}: {set}: draws as many numbers");
        }
    }
}

#[test]
fn impossible_transforms_are_refused() {
    assert!(Resize::new(Size::Exact(0, 3)).is_err());
    let crop = RandomResizedCrop::new((2, 3)).unwrap();
    for (min, max) in [(0.5, 0.1), (-0.1, 1.0), (0.0, 0.0), (0.1, f64::INFINITY), (f64::NAN, 1.0)] {
        assert!(crop.scale(min, max).is_err(), "scale {min} to {max}");
        assert!(crop.ratio(min, max).is_err(), "ratio {min} to {max}");
    }
    for strength in [(-0.1, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        assert!(ColorJitter::new(strength, 0.0, 0.0, 0.0).is_err(), "brightness {strength:?}");
    }
    for strength in [(-0.6, 0.0), (0.0, 0.51), (0.1, 0.0)] {
        assert!(ColorJitter::new(0.0, 0.0, 0.0, strength).is_err(), "hue {strength:?}");
    }
    assert!(ColorJitter::new(0.0, 0.0, -1.0, 0.0).is_err(), "a negative number");
}
