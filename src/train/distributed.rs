//! A network in several processes: PyTorch's `DistributedDataParallel`.

use tch::Tensor;

use crate::Result;
use crate::layers::{Module, Slot, parameters, state, visit};
use crate::torch::{ProcessGroup, Reducer};

/// PyTorch's `DistributedDataParallel(net)`, on the CPU, with its defaults: every rank has the same parameters and steps by
/// the mean of the ranks' gradients, which are exchanged while the backward pass goes on. Running statistics are rank 0's:
/// its buffers replace the others' before each forward pass in training.
///
/// It is used beside the network, which stays its owner's. The names of the weights are the network's, without PyTorch's
/// prefix `module.`.
#[derive(Debug)]
pub struct DistributedDataParallel<'a> {
    group: &'a ProcessGroup,
    reducer: Reducer,
}

impl<'a> DistributedDataParallel<'a> {
    /// Gives every rank's `net` rank 0's parameters and buffers, and hooks to the parameters. `layout` is what
    /// [`layout`](Self::layout) gave, where training goes on.
    ///
    /// # Errors
    /// If the ranks' networks differ in shape, if `layout` is another network's, or if a rank is gone.
    pub fn new(group: &'a ProcessGroup, net: &mut dyn Module, layout: Option<&Tensor>) -> Result<Self> {
        let params = parameters(net);
        group.verify_shapes(&params)?;
        group.broadcast(&state(net).into_iter().map(|(_, tensor)| tensor).collect::<Vec<_>>())?;
        Ok(Self { group, reducer: Reducer::new(group, &params, layout)? })
    }

    /// The network's output in training, which a backward pass must follow.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn forward(&self, net: &mut dyn Module, x: &Tensor) -> Result<Tensor> {
        self.reducer.before_forward()?;
        self.broadcast_buffers(net)?;
        let y = net.forward(x, true);
        self.reducer.after_forward()?;
        Ok(y)
    }

    /// Gives every rank's `net` rank 0's running statistics.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast_buffers(&self, net: &mut dyn Module) -> Result<()> {
        let mut buffers = Vec::new();
        visit(net, &mut |_, slot, tensor| {
            if slot == Slot::Buffer {
                buffers.push(tensor.detach());
            }
        });
        if buffers.is_empty() { Ok(()) } else { self.group.broadcast(&buffers) }
    }

    /// Which gradients are exchanged together, and in what order: with three ranks and more, it decides bits. Called between
    /// two steps, on every rank.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn layout(&self) -> Result<Tensor> {
        self.reducer.layout()
    }
}
