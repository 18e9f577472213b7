//! Layers without variables: activations, pooling, dropout, flattening.

use tch::{Tensor, nn};
use tch_extra::fused::Activation;
use tch_extra::kernels;

use super::Layer;

/// The class of [`relu`].
pub(super) const RELU: &str = "ReLU";

const SIGMOID: &str = "Sigmoid";

/// The activation that layers of this class are.
pub(super) fn activation(class: &str) -> Option<Activation> {
    match class {
        RELU => Some(Activation::Relu),
        SIGMOID => Some(Activation::Sigmoid),
        _ => None,
    }
}

/// A function, used as a layer.
#[derive(Debug)]
pub struct Function {
    class: &'static str,
    f: nn::FuncT<'static>,
}

impl nn::ModuleT for Function {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        self.f.forward_t(x, train)
    }
}

impl Layer for Function {
    fn class(&self) -> &'static str {
        self.class
    }
}

fn function(class: &'static str, f: impl Fn(&Tensor, bool) -> Tensor + Send + 'static) -> Function {
    Function { class, f: nn::func_t(f) }
}

/// `nn.Sigmoid()`: 1 / (1 + exp(-x)) element by element, of any shape.
pub fn sigmoid() -> Function {
    function(SIGMOID, |x, _| x.sigmoid())
}

/// `nn.ReLU()`: max(x, 0) element by element, of any shape.
pub fn relu() -> Function {
    function(RELU, |x, _| x.relu())
}

/// `nn.AvgPool2d(size, stride=size)`: the mean over squares of `size` x `size` pixels; (N, C, H, W) to
/// (N, C, H / size, W / size), rounded down.
pub fn avg_pool2d(size: i64) -> Function {
    function("AvgPool2d", move |x, _| kernels::avg_pool2d(x, size))
}

/// `nn.MaxPool2d(size, stride, padding)`: the largest value of each square of `size` x `size` pixels; (N, C, H, W) to
/// (N, C, (H + 2 padding - size) / stride + 1, likewise for W), rounded down. Padding never wins.
pub fn max_pool2d(size: i64, stride: i64, padding: i64) -> MaxPool2d {
    MaxPool2d { size, stride, padding }
}

/// The layer of [`max_pool2d`].
#[derive(Debug)]
pub struct MaxPool2d {
    size: i64,
    stride: i64,
    padding: i64,
}

impl nn::ModuleT for MaxPool2d {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        kernels::max_pool2d(x, self.size, self.stride, self.padding)
    }
}

impl Layer for MaxPool2d {
    fn class(&self) -> &'static str {
        "MaxPool2d"
    }

    fn forward_after_relu(&self, x: &Tensor) -> Option<Tensor> {
        Some(kernels::relu_max_pool2d(x, self.size, self.stride, self.padding))
    }
}

/// `nn.AdaptiveAvgPool2d(output_size)`: (N, C, H, W) to (N, C, height, width) for any H and W. Each value is the mean of its part
/// of the image.
pub fn adaptive_avg_pool2d(output_size: [i64; 2]) -> Function {
    function("AdaptiveAvgPool2d", move |x, _| x.adaptive_avg_pool2d(output_size))
}

/// `nn.Dropout(p)` (Srivastava et al., 2014) for any shape: in training, it zeroes each element with probability `p` and divides the
/// others by 1 - p. It draws from the device's default generator.
pub fn dropout(p: f64) -> Function {
    function("Dropout", move |x, train| kernels::dropout(x, p, train))
}

/// `nn.Flatten()`: (N, ...) to (N, product of the rest).
pub fn flatten() -> Function {
    function("Flatten", |x, _| x.flatten(1, -1))
}
