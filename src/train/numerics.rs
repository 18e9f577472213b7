//! How a network computes, where it may choose: neither choice changes what is computed, and both change its bits.

use tch::{Kind, Tensor};

use crate::layers::{Module, Slot, Synchronized, visit};
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
}

/// A network with the numerics that it computes with. Takes and gives float32.
///
/// In Python that is `net.to(memory_format=torch.channels_last)`, and network and loss under `torch.autocast`:
/// cross entropy under autocast begins by making float32 of its input, which is done here.
pub struct WithNumerics<M> {
    module: M,
    numerics: Numerics,
}

impl<M: Module> WithNumerics<M> {
    /// Brings the module's tensors into their memory format; handles of its parameters are to be taken afterwards.
    pub fn new(mut module: M, numerics: Numerics) -> Self {
        if numerics.channels_last {
            visit(&mut module, &mut |_, slot, tensor| {
                if tensor.dim() == 4 {
                    let trained = slot == Slot::Parameter && tensor.requires_grad();
                    *tensor = channels_last(&tensor.detach()).set_requires_grad(trained);
                }
            });
        }
        Self { module, numerics }
    }
}

impl<M: Module> Module for WithNumerics<M> {
    fn name(&self) -> &'static str {
        self.module.name()
    }

    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor {
        let Numerics { amp, channels_last: last } = self.numerics;
        let x = if last && x.dim() == 4 { channels_last(x) } else { x.shallow_clone() };
        if !amp {
            return self.module.forward(&x, train);
        }
        autocast_bfloat16(x.device(), || self.module.forward(&x, train)).to_kind(Kind::Float)
    }

    fn tensors(&mut self) -> Vec<(&'static str, Slot, &mut Tensor)> {
        self.module.tensors()
    }

    fn children(&mut self) -> Vec<(String, &mut dyn Module)> {
        self.module.children()
    }

    fn xavier_weight(&mut self) -> Option<&mut Tensor> {
        self.module.xavier_weight()
    }

    fn synchronized(&mut self) -> Option<&mut dyn Synchronized> {
        self.module.synchronized()
    }
}
