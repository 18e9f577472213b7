//! The notebook's batch norm by hand, with the activation after it in one CUDA kernel for each direction.

use tch::{Tensor, nn};
use tch_extra::fused::{Activation, batch_norm_act};

use super::scratch::{self, MOMENTUM};
use super::{Dims, EPS};
use crate::layers::Layer;

/// [`scratch::BatchNorm`] that trains on CUDA alone, by [`batch_norm_act`]. It evaluates on any device, as [`scratch::BatchNorm`] does.
///
/// Its numbers differ from those of [`scratch::BatchNorm`] by rounding; on one GPU, two runs have the same bits.
#[derive(Debug)]
pub struct BatchNorm(scratch::BatchNorm);

impl BatchNorm {
    /// A layer as [`scratch::BatchNorm::new`] makes it.
    pub fn new(p: &nn::Path, num_features: i64, dims: Dims) -> Self {
        Self(scratch::BatchNorm::new(p, num_features, dims))
    }

    /// Normalizes a batch of training. A layer cannot return an error: it panics, as `tch` does.
    fn train(&self, x: &Tensor, activation: Activation) -> Tensor {
        let scratch::BatchNorm { gamma, beta, moving_mean, moving_var } = &self.0;
        batch_norm_act(x, gamma, beta, moving_mean, moving_var, MOMENTUM, EPS, activation)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

impl nn::ModuleT for BatchNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if train { self.train(x, Activation::None) } else { self.0.forward_t(x, false) }
    }
}

impl Layer for BatchNorm {
    fn class(&self) -> &'static str {
        self.0.class()
    }

    fn forward_and_activate(&self, x: &Tensor, activation: Activation, train: bool) -> Option<Tensor> {
        train.then(|| self.train(x, activation))
    }
}

#[cfg(test)]
mod tests {
    use tch::nn::{ModuleT, VarStore};
    use tch::{Device, Kind, Tensor};

    use crate::layers::{sequential, sigmoid};
    use crate::norm::{Dims, Norm, Variant};
    use crate::panics::words;

    /// A layer and a sigmoid, and their variables.
    fn net(variant: Variant) -> (VarStore, impl ModuleT) {
        let vs = VarStore::new(Device::Cpu);
        let norm = Norm::from(variant);
        let net = sequential(&vs.root())
            .then_optional(|p| norm.batch_norm(p, 3, Dims::Four))
            .then(|_| sigmoid())
            .done();
        (vs, net)
    }

    #[test]
    fn it_evaluates_as_scratch_does_with_weights_of_scratch() {
        let (scratchs, scratch) = net(Variant::Scratch);
        let (mut own, fused) = net(Variant::Fused);
        let x = Tensor::randn([8, 3, 5, 4], (Kind::Float, Device::Cpu));
        let _ = scratch.forward_t(&x, true);
        own.copy(&scratchs).unwrap();
        assert_eq!(fused.forward_t(&x, false), scratch.forward_t(&x, false));
    }

    #[test]
    fn training_needs_cuda() {
        let (_vs, fused) = net(Variant::Fused);
        let x = Tensor::ones([8, 3, 5, 4], (Kind::Float, Device::Cpu));
        let step = std::panic::AssertUnwindSafe(|| fused.forward_t(&x, true));
        let panic = std::panic::catch_unwind(step).unwrap_err();
        assert_eq!(words(&*panic), "the fused batch norm cannot be computed on cpu: it needs CUDA");
    }
}
