//! Feature scaling: the channels of RGB images brought to like ranges, as torchvision's `Normalize` does it with
//! ImageNet's mean and standard deviation.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};
use torchvision_exact::image::Image;
use torchvision_exact::transforms::Normalize;

use super::one_pass::CHANNELWISE;

/// Mean of ImageNet's red, green and blue, of pixels in [0, 1].
pub const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
pub const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// Before and after scaling; what is subtracted from each channel, and what it is divided by.
pub const STAGES: [(&str, [f64; 3], [f64; 3]); 2] =
    [("before", [0.0; 3], [1.0; 3]), ("after", IMAGENET_MEAN, IMAGENET_STD)];

/// Bins of a histogram: of the 256 levels of a channel, four to a bin.
const BINS: i64 = 64;

/// `transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)` of float images (..., 3, H, W).
pub fn normalize(images: &Tensor) -> Tensor {
    let normalize = Normalize::new(&IMAGENET_MEAN, &IMAGENET_STD);
    normalize.expect("three means, and three deviations that are not 0").tensor(images)
}

/// Images before and after scaling.
#[derive(Debug)]
pub struct FeatureScaling {
    /// (N, 3, H, W), bytes.
    pub images: Tensor,
    /// (N, 3, H, W), in [0, 1], as torchvision's `ToTensor` gives them.
    pub before: Tensor,
    /// The same after [`normalize`] with ImageNet's constants.
    pub after: Tensor,
}

impl FeatureScaling {
    /// Scales `images`, (N, 3, H, W), bytes.
    pub fn of(images: Tensor) -> Self {
        let before = images.to_kind(Kind::Float) / 255;
        let after = normalize(&before);
        Self { images, before, after }
    }

    /// How the values of each channel are distributed, before and after: `before.mean`, `before.std` (unbiased), `before.min` and
    /// `before.max`, (3,), and `before.histogram`, how many pixels are in each bin, (3, `BINS`), int64.
    pub fn figures(&self) -> BTreeMap<String, Tensor> {
        let stages = STAGES.iter().zip([&self.before, &self.after]);
        let figures = stages.flat_map(|(&(stage, mean, std), values)| {
            let counts = (0..3).map(|channel| {
                // In float64, which counts beyond 2^24 and does not move an edge onto a level.
                let values = values.select(1, channel as i64).to_kind(Kind::Double);
                let (low, high) = range(mean[channel], std[channel]);
                values.histogram_bin_ct(BINS, [low, high], None::<Tensor>, false).0
            });
            [
                ("mean", values.mean_dim(CHANNELWISE, false, None)),
                ("std", values.std_dim(CHANNELWISE, true, false)),
                ("min", values.amin(CHANNELWISE, false)),
                ("max", values.amax(CHANNELWISE, false)),
                ("histogram", Tensor::stack(&counts.collect::<Vec<_>>(), 0).to_kind(Kind::Int64)),
            ]
            .map(|(name, tensor)| (format!("{stage}.{name}"), tensor))
        });
        figures.collect()
    }
}

/// Where the first bin of a channel begins and the last one ends. It is half a level beyond the darkest and the brightest, so that no
/// level falls on an edge.
pub fn range(mean: f64, std: f64) -> (f64, f64) {
    ((-0.5 / 255.0 - mean) / std, (255.5 / 255.0 - mean) / std)
}

/// One RGB image as a batch (1, 3, H, W) of bytes.
pub fn batch_of_one(image: &Image) -> Tensor {
    let size = [1, image.height(), image.width(), 3].map(|n| n as i64);
    Tensor::from_slice(image.pixels()).reshape(size).permute([0, 3, 1, 2]).contiguous()
}

/// Eight images (8, 3, 64, 64) of bytes, drawn from the default generator: smooth gradients between four corners of
/// random colour, in a warm light, so that the channels differ in their means as those of photographs do.
pub fn gradient_images() -> Tensor {
    const LIGHT: [f32; 3] = [1.0, 0.85, 0.65];
    let corners = Tensor::rand([8, 3, 2, 2, 1, 1], (Kind::Float, Device::Cpu));
    let corner = |row, column| corners.select(2, row).select(2, column);
    let across = Tensor::arange(64, (Kind::Float, Device::Cpu)) / 63;
    let down = across.reshape([64, 1]);
    let top = corner(0, 0) * (1 - &across) + corner(0, 1) * &across;
    let bottom = corner(1, 0) * (1 - &across) + corner(1, 1) * &across;
    let light = Tensor::from_slice(&LIGHT).reshape([3, 1, 1]);
    let lit: Tensor = (top * (1 - &down) + bottom * &down) * light;
    (lit * 255).round().to_kind(Kind::Uint8)
}
