//! How weights begin: PyTorch's defaults, and the Xavier draw that the book's `train_ch6` puts over them.
//!
//! Everything is drawn from the CPU's default generator in PyTorch's order, layer by layer as a network is
//! constructed, weight before bias; a network moves to its device afterwards. The scale factors are computed
//! in f64 in the order of `torch.nn.init`, so that they round to the same f32.

use tch::Tensor;

use crate::layers::Module;

/// Fills a convolution's or dense layer's `weight` (out, in, ...) as `reset_parameters` of `nn.Conv2d` and
/// `nn.Linear` does, and gives it back with a fresh bias (out,): weight `kaiming_uniform_(a=sqrt(5))`, then bias
/// uniform within 1 / sqrt(fan_in). Both ask for gradients.
///
/// ```
/// use d2l_ch7::{init, torch};
/// use tch::{Device, Kind, Tensor};
///
/// torch::manual_seed(0);
/// let (weight, bias) = init::default_uniform(Tensor::empty([3, 4], (Kind::Float, Device::Cpu)));
/// assert_eq!(bias.size(), [3]);
/// assert!(weight.abs().max().double_value(&[]) <= 0.5); // 1 / sqrt(4)
/// ```
pub fn default_uniform(weight: Tensor) -> (Tensor, Tensor) {
    let (fan_in, _) = fans(&weight);
    let mut weight = weight;
    let mut bias = Tensor::empty(&weight.size()[..1], (weight.kind(), weight.device()));
    tch::no_grad(|| {
        // kaiming_uniform_ with a = sqrt(5), whose square is not 5 in f64.
        let a = 5.0_f64.sqrt();
        let gain = (2.0 / (1.0 + a.powi(2))).sqrt();
        let std = gain / fan_in.sqrt();
        let bound = 3.0_f64.sqrt() * std;
        let _ = weight.uniform_(-bound, bound);
        let bound = 1.0 / fan_in.sqrt();
        let _ = bias.uniform_(-bound, bound);
    });
    (weight.set_requires_grad(true), bias.set_requires_grad(true))
}

/// The book's `net.apply(init_weights)`: redraws the weight of every `Conv2d` and `Linear` of `net` with
/// [`xavier_uniform_`], children first, in the order of construction. Biases stay.
pub fn xavier_weights(net: &mut dyn Module) {
    for (_, child) in net.children() {
        xavier_weights(child);
    }
    if let Some(weight) = net.xavier_weight() {
        xavier_uniform_(weight);
    }
}

/// `nn.init.xavier_uniform_` (Glorot and Bengio, 2010): uniform within sqrt(6 / (fan_in + fan_out)).
///
/// ```
/// use d2l_ch7::{init, torch};
/// use tch::{Device, Kind, Tensor};
///
/// torch::manual_seed(0);
/// let mut weight = Tensor::zeros([2, 4], (Kind::Float, Device::Cpu)); // 4 inputs, 2 outputs
/// init::xavier_uniform_(&mut weight);
/// assert!((0.5..=1.0).contains(&weight.abs().max().double_value(&[]))); // within sqrt(6 / (4 + 2)) = 1
/// ```
pub fn xavier_uniform_(weight: &mut Tensor) {
    let (fan_in, fan_out) = fans(weight);
    let std = (2.0 / (fan_in + fan_out)).sqrt();
    let bound = 3.0_f64.sqrt() * std;
    tch::no_grad(|| {
        let _ = weight.uniform_(-bound, bound);
    });
}

/// How many inputs reach an output of a weight (out, in, ...), and how many outputs an input reaches.
fn fans(weight: &Tensor) -> (f64, f64) {
    let size = weight.size();
    let receptive_field: i64 = size[2..].iter().product();
    ((size[1] * receptive_field) as f64, (size[0] * receptive_field) as f64)
}
