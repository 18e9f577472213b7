//! Layers without tensors of their own: activations, pooling, dropout, flattening.

use tch::Tensor;

use super::Module;

/// `nn.Sigmoid`: 1 / (1 + exp(-x)) element by element, of any shape.
#[derive(Debug)]
pub struct Sigmoid;

impl Module for Sigmoid {
    fn name(&self) -> &'static str {
        "Sigmoid"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        x.sigmoid()
    }
}

/// `nn.ReLU`: max(x, 0) element by element, of any shape.
#[derive(Debug)]
pub struct ReLU;

impl Module for ReLU {
    fn name(&self) -> &'static str {
        "ReLU"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        x.relu()
    }
}

/// `nn.AvgPool2d(size, stride=size)`: the mean over squares of `size` x `size`; (N, C, H, W) to
/// (N, C, H / size, W / size), rounded down.
#[derive(Debug)]
pub struct AvgPool2d {
    /// Pixels of a square's side, and of the step to the next.
    pub size: i64,
}

impl Module for AvgPool2d {
    fn name(&self) -> &'static str {
        "AvgPool2d"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        // Not avg_pool2d_default: that one passes divisor_override = 1 and so sums.
        x.avg_pool2d(self.size, self.size, 0, false, true, None::<i64>)
    }
}

/// `nn.MaxPool2d(size, stride, padding)`: the largest value of each square; (N, C, H, W) to
/// (N, C, (H + 2 padding - size) / stride + 1, likewise for W), rounded down.
#[derive(Debug)]
pub struct MaxPool2d {
    /// Pixels of a square's side.
    pub size: i64,
    /// Pixels from one square to the next.
    pub stride: i64,
    /// Pixels added around the image (they never win).
    pub padding: i64,
}

impl Module for MaxPool2d {
    fn name(&self) -> &'static str {
        "MaxPool2d"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        x.max_pool2d(self.size, self.stride, self.padding, 1, false)
    }
}

/// `nn.AdaptiveAvgPool2d(output_size)`: (N, C, H, W) to (N, C, height, width), whatever H and W are; each value the
/// mean of its share of the image.
#[derive(Debug)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of what comes out, in pixels.
    pub output_size: [i64; 2],
}

impl Module for AdaptiveAvgPool2d {
    fn name(&self) -> &'static str {
        "AdaptiveAvgPool2d"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        x.adaptive_avg_pool2d(self.output_size)
    }
}

/// `nn.Dropout(p)`: in training, zeroes each element with probability `p` and divides the rest by 1 - p;
/// draws from the device's default generator (Srivastava et al., 2014). Any shape.
#[derive(Debug)]
pub struct Dropout {
    /// Probability of an element to be dropped.
    pub p: f64,
}

impl Module for Dropout {
    fn name(&self) -> &'static str {
        "Dropout"
    }

    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor {
        x.dropout(self.p, train)
    }
}

/// `nn.Flatten`: (N, ...) to (N, product of the rest).
#[derive(Debug)]
pub struct Flatten;

impl Module for Flatten {
    fn name(&self) -> &'static str {
        "Flatten"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        x.flatten(1, -1)
    }
}
