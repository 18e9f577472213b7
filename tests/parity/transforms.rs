//! Images transformed: every pixel is torchvision's and Pillow's, on every machine.

use d2l_ch7::data::FashionMnist;
use d2l_ch7::data::transforms::{Image, Mode, Resample, Resize, Size};
use tch::{Kind, Tensor};

use crate::support::{Stored, bytes, skipped};

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

#[test]
fn a_thousand_real_images_resize_to_pillows_pixels() {
    let data = match FashionMnist::load(None, false) {
        Ok(data) if data.is_published() => data,
        Ok(_) => {
            return skipped("a thousand resized images", "the Fashion-MNIST here is not the published one");
        }
        Err(error) => return skipped("a thousand resized images", &error.to_string()),
    };
    let resized = Resample::new((28, 28), (224, 224), 1).batch(&data.test.pixels[..1000 * 28 * 28], 2);
    let resized = Tensor::from_data_size(&resized, &[1000, 1, 224, 224], Kind::Uint8);
    Stored::open("resize").assert_digest("fashion_mnist", &resized);
}
