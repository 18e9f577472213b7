//! The error of a layer that cannot take its input's shape.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use tch::Tensor;
use tch_extra::state_dict::shape;

use crate::panics;

/// Which layer refused its input, and libtorch's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The layer's name, with which its weights' names begin: `0.0`. Empty for the outermost network itself.
    pub layer: String,
    /// The layer's class, `Conv2d`.
    pub class: &'static str,
    /// The shape of its input.
    pub input: Vec<i64>,
    /// libtorch's reason, in one line.
    pub reason: String,
}

impl Misfit {
    /// The result of `forward`; if it panics, the error of a layer of that class with the input `x`.
    pub(crate) fn caught(
        class: &'static str,
        x: &Tensor,
        forward: impl FnOnce() -> Tensor,
    ) -> Result<Tensor, Self> {
        // Unwinding leaves nothing half done except batch norms' statistics; `try_forward_t` says so.
        panic::catch_unwind(AssertUnwindSafe(forward)).map_err(|payload| Self {
            layer: String::new(),
            class,
            input: x.size(),
            reason: panics::words(payload.as_ref()),
        })
    }

    /// The same error, as seen by the network that calls the layer (or the layer's network) `name`.
    #[must_use]
    pub fn within(self, name: &str) -> Self {
        let layer = if self.layer.is_empty() { name.to_owned() } else { format!("{name}.{}", self.layer) };
        Self { layer, ..self }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, class, input, reason } = self;
        let place = if layer.is_empty() { "the network".to_owned() } else { format!("layer {layer}") };
        write!(f, "{place} ({class}) cannot take the shape {} that reached it: {reason}", shape(input))
    }
}

impl std::error::Error for Misfit {}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, nn};

    use super::super::{Layer, conv2d, flatten, linear, sequential};
    use super::*;

    #[test]
    fn the_innermost_layer_is_named() {
        let vs = nn::VarStore::new(Device::Cpu);
        let stem = |p: &nn::Path| sequential(p).then(|p| conv2d(p, 1, 2, 3, Default::default())).done();
        let head =
            |p: &nn::Path| sequential(p).then(|_| flatten()).add_module("fc", |p| linear(p, 8, 3)).done();
        let net = sequential(&vs.root()).then(stem).add_module("head", head).done();
        let misfit = |shape: [i64; 4]| {
            net.try_forward_t(&Tensor::zeros(shape, (Kind::Float, Device::Cpu)), false).map(|y| y.size())
        };
        assert_eq!(misfit([5, 1, 4, 4]), Ok(vec![5, 3]));
        let refused = misfit([5, 2, 4, 4]).unwrap_err();
        assert_eq!(
            (refused.layer.as_str(), refused.class, refused.input),
            ("0.0", "Conv2d", vec![5, 2, 4, 4])
        );
        let refused = misfit([5, 1, 4, 5]).unwrap_err();
        assert_eq!(
            (refused.layer.as_str(), refused.class, refused.input),
            ("head.fc", "Linear", vec![5, 12])
        );
        assert!(
            refused.reason.ends_with("multiplied (5x12 and 8x3)"),
            "one line of reason: {}",
            refused.reason
        );
    }
}
