//! The layers of the notebooks: `tch`'s own with PyTorch's initialization, layers without variables, and [`Sequential`].

mod functions;
mod misfit;
mod sequential;

use tch::{Tensor, nn};
use tch_extra::fused::Activation;

pub use functions::{
    Function, MaxPool2d, adaptive_avg_pool2d, avg_pool2d, dropout, flatten, max_pool2d, relu, sigmoid,
};
pub use misfit::Misfit;
pub use sequential::{Builder, Sequential, sequential};
pub use tch_extra::nn::{Conv2d, conv2d, linear};

/// A module of `tch` that knows the name of its PyTorch class.
pub trait Layer: nn::ModuleT {
    /// The class name that PyTorch prints: `Conv2d`, `BatchNorm2d`.
    fn class(&self) -> &'static str;

    /// The layers that it is made of, if it is a [`Sequential`].
    fn as_sequential(&self) -> Option<&Sequential> {
        None
    }

    /// `forward_t` for an input that may have the wrong shape.
    ///
    /// # Errors
    /// Names the layer that refuses its input, with libtorch's reason. In training, the layers before it have moved their running
    /// statistics.
    fn try_forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor, Misfit> {
        Misfit::caught(self.class(), x, || self.forward_t(x, train))
    }

    /// The output for max(x, 0), of a layer that computes both in one pass: a [`Sequential`] takes it after a [`relu`]. It has the
    /// bits of the two.
    fn forward_after_relu(&self, _x: &Tensor) -> Option<Tensor> {
        None
    }

    /// The output and then `activation` of it, of a layer that computes both in one pass: a [`Sequential`] takes it before a [`relu`] or
    /// [`sigmoid`]. `None`, and nothing is computed, of others.
    fn forward_and_activate(&self, _x: &Tensor, _activation: Activation, _train: bool) -> Option<Tensor> {
        None
    }
}

/// A layer whose type is chosen at run time, as a batch norm is.
impl nn::ModuleT for Box<dyn Layer> {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        (**self).forward_t(x, train)
    }
}

impl Layer for Box<dyn Layer> {
    fn class(&self) -> &'static str {
        (**self).class()
    }

    fn as_sequential(&self) -> Option<&Sequential> {
        (**self).as_sequential()
    }

    fn try_forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor, Misfit> {
        (**self).try_forward_t(x, train)
    }

    fn forward_after_relu(&self, x: &Tensor) -> Option<Tensor> {
        (**self).forward_after_relu(x)
    }

    fn forward_and_activate(&self, x: &Tensor, activation: Activation, train: bool) -> Option<Tensor> {
        (**self).forward_and_activate(x, activation, train)
    }
}

impl Layer for Conv2d {
    fn class(&self) -> &'static str {
        "Conv2d"
    }
}

impl Layer for nn::Linear {
    fn class(&self) -> &'static str {
        "Linear"
    }
}
