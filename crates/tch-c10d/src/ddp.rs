//! A network in several processes: PyTorch's `DistributedDataParallel`.

use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tch::Tensor;
use tch::nn::{ModuleT, VarStore};

use tch_extra::state_dict::{buffers, state};

use crate::{ExchangeTimes, ProcessGroup, Reducer, Result};

/// PyTorch's `DistributedDataParallel(net)` with its defaults. Every rank has the same parameters and steps by the mean of the ranks'
/// gradients, which are exchanged while the backward pass goes on. Running statistics are rank 0's: its buffers replace those of the
/// other ranks before each forward pass in training.
///
/// The names of the weights are the network's, without PyTorch's prefix `module.`.
#[derive(Clone, Debug)]
pub struct DistributedDataParallel(Arc<Mutex<Hooks>>);

#[derive(Debug)]
struct Hooks {
    group: Arc<ProcessGroup>,
    reducer: Reducer,
    /// The network's running statistics.
    buffers: Vec<Tensor>,
}

impl DistributedDataParallel {
    /// Copies rank 0's parameters and buffers to every rank, and adds hooks to the parameters. A run that goes on passes the `layout`
    /// that [`layout`](Self::layout) gave.
    ///
    /// # Errors
    /// If the ranks' networks differ in shape, if `layout` is another network's, or if a rank is gone.
    pub fn new(group: &Arc<ProcessGroup>, vs: &VarStore, layout: Option<&Tensor>) -> Result<Self> {
        let params = vs.trainable_variables();
        group.verify_shapes(&params)?;
        group.broadcast(&state(vs).into_iter().map(|(_, tensor)| tensor).collect::<Vec<_>>())?;
        let reducer = Reducer::new(group, &params, layout)?;
        Ok(Self(Arc::new(Mutex::new(Hooks { group: Arc::clone(group), reducer, buffers: buffers(vs) }))))
    }

    /// Wraps the network whose variables [`new`](Self::new) was given. A backward pass must follow each forward pass in training.
    ///
    /// If a rank is gone or does not come in time, a forward pass panics, and the panic's payload is this crate's [`Error`](crate::Error):
    /// a module cannot return one. libtorch's backward pass panics then, too, with its message.
    #[must_use]
    pub fn around(&self, module: Box<dyn ModuleT>) -> Box<dyn ModuleT> {
        Box::new(Around { ddp: self.clone(), module })
    }

    /// Copies rank 0's running statistics to every rank.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast_buffers(&self) -> Result<()> {
        self.hooks().broadcast_buffers()
    }

    /// How long a step's exchange of gradients takes; `None` before the second step.
    ///
    /// # Errors
    /// No failure is known.
    pub fn times(&self) -> Result<Option<ExchangeTimes>> {
        self.hooks().reducer.times()
    }

    /// Which gradients are exchanged together, and in which order. With three ranks or more this decides bits. All ranks must call it
    /// between the same two steps.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn layout(&self) -> Result<Tensor> {
        self.hooks().reducer.layout()
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hooks {
    fn broadcast_buffers(&self) -> Result<()> {
        if self.buffers.is_empty() { Ok(()) } else { self.group.broadcast(&self.buffers) }
    }
}

#[derive(Debug)]
struct Around {
    ddp: DistributedDataParallel,
    module: Box<dyn ModuleT>,
}

impl Around {
    fn forward_in_training(&self, x: &Tensor) -> Result<Tensor> {
        let hooks = self.ddp.hooks();
        hooks.reducer.before_forward()?;
        hooks.broadcast_buffers()?;
        let y = self.module.forward_t(x, true);
        hooks.reducer.after_forward()?;
        Ok(y)
    }
}

impl ModuleT for Around {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return self.module.forward_t(x, false);
        }
        self.forward_in_training(x).unwrap_or_else(|error| panic::resume_unwind(Box::new(error)))
    }
}
