//! `compare --inspect`: what is inside the networks after each epoch.
//!
//! The hand-written batch norm keeps a moving average of biased variances (divided by n), libtorch's one of
//! unbiased ones (divided by n - 1). To set them side by side, each batch's share of the former is multiplied by
//! its n / (n - 1); n is another for each layer, and for a smaller last batch.

use tch::nn::{Path, VarStore};
use tch::{Device, Kind, Tensor};
use tch_extra::state_dict::state;

use crate::StatisticsRecord;
use crate::layers::Sequential;
use crate::norm::{Norm, Variant, scratch::MOMENTUM};
use crate::report::{Inspection, Scale};

/// Follows the hand-written batch norms through training.
#[derive(Debug)]
pub struct Inspector {
    layers: Vec<Layer>,
}

/// A batch norm layer of the hand-written variant.
#[derive(Debug)]
struct Layer {
    /// Its name in the network, and so in the other variant's.
    name: String,
    /// Values of a channel in one image: height times width, or 1 after a dense layer.
    values: f64,
    /// The moving variance after the last batch, f64.
    moving_var: Tensor,
    /// What it would be, had every batch's variance been unbiased, f64.
    unbiased: Tensor,
}

impl Inspector {
    /// Follows the networks that `build` makes, whose input looks like `image` (1, ...). Draws from the default generator.
    pub fn new(build: fn(&Path, &Norm) -> Sequential, image: &Tensor) -> Self {
        let vs = VarStore::new(Device::Cpu);
        let net = build(&vs.root(), &Norm::Scratch);
        let moving = state(&vs);
        let mut x = image.to_device(Device::Cpu);
        let mut layers = Vec::new();
        for (name, layer) in net.layers() {
            x = tch::no_grad(|| layer.forward_t(&x, false));
            if layer.class() == "BatchNorm" {
                let moving_var = of(&moving, name, "moving_var");
                let values = (x.numel() / moving_var.numel()) as f64;
                layers.push(Layer { name: name.to_owned(), values, unbiased: moving_var.copy(), moving_var });
            }
        }
        Self { layers }
    }

    /// Takes in what a batch of so many images did to the moving variances of the network with these variables.
    pub fn after_batch(&mut self, images: usize, vs: &VarStore) {
        let state = state(vs);
        for layer in &mut self.layers {
            let n = images as f64 * layer.values;
            let moving_var = of(&state, &layer.name, "moving_var");
            let share = &moving_var - MOMENTUM * &layer.moving_var;
            layer.unbiased = MOMENTUM * &layer.unbiased + share * (n / (n - 1.0));
            layer.moving_var = moving_var;
        }
    }

    /// What must come back when the run is resumed, for [`resume`](Self::resume).
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let of_layer = |layer: &Layer| {
            [("moving_var", &layer.moving_var), ("unbiased", &layer.unbiased)]
                .map(|(name, tensor)| (format!("{}.{name}", layer.name), tensor.shallow_clone()))
        };
        self.layers.iter().flat_map(of_layer).collect()
    }

    /// Takes over what [`tensors`](Self::tensors) gave.
    pub fn resume(&mut self, tensors: &[(String, Tensor)]) {
        for layer in &mut self.layers {
            layer.moving_var = of(tensors, &layer.name, "moving_var");
            layer.unbiased = of(tensors, &layer.name, "unbiased");
        }
    }
}

/// Gamma and beta of the first batch norm of every variant by its state and, where `inspector` followed the hand-written one and the
/// native one is there, how far apart their running statistics are.
pub fn inspect(
    epoch: usize,
    states: &[(Variant, Vec<(String, Tensor)>)],
    inspector: Option<&Inspector>,
) -> Inspection {
    let scales = states.iter().filter_map(|(variant, state)| scale(*variant, state)).collect();
    let of_variant = |wanted| states.iter().find(|(variant, _)| *variant == wanted).map(|(_, state)| state);
    let statistics = match (inspector, of_variant(Variant::Scratch), of_variant(Variant::Native)) {
        (Some(inspector), Some(scratch), Some(native)) => {
            inspector.layers.iter().map(|layer| layer.differences(epoch, scratch, native)).collect()
        }
        _ => Vec::new(),
    };
    Inspection { epoch, scales, statistics }
}

impl Layer {
    /// How far apart the running statistics of both variants are after `epoch`.
    fn differences(&self, epoch: usize, scratch: &State, native: &State) -> StatisticsRecord {
        let largest = |a: Tensor, b: Tensor| (a.reshape([-1]) - b).abs().max().double_value(&[]);
        let moving_mean = of(scratch, &self.name, "moving_mean");
        StatisticsRecord {
            epoch,
            layer: self.name.clone(),
            mean_difference: largest(moving_mean, of(native, &self.name, "running_mean")),
            var_difference: largest(self.unbiased.shallow_clone(), of(native, &self.name, "running_var")),
        }
    }
}

/// What [`state`] gives.
type State = [(String, Tensor)];

/// A tensor of a layer, as a copy in f64.
fn of(state: &State, layer: &str, tensor: &str) -> Tensor {
    let name = format!("{layer}.{tensor}");
    let (_, tensor) =
        state.iter().find(|(n, _)| *n == name).expect("the recipes' networks name their layers alike");
    tensor.to_kind(Kind::Double)
}

/// Gamma and beta of the first batch norm, which is layer 1 in every recipe; `None` for a variant without batch norm.
fn scale(variant: Variant, state: &State) -> Option<Scale> {
    let (gamma, beta) = match variant {
        Variant::Scratch | Variant::ScratchSync | Variant::Fused => ("gamma", "beta"),
        Variant::Native => ("weight", "bias"),
        Variant::None => return None,
    };
    let values =
        |tensor| Vec::try_from(of(state, "1", tensor).reshape([-1])).expect("f64 values in one dimension");
    Some(Scale { variant: variant.to_string(), gamma: values(gamma), beta: values(beta) })
}
