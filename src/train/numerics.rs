//! How a network computes, where it may choose: neither choice changes what is computed, and both change its bits.

use tch::nn::ModuleT;
use tch::{Kind, Tensor};

use crate::nets::Net;
use crate::torch::{autocast_bfloat16, channels_last};

/// Precision and memory format; by default PyTorch's own, float32 and contiguous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numerics {
    /// `torch.autocast(device_type, dtype=torch.bfloat16)`: convolutions and matrix products in bfloat16.
    pub amp: bool,
    /// `torch.channels_last`: images and convolutions' weights lie in memory channel by channel of each pixel.
    pub channels_last: bool,
}

impl Numerics {
    /// Whether these are PyTorch's own.
    pub fn are_default(self) -> bool {
        self == Self::default()
    }

    /// `net` with these numerics, which takes and gives float32.
    ///
    /// In Python that is `net.to(memory_format=torch.channels_last)`, and network and loss under `torch.autocast`:
    /// cross entropy under autocast begins by making float32 of its input, which is done here.
    #[must_use]
    pub fn of(self, net: Net) -> Net {
        if self.are_default() {
            return net;
        }
        if self.channels_last {
            for mut variable in net.vs.variables().into_values().filter(|variable| variable.dim() == 4) {
                variable.set_data(&channels_last(&variable.detach()));
            }
        }
        Net { module: Box::new(WithNumerics { module: net.module, numerics: self }), vs: net.vs }
    }
}

#[derive(Debug)]
struct WithNumerics {
    module: Box<dyn ModuleT>,
    numerics: Numerics,
}

impl ModuleT for WithNumerics {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let Numerics { amp, channels_last: last } = self.numerics;
        let x = if last && x.dim() == 4 { channels_last(x) } else { x.shallow_clone() };
        if !amp {
            return self.module.forward_t(&x, train);
        }
        autocast_bfloat16(x.device(), || self.module.forward_t(&x, train)).to_kind(Kind::Float)
    }
}
