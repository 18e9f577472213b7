//! The notebooks' and the chapter's networks on `tch`'s variable store. The names of their variables are the keys of PyTorch's
//! `state_dict()`.

pub mod alexnet;
pub mod densenet;
pub mod googlenet;
pub mod lenet;
pub mod nin;
pub mod residual;
pub mod resnet18;
pub mod vgg;

use tch::nn::{ConvConfig, ModuleT, Path, VarStore};
use tch::{Device, Tensor};

use tch_extra::fused::Activation;
use tch_extra::state_dict;

use crate::layers::{
    Builder, Layer, Sequential, conv2d, dropout, flatten, linear, max_pool2d, relu, sequential,
};
use crate::norm::{Dims, Norm};

/// A network: its variables, and the module that computes with them.
#[derive(Debug)]
pub struct Net {
    /// Parameters and running statistics.
    pub vs: VarStore,
    /// The layers; or a wrapper around them, for several devices, several processes or mixed precision.
    pub module: Box<dyn ModuleT>,
}

impl Net {
    /// The network that `build` makes on the CPU. Its weights are drawn from the CPU's generator.
    ///
    /// ```
    /// use d2l_ch7::nets::{Net, lenet::lenet};
    /// use d2l_ch7::norm::Norm;
    /// use tch::{Kind, Tensor, nn::ModuleT};
    ///
    /// let net = Net::new(|p| lenet(p, &Norm::Scratch));
    /// let images = Tensor::rand([2, 1, 28, 28], tch::kind::FLOAT_CPU);
    /// assert_eq!(net.forward_t(&images, true).size(), [2, 10]);
    /// assert_eq!(net.vs.variables()["1.moving_mean"].size(), [1, 6, 1, 1]);
    /// ```
    pub fn new<M: ModuleT + 'static>(build: impl FnOnce(&Path) -> M) -> Self {
        let vs = VarStore::new(Device::Cpu);
        let module = Box::new(build(&vs.root()));
        Self { vs, module }
    }

    /// `net.state_dict()`, as [`state_dict::state`].
    pub fn state(&self) -> Vec<(String, Tensor)> {
        state_dict::state(&self.vs)
    }
}

impl ModuleT for Net {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        self.module.forward_t(x, train)
    }
}

/// A convolution's stride and padding.
fn conv_config(stride: i64, padding: i64) -> ConvConfig {
    ConvConfig { stride, padding, ..Default::default() }
}

/// The book's `b1`, the beginning of GoogLeNet, ResNet-18 and DenseNet: (N, 1, H, W) to (N, 64, ⌈H / 4⌉, ⌈W / 4⌉).
fn b1(p: &Path, norm: &Norm) -> Sequential {
    sequential(p)
        .then(|p| conv2d(p, 1, 64, 7, conv_config(2, 3)))
        .then_optional(|p| norm.batch_norm(p, 64, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(3, 2, 1))
        .done()
}

/// `F.relu(norm(x))`, or the ReLU of x where there is no `norm`.
fn norm_relu(norm: &Option<Box<dyn Layer>>, x: &Tensor, train: bool) -> Tensor {
    let both = norm.as_ref().and_then(|norm| norm.forward_and_activate(x, Activation::Relu, train));
    both.unwrap_or_else(|| x.apply_opt_t(norm, train).relu())
}

/// The end of AlexNet and VGG: three dense layers over the `features` that the convolutions of `net` leave of an image, to 10 logits.
fn dense_layers(net: Builder, norm: &Norm, features: i64) -> Sequential {
    net.then(|_| flatten())
        .then(|p| linear(p, features, 4096))
        .then_optional(|p| norm.batch_norm(p, 4096, Dims::Two))
        .then(|_| relu())
        .then(|_| dropout(0.5))
        .then(|p| linear(p, 4096, 4096))
        .then_optional(|p| norm.batch_norm(p, 4096, Dims::Two))
        .then(|_| relu())
        .then(|_| dropout(0.5))
        .then(|p| linear(p, 4096, 10))
        .done()
}
