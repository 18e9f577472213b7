//! The fully connected layer.

use tch::{Device, Kind, Tensor};

use super::{Module, Slot};
use crate::init;

/// PyTorch's `nn.Linear`: (N, in) to (N, out), `x Wᵀ + b`.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer with PyTorch's default initialization, drawn from the CPU's generator.
    pub fn new(in_features: i64, out_features: i64) -> Self {
        let weight = Tensor::empty([out_features, in_features], (Kind::Float, Device::Cpu));
        let (weight, bias) = init::default_uniform(weight);
        Self { weight, bias }
    }
}

impl Module for Linear {
    fn name(&self) -> &'static str {
        "Linear"
    }

    fn forward(&mut self, x: &Tensor, _train: bool) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    fn tensors(&mut self) -> Vec<(&'static str, Slot, &mut Tensor)> {
        vec![("weight", Slot::Parameter, &mut self.weight), ("bias", Slot::Parameter, &mut self.bias)]
    }

    fn xavier_weight(&mut self) -> Option<&mut Tensor> {
        Some(&mut self.weight)
    }
}
