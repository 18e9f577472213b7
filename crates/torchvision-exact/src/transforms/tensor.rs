//! `torchvision.transforms.ToTensor` and `Normalize`.

use tch::{Kind, Tensor};

use crate::foreign::tensor::filled;
use crate::image::{Image, Mode};
use crate::{Error, Result};

/// `transforms.ToTensor()`: bytes (height, width, channels) to float32 (channels, height, width) in [0, 1].
#[derive(Clone, Copy, Debug)]
pub struct ToTensor;

impl ToTensor {
    /// One image as (channels, height, width).
    pub fn image(&self, image: &Image) -> Tensor {
        self.batch(std::slice::from_ref(image)).expect("one image has one shape").squeeze_dim(0)
    }

    /// Images as (N, channels, height, width): each as [`image`](Self::image) gives it.
    ///
    /// # Errors
    /// If there is none, or if they differ in size or mode.
    pub fn batch(&self, images: &[Image]) -> Result<Tensor> {
        let shape = |image: &Image| (image.mode(), image.height(), image.width());
        let same = images.windows(2).all(|pair| shape(&pair[0]) == shape(&pair[1]));
        let (Some((mode, height, width)), true) = (images.first().map(shape), same) else {
            return Err(Error::Batch(images.len()));
        };
        Ok(filled([images.len(), mode.channels(), height, width], |values| {
            for (image, values) in images.iter().zip(values.chunks_exact_mut(values.len() / images.len())) {
                write(image, values);
            }
        }))
    }
}

/// Every byte over 255, divided in float32.
static SHARES: [f32; 256] = {
    let mut shares = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        shares[byte] = byte as f32 / 255.0;
        byte += 1;
    }
    shares
};

/// Writes the image plane by plane: (channels, height, width).
fn write(image: &Image, values: &mut [f32]) {
    let share = |byte: u8| SHARES[usize::from(byte)];
    match image.mode() {
        Mode::L => values.iter_mut().zip(image.pixels()).for_each(|(value, &byte)| *value = share(byte)),
        Mode::Rgb => {
            let (red, rest) = values.split_at_mut(values.len() / 3);
            let (green, blue) = rest.split_at_mut(rest.len() / 2);
            let pixels = image.pixels().as_chunks::<3>().0;
            for (((r, g), b), pixel) in red.iter_mut().zip(green).zip(blue).zip(pixels) {
                [*r, *g, *b] = pixel.map(share);
            }
        }
    }
}

/// `transforms.Normalize(mean, std)`: subtracts each channel's mean and divides by its standard deviation.
#[derive(Debug)]
pub struct Normalize {
    mean: Tensor,
    std: Tensor,
}

impl Normalize {
    /// A mean and a standard deviation for each channel.
    ///
    /// # Errors
    /// If there are not as many of one as of the other, or if a standard deviation is 0 in float32.
    pub fn new(mean: &[f64], std: &[f64]) -> Result<Self> {
        if mean.is_empty() || mean.len() != std.len() || std.iter().any(|&std| std as f32 == 0.0) {
            return Err(Error::Normalize { mean: mean.into(), std: std.into() });
        }
        let channels = |values: &[f64]| Tensor::from_slice(values).to_kind(Kind::Float).reshape([-1, 1, 1]);
        Ok(Self { mean: channels(mean), std: channels(std) })
    }

    /// `tensor`, float32 (..., channels, height, width), normalized.
    ///
    /// # Panics
    /// If it has other channels, or no floats.
    pub fn tensor(&self, tensor: &Tensor) -> Tensor {
        let (size, channels) = (tensor.size(), self.mean.size()[0]);
        let fits = size.len() >= 3 && [size[size.len() - 3], 1].contains(&channels);
        assert!(
            fits && tensor.is_floating_point(),
            "{size:?} of {:?} for {channels} channels",
            tensor.kind()
        );
        (tensor - self.mean.to_device(tensor.device())).g_div_(&self.std.to_device(tensor.device()))
    }
}
