//! GoogLeNet (Szegedy et al., 2015; d2l section 7.4): blocks of parallel paths.

use tch::Tensor;
use tch::nn::{ModuleT, Path};

use super::{b1, conv_config, norm_relu};
use crate::layers::{
    Conv2d, Layer, MaxPool2d, Sequential, adaptive_avg_pool2d, conv2d, flatten, linear, max_pool2d, relu,
    sequential,
};
use crate::norm::{Dims, Norm};

/// The book's GoogLeNet for (N, 1, H, W), in the book 96 x 96. It has no batch norm; with a `norm`, one follows each convolution.
/// Gives (N, 10) logits.
pub fn googlenet(p: &Path, norm: &Norm) -> Sequential {
    let halving = || max_pool2d(3, 2, 1);
    let inception =
        |in_channels, c1, c2, c3, c4| move |p: &Path| Inception::new(p, norm, in_channels, c1, c2, c3, c4);
    let b2 = |p: &Path| {
        sequential(p)
            .then(|p| conv2d(p, 64, 64, 1, conv_config(1, 0)))
            .then_optional(|p| norm.batch_norm(p, 64, Dims::Four))
            .then(|_| relu())
            .then(|p| conv2d(p, 64, 192, 3, conv_config(1, 1)))
            .then_optional(|p| norm.batch_norm(p, 192, Dims::Four))
            .then(|_| relu())
            .then(|_| halving())
            .done()
    };
    let b3 = |p: &Path| {
        sequential(p)
            .then(inception(192, 64, [96, 128], [16, 32], 32))
            .then(inception(256, 128, [128, 192], [32, 96], 64))
            .then(|_| halving())
            .done()
    };
    let b4 = |p: &Path| {
        sequential(p)
            .then(inception(480, 192, [96, 208], [16, 48], 64))
            .then(inception(512, 160, [112, 224], [24, 64], 64))
            .then(inception(512, 128, [128, 256], [24, 64], 64))
            .then(inception(512, 112, [144, 288], [32, 64], 64))
            .then(inception(528, 256, [160, 320], [32, 128], 128))
            .then(|_| halving())
            .done()
    };
    let b5 = |p: &Path| {
        sequential(p)
            .then(inception(832, 256, [160, 320], [32, 128], 128))
            .then(inception(832, 384, [192, 384], [48, 128], 128))
            .then(|_| adaptive_avg_pool2d([1, 1]))
            .then(|_| flatten())
            .done()
    };
    sequential(p)
        .then(|p| b1(p, norm))
        .then(b2)
        .then(b3)
        .then(b4)
        .then(b5)
        .then(|p| linear(p, 1024, 10))
        .done()
}

/// d2l's `Inception`: four paths over the same input, whose outputs are joined along the channels. A path is a 1x1 convolution; one
/// of 1x1 and one of 3x3; one of 1x1 and one of 5x5; or a max pooling and a 1x1 convolution. Batch norm and ReLU follow each
/// convolution.
#[derive(Debug)]
pub struct Inception {
    p1_1: Conv2d,
    p2_1: Conv2d,
    p2_2: Conv2d,
    p3_1: Conv2d,
    p3_2: Conv2d,
    p4_1: MaxPool2d,
    p4_2: Conv2d,
    bn1_1: Option<Box<dyn Layer>>,
    bn2_1: Option<Box<dyn Layer>>,
    bn2_2: Option<Box<dyn Layer>>,
    bn3_1: Option<Box<dyn Layer>>,
    bn3_2: Option<Box<dyn Layer>>,
    bn4_2: Option<Box<dyn Layer>>,
}

impl Inception {
    /// `Inception(in_channels, c1, c2, c3, c4)`: (N, in_channels, H, W) to (N, c1 + c2\[1\] + c3\[1\] + c4, H, W). `c1` to `c4` are the
    /// channels of the paths' convolutions.
    pub fn new(
        p: &Path,
        norm: &Norm,
        in_channels: i64,
        c1: i64,
        c2: [i64; 2],
        c3: [i64; 2],
        c4: i64,
    ) -> Self {
        let conv = |name, inputs, outputs, kernel, padding| {
            conv2d(&(p / name), inputs, outputs, kernel, conv_config(1, padding))
        };
        let batch_norm = |name, channels| norm.batch_norm(&(p / name), channels, Dims::Four);
        // The order of these fields decides which random number becomes which weight.
        Self {
            p1_1: conv("p1_1", in_channels, c1, 1, 0),
            p2_1: conv("p2_1", in_channels, c2[0], 1, 0),
            p2_2: conv("p2_2", c2[0], c2[1], 3, 1),
            p3_1: conv("p3_1", in_channels, c3[0], 1, 0),
            p3_2: conv("p3_2", c3[0], c3[1], 5, 2),
            p4_1: max_pool2d(3, 1, 1),
            p4_2: conv("p4_2", in_channels, c4, 1, 0),
            bn1_1: batch_norm("bn1_1", c1),
            bn2_1: batch_norm("bn2_1", c2[0]),
            bn2_2: batch_norm("bn2_2", c2[1]),
            bn3_1: batch_norm("bn3_1", c3[0]),
            bn3_2: batch_norm("bn3_2", c3[1]),
            bn4_2: batch_norm("bn4_2", c4),
        }
    }
}

impl ModuleT for Inception {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        // In Python's order, which decides in which order the gradients of x add up.
        let p1 = norm_relu(&self.bn1_1, &x.apply(&self.p1_1), train);
        let p2 = norm_relu(&self.bn2_1, &x.apply(&self.p2_1), train);
        let p2 = norm_relu(&self.bn2_2, &p2.apply(&self.p2_2), train);
        let p3 = norm_relu(&self.bn3_1, &x.apply(&self.p3_1), train);
        let p3 = norm_relu(&self.bn3_2, &p3.apply(&self.p3_2), train);
        let p4 = norm_relu(&self.bn4_2, &x.apply_t(&self.p4_1, train).apply(&self.p4_2), train);
        Tensor::cat(&[p1, p2, p3, p4], 1)
    }
}

impl Layer for Inception {
    fn class(&self) -> &'static str {
        "Inception"
    }
}
