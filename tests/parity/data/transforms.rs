//! Transforms that draw from libtorch's default generator, and those of real images: every pixel is torchvision's and Pillow's, on every
//! machine. The Python of each test stands above the test; `crates/torchvision-exact/tests` has the rest.

use d2l_ch7::data::{DefaultGenerator, FashionMnist};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};
use torchvision_exact::image::{Image, Mode};
use torchvision_exact::random::{Draws, Mt19937};
use torchvision_exact::transforms::{ColorJitter, Resample, Transform};

use crate::listed::transforms;
use crate::live::{Live, succeed};
use crate::support::{ROUNDING, Stored, bytes, exact_stored, libtorch, missing};

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

/// `transform`, applied to an image `count` times: (count, height, width, channels).
fn drawn(image: &Image, transform: &dyn Transform, count: i64, draws: &mut dyn Draws) -> Tensor {
    let out: Vec<_> = (0..count).map(|_| tensor(&transform.transform(image.clone(), draws))).collect();
    Tensor::stack(&out, 0)
}

/// The images of a tensor (n, height, width, channels).
fn images(tensor: &Tensor) -> Vec<Image> {
    (0..tensor.size()[0]).map(|i| image(&tensor.get(i))).collect()
}

/// The Python that stored the pixels stands in `crates/torchvision-exact/tests/transforms.rs`.
#[test]
fn the_default_generator_gives_torchvisions_pixels() {
    let _turn = libtorch();
    let stored = exact_stored("transforms");
    for (name, transform) in transforms() {
        for set in ["rgb", "gray", "rgb_pixel", "gray_pixel", "row", "column"] {
            tch_extra::manual_seed(0);
            let images = images(stored.get(&format!("{set}.images")));
            let drawn = |image| drawn(image, transform.as_ref(), 4, &mut DefaultGenerator);
            let out: Vec<_> = images.iter().map(drawn).collect();
            stored.assert_equal(&format!("{name}.{set}.out"), &Tensor::stack(&out, 0));
            let next = format!("{name}.{set}.next_seed");
            assert_eq!(tch_extra::random_i64(), stored.int(&next), "{next}: draws as many numbers");
        }
    }
}

/// 1,000 real images of ten shapes, gray and RGB, and every transform twenty times: the SHA-256 of the pixels.
/// `random_transforms.py`, run live:
///
/// ```python
/// for seed, images in enumerate(random_transforms.image_sets(data_dir).values()):
///     for name in reference_transforms.TRANSFORMS:
///         out, next_seed = reference_transforms.drawn(name, images, 20, seed)
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
            assert_eq!(draws.random_i64(), next, "{name}: {set}: draws as many numbers");
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
