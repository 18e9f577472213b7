//! The transforms that are compared with torchvision's.

use torchvision_exact::transforms::{
    ColorJitter, Compose, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip, Resize, Size,
    Transform,
};

/// The transforms of `reference_transforms.TRANSFORMS`, in the same order.
pub fn transforms() -> Vec<(&'static str, Box<dyn Transform>)> {
    fn boxed(transform: impl Transform + 'static) -> Box<dyn Transform> {
        Box::new(transform)
    }
    let crop = |height, width| RandomResizedCrop::new((height, width)).unwrap();
    let jitter = || ColorJitter::new(0.5, 0.5, 0.5, 0.5).unwrap();
    let composed = Compose::new()
        .then(RandomHorizontalFlip::default())
        .then(Resize::new(Size::Exact(10, 8)).unwrap())
        .then(jitter())
        .then(RandomVerticalFlip::default())
        .then(crop(6, 9));
    let extreme = (0.0, 100.0);
    vec![
        ("horizontal_flip", boxed(RandomHorizontalFlip::default())),
        ("horizontal_flip_0.3", boxed(RandomHorizontalFlip { p: 0.3 })),
        ("vertical_flip", boxed(RandomVerticalFlip::default())),
        ("vertical_flip_0.8", boxed(RandomVerticalFlip { p: 0.8 })),
        ("resized_crop", boxed(crop(12, 12))),
        ("resized_crop_note", boxed(crop(9, 11).scale(0.1, 1.0).unwrap().ratio(0.5, 2.0).unwrap())),
        ("resized_crop_wide", boxed(crop(5, 7).scale(0.5, 2.0).unwrap().ratio(1.5, 3.0).unwrap())),
        ("resized_crop_high", boxed(crop(7, 6).scale(0.5, 2.0).unwrap().ratio(0.2, 0.4).unwrap())),
        ("brightness", boxed(ColorJitter::new(0.5, 0.0, 0.0, 0.0).unwrap())),
        ("brightness_extreme", boxed(ColorJitter::new(extreme, 0.0, 0.0, 0.0).unwrap())),
        ("contrast", boxed(ColorJitter::new(0.0, 0.5, 0.0, 0.0).unwrap())),
        ("contrast_extreme", boxed(ColorJitter::new(0.0, extreme, 0.0, 0.0).unwrap())),
        ("saturation", boxed(ColorJitter::new(0.0, 0.0, 1.5, 0.0).unwrap())),
        ("saturation_extreme", boxed(ColorJitter::new(0.0, 0.0, extreme, 0.0).unwrap())),
        ("hue", boxed(ColorJitter::new(0.0, 0.0, 0.0, 0.5).unwrap())),
        ("hue_low_end", boxed(ColorJitter::new(0.0, 0.0, 0.0, (-0.5, -0.5)).unwrap())),
        ("hue_high_end", boxed(ColorJitter::new(0.0, 0.0, 0.0, (0.5, 0.5)).unwrap())),
        ("jitter", boxed(jitter())),
        ("jitter_nothing", boxed(ColorJitter::new(0.0, 0.0, 0.0, 0.0).unwrap())),
        ("composed", boxed(composed)),
    ]
}
