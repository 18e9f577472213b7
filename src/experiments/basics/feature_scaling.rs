//! Feature scaling: the channels of RGB images brought to like ranges, as torchvision's `Normalize` does it with
//! ImageNet's mean and standard deviation.

use tch::{Device, Kind, Tensor};

use crate::data::transforms::{Image, Normalize};

/// Mean of ImageNet's red, green and blue, of pixels in [0, 1].
pub const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
pub const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// Bins of a histogram: of the 256 levels of a channel, four to a bin.
const BINS: i64 = 64;
/// Every dimension of (N, 3, H, W) but the channels'.
const CHANNELWISE: &[i64] = &[0, 2, 3];

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

/// How the values of each channel are distributed.
#[derive(Debug)]
pub struct Distribution {
    /// Before or after.
    pub stage: &'static str,
    /// By channel, (3,).
    pub mean: Tensor,
    /// By channel, (3,), unbiased as `torch.std`.
    pub std: Tensor,
    /// By channel, (3,).
    pub min: Tensor,
    /// By channel, (3,).
    pub max: Tensor,
    /// Pixels by channel and bin, (3, [`BINS`]), int64.
    pub histogram: Tensor,
    /// Where the first bin begins and the last one ends, by channel.
    pub ranges: [(f64, f64); 3],
}

impl FeatureScaling {
    /// Scales `images`, (N, 3, H, W), bytes.
    pub fn of(images: Tensor) -> Self {
        let before = images.to_kind(Kind::Float) / 255;
        let after = normalize(&before);
        Self { images, before, after }
    }

    /// Before and after.
    pub fn distributions(&self) -> [Distribution; 2] {
        // Half a level beyond the darkest and the brightest, so that no level falls on an edge.
        let edges = |m: f64, s: f64| ((-0.5 / 255.0 - m) / s, (255.5 / 255.0 - m) / s);
        let scaled: [(f64, f64); 3] = std::array::from_fn(|c| edges(IMAGENET_MEAN[c], IMAGENET_STD[c]));
        [
            Distribution::of("before", &self.before, [edges(0.0, 1.0); 3]),
            Distribution::of("after", &self.after, scaled),
        ]
    }

    /// The distributions' tensors by name.
    pub fn figures(&self) -> Vec<(String, Tensor)> {
        let figures =
            self.distributions().map(|Distribution { stage, mean, std, min, max, histogram, .. }| {
                [("mean", mean), ("std", std), ("min", min), ("max", max), ("histogram", histogram)]
                    .map(|(name, tensor)| (format!("{stage}.{name}"), tensor))
            });
        figures.into_iter().flatten().collect()
    }
}

impl Distribution {
    fn of(stage: &'static str, values: &Tensor, ranges: [(f64, f64); 3]) -> Self {
        let counts = ranges.iter().zip(0..).map(|(&(low, high), channel)| {
            // In float64, which counts beyond 2^24 and does not move an edge onto a level.
            let values = values.select(1, channel).to_kind(Kind::Double);
            values.histogram_bin_ct(BINS, [low, high], None::<Tensor>, false).0
        });
        Self {
            stage,
            mean: values.mean_dim(CHANNELWISE, false, None),
            std: values.std_dim(CHANNELWISE, true, false),
            min: values.amin(CHANNELWISE, false),
            max: values.amax(CHANNELWISE, false),
            histogram: Tensor::stack(&counts.collect::<Vec<_>>(), 0).to_kind(Kind::Int64),
            ranges,
        }
    }
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
