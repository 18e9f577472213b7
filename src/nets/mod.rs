//! The notebooks' networks on `tch`'s variable store. The names of their variables are the keys of PyTorch's `state_dict()`.

pub mod lenet;
pub mod residual;
pub mod resnet18;

use tch::nn::{ModuleT, Path, VarStore};
use tch::{Device, Tensor};

use tch_extra::state_dict;

/// A network: its variables, and the module that computes with them.
#[derive(Debug)]
pub struct Net {
    /// Parameters and running statistics.
    pub vs: VarStore,
    /// The layers; or a wrapper around them, for several devices, several processes or mixed precision.
    pub module: Box<dyn ModuleT>,
}

impl Net {
    /// The network that `build` makes on the CPU. Its weights are drawn from the CPU's generator.
    ///
    /// ```
    /// use d2l_ch7::nets::{Net, lenet::lenet};
    /// use d2l_ch7::norm::Norm;
    /// use tch::{Kind, Tensor, nn::ModuleT};
    ///
    /// let net = Net::new(|p| lenet(p, &Norm::Scratch));
    /// let images = Tensor::rand([2, 1, 28, 28], tch::kind::FLOAT_CPU);
    /// assert_eq!(net.forward_t(&images, true).size(), [2, 10]);
    /// assert_eq!(net.vs.variables()["1.moving_mean"].size(), [1, 6, 1, 1]);
    /// ```
    pub fn new<M: ModuleT + 'static>(build: impl FnOnce(&Path) -> M) -> Self {
        let vs = VarStore::new(Device::Cpu);
        let module = Box::new(build(&vs.root()));
        Self { vs, module }
    }

    /// `net.state_dict()`, as [`state_dict::state`].
    pub fn state(&self) -> Vec<(String, Tensor)> {
        state_dict::state(&self.vs)
    }
}

impl ModuleT for Net {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        self.module.forward_t(x, train)
    }
}
