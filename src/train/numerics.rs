//! Mixed precision and memory format: two ways to compute the same network with other bits.

use clap::Args;
use serde::Serialize;
use tch::nn::ModuleT;
use tch::{Kind, Tensor};
use tch_extra::{autocast_bfloat16, channels_last};

use crate::nets::Net;

/// Precision and memory format; by default PyTorch's own, float32 and contiguous.
#[derive(Args, Serialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numerics {
    /// Mixed precision: bfloat16 where torch.autocast takes it. Other bits, and less exact ones
    #[arg(long)]
    pub amp: bool,
    /// Images and weights in memory as torch.channels_last has them. Other bits
    #[arg(long)]
    pub channels_last: bool,
}

impl Numerics {
    /// Whether both are PyTorch's default.
    pub fn are_default(self) -> bool {
        self == Self::default()
    }

    /// `net` with these numerics. It takes and gives float32.
    ///
    /// In Python: `net.to(memory_format=torch.channels_last)`, and network and loss under `torch.autocast`. Under autocast, cross
    /// entropy first converts its input to float32; here the network does that.
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
