//! Transforms of images: every pixel is torchvision's and Pillow's, on every machine. The Python of each test stands above
//! the test.

use d2l_ch7::data::transforms::{
    ColorJitter, Compose, Image, Mode, Normalize, RandomHorizontalFlip, RandomResizedCrop,
    RandomVerticalFlip, Resample, Resize, Size, ToTensor, Transform,
};
use d2l_ch7::data::{DefaultGenerator, Draws, FashionMnist, Mt19937};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::live::{Live, succeed};
use crate::support::{ROUNDING, Stored, bytes, libtorch, missing};

/// A tensor (height, width, channels) of bytes as an image.
fn image(tensor: &Tensor) -> Image {
    let [height, width, channels] = tensor.size()[..] else { panic!("{tensor:?} is no image") };
    let mode = if channels == 1 { Mode::L } else { Mode::Rgb };
    Image::new(mode, height as usize, width as usize, bytes(tensor)).unwrap()
}

/// An image as a tensor (height, width, channels) of bytes.
fn tensor(image: &Image) -> Tensor {
    let size = [image.height(), image.width(), image.mode().channels()].map(|n| n as i64);
    Tensor::from_data_size(image.pixels(), &size, Kind::Uint8)
}

/// `fixtures.resize` stores the pixels of this Python, for every image and size of `fixtures.RESIZES`:
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
        let resized = Resize::new(size).unwrap().image(&image(stored.get(&format!("{case}.image"))));
        stored.assert_equal(&format!("{case}.resized"), &tensor(&resized));
    }
}

/// `fashion_mnist.resized` of the first 1,000 test images.
#[test]
fn a_thousand_real_images_resize_to_pillows_pixels() {
    let data = match FashionMnist::load(None, false) {
        Ok(data) if data.is_published() => data,
        Ok(_) => {
            return missing("a thousand resized images", "the Fashion-MNIST here is not the published one");
        }
        Err(error) => return missing("a thousand resized images", &error.to_string()),
    };
    let resized = Resample::new((28, 28), (224, 224), 1).batch(&data.test.pixels[..1000 * 28 * 28], 2);
    let resized = Tensor::from_data_size(&resized, &[1000, 1, 224, 224], Kind::Uint8);
    Stored::open("resize").assert_digest("fashion_mnist", &resized, ROUNDING);
}

/// The transforms of `random_transforms.TRANSFORMS`, in the same order.
fn transforms() -> Vec<(&'static str, Box<dyn Transform>)> {
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

/// `transform`, applied to an image `count` times: (count, height, width, channels).
fn drawn(image: &Image, transform: &dyn Transform, count: i64, draws: &mut dyn Draws) -> Tensor {
    let out: Vec<_> = (0..count).map(|_| tensor(&transform.transform(image.clone(), draws))).collect();
    Tensor::stack(&out, 0)
}

/// The images of a tensor (n, height, width, channels).
fn images(tensor: &Tensor) -> Vec<Image> {
    (0..tensor.size()[0]).map(|i| image(&tensor.get(i))).collect()
}

/// The int64 that PyTorch's `random_()` would draw: 64 bits of the generator without the highest.
fn next_seed(draws: &mut dyn Draws) -> i64 {
    let high = u64::from(draws.next_u32());
    (((high << 32) | u64::from(draws.next_u32())) & (u64::MAX >> 1)) as i64
}

const SETS: [&str; 6] = ["rgb", "gray", "rgb_pixel", "gray_pixel", "row", "column"];

/// A generator of its own and the process's default generator give the same pixels. `random_transforms.transformed`, stored by
/// `fixtures.transforms`, here for one of `TRANSFORMS`:
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
    let _turn = libtorch();
    let stored = Stored::open("transforms");
    for (name, transform) in transforms() {
        for set in SETS {
            tch_extra::manual_seed(0);
            for draws in [&mut Mt19937::new(0) as &mut dyn Draws, &mut DefaultGenerator] {
                let images = images(stored.get(&format!("{set}.images")));
                let out: Vec<_> =
                    images.iter().map(|image| drawn(image, transform.as_ref(), 4, draws)).collect();
                stored.assert_equal(&format!("{name}.{set}.out"), &Tensor::stack(&out, 0));
                let next = format!("{name}.{set}.next_seed");
                assert_eq!(next_seed(draws), stored.int(&next), "{next}: draws as many numbers");
            }
        }
    }
}

/// Stored by `fixtures.transforms`, here for RGB images:
///
/// ```python
/// batch = torch.stack([ToTensor()(to_pil_image(image.permute(2, 0, 1))) for image in images])
/// normalized = Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(batch)
/// ```
#[test]
fn tensors_of_images_are_torchvisions() {
    let _turn = libtorch();
    let stored = Stored::open("transforms");
    for set in SETS {
        let images = images(stored.get(&format!("{set}.images")));
        let batch = ToTensor.batch(&images).unwrap();
        stored.assert_floats(&format!("{set}.to_tensor"), &batch);
        assert!(ToTensor.image(&images[1]) == batch.get(1), "{set}: one image is that of its batch");
        let normalize = match images[0].mode() {
            Mode::L => Normalize::new(&[0.5], &[0.25]),
            Mode::Rgb => Normalize::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]),
        };
        stored.assert_floats(&format!("{set}.normalized"), &normalize.unwrap().tensor(&batch));
    }
    let gray = Image::new(Mode::L, 1, 2, vec![0, 1]).unwrap();
    let rgb = Image::new(Mode::Rgb, 1, 2, vec![0; 6]).unwrap();
    assert!(ToTensor.batch(&[gray, rgb]).is_err());
    assert!(ToTensor.batch(&[]).is_err());
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
    assert!(Normalize::new(&[0.5], &[0.0]).is_err());
    assert!(Normalize::new(&[0.5, 0.5], &[1.0]).is_err());
}

/// 1,000 real images of ten shapes, gray and RGB, and every transform twenty times: the SHA-256 of the pixels.
/// `random_transforms.py`, run live:
///
/// ```python
/// for seed, images in enumerate(random_transforms.image_sets(data_dir).values()):
///     for name in random_transforms.TRANSFORMS:
///         out, next_seed = random_transforms.drawn(name, images, 20, seed)
///         pixels = [b"".join(pil.tobytes() for pil in of_image) for of_image in out]
///         digests = [hashlib.sha256(of_image).digest() for of_image in pixels]
/// turned = adjust_hue(random_transforms.every_colour(), 0.2)
/// ```
#[test]
fn a_thousand_images_transform_to_torchvisions_pixels() {
    const DRAWS: usize = 20;
    let _turn = libtorch();
    let Some(live) = Live::find("a thousand transformed images") else { return };
    let file = live.folder.path().join("transforms.safetensors");
    let pillow = succeed(
        live.python("random_transforms.py").args(["--draws", &DRAWS.to_string(), "--out"]).arg(&file),
    );
    if pillow.split('.').next().and_then(|major| major.parse().ok()).is_none_or(|major: u32| major < 13) {
        return missing(
            "a thousand transformed images",
            &format!("Pillow {pillow} resizes in another order"),
        );
    }
    let tensors: std::collections::BTreeMap<_, _> =
        Tensor::read_safetensors(file).unwrap().into_iter().collect();
    let mut compared = 0;
    // The sets in the order of their seeds: gray0, rgb0, gray1, ...
    let mut sets: Vec<&str> = tensors.keys().filter_map(|name| name.strip_suffix(".images")).collect();
    sets.sort_by_key(|set| (set.split('_').next().unwrap().trim_start_matches(char::is_alphabetic), *set));
    for (seed, set) in sets.into_iter().enumerate() {
        let images = images(&tensors[&format!("{set}.images")]);
        for (name, transform) in transforms() {
            let mut draws = Mt19937::new(seed as u64);
            let digests = &tensors[&format!("{name}.{set}.sha256")];
            for (i, image) in images.iter().enumerate() {
                let mut digest = Sha256::new();
                for _ in 0..DRAWS {
                    digest.update(transform.transform(image.clone(), &mut draws).pixels());
                }
                let expected = digests.get(i as i64);
                assert!(
                    Tensor::from_slice(digest.finalize().as_slice()) == expected,
                    "{name}: {set}: image {i}"
                );
                compared += 1;
            }
            let next = tensors[&format!("{name}.{set}.next_seed")].int64_value(&[]);
            assert_eq!(next_seed(&mut draws), next, "{name}: {set}: draws as many numbers");
        }
    }
    assert_eq!(compared, 1000 * transforms().len());
    let digest = Sha256::digest(every_colour_turned().pixels());
    assert!(Tensor::from_slice(digest.as_slice()) == tensors["every_colour.sha256"]);
}

/// An image of all 2^24 colours, blue changing fastest, after its hue was turned by a fifth.
fn every_colour_turned() -> Image {
    let colours = (0..1u32 << 24).flat_map(|colour| colour.to_be_bytes().into_iter().skip(1)).collect();
    let image = Image::new(Mode::Rgb, 4096, 4096, colours).unwrap();
    let turn = ColorJitter::new(0.0, 0.0, 0.0, (0.2, 0.2)).unwrap();
    turn.transform(image, &mut Mt19937::new(0))
}
