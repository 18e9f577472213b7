//! Initial weights: PyTorch's defaults, and Xavier's.
//!
//! Everything is drawn from the CPU's default generator in PyTorch's order: layer by layer as a network is made, weight before bias.
//! The network moves to its device afterwards. Scale factors are computed in f64 in the order of `torch.nn.init`, so that they round
//! to the same f32.

use tch::Tensor;
use tch::nn::Init;
use tch::nn::init::{FanInOut, NonLinearity, NormalOrUniform};

/// `kaiming_uniform_(weight, a=sqrt(5))` (He et al., 2015): the initial weight of `nn.Conv2d` and `nn.Linear`.
pub fn kaiming_uniform() -> Init {
    // Not `5.0`: the square of sqrt(5) is another number in f64.
    let a = 5.0_f64.sqrt();
    let gain = (2.0 / (1.0 + a.powi(2))).sqrt();
    Init::Kaiming {
        dist: NormalOrUniform::Uniform,
        fan: FanInOut::FanIn,
        non_linearity: NonLinearity::ExplicitGain(gain),
    }
}

/// The initial bias of `nn.Conv2d` and `nn.Linear`: uniform within ±1 / sqrt(fan_in), where `fan_in` inputs reach an output.
pub fn uniform_bias(fan_in: i64) -> Init {
    let bound = 1.0 / (fan_in as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

/// `nn.init.xavier_uniform_` (Glorot and Bengio, 2010): uniform within ±sqrt(6 / (fan_in + fan_out)).
///
/// ```
/// use tch_extra::{init, manual_seed};
/// use tch::{Device, Kind, Tensor};
///
/// manual_seed(0);
/// let mut weight = Tensor::zeros([2, 4], (Kind::Float, Device::Cpu)); // 4 inputs, 2 outputs
/// init::xavier_uniform_(&mut weight);
/// assert!((0.5..=1.0).contains(&weight.abs().max().double_value(&[]))); // within sqrt(6 / (4 + 2)) = 1
/// ```
pub fn xavier_uniform_(weight: &mut Tensor) {
    let size = weight.size();
    let [fan_in, fan_out] = [FanInOut::FanIn, FanInOut::FanOut].map(|fan| fan.for_weight_dims(&size) as f64);
    let std = (2.0 / (fan_in + fan_out)).sqrt();
    let bound = 3.0_f64.sqrt() * std;
    tch::no_grad(|| {
        let _ = weight.uniform_(-bound, bound);
    });
}
