//! Gradients averaged over the ranks.

use std::ffi::c_void;
use std::time::Duration;

use tch::Tensor;

use super::process_group::pointers;
use super::{ProcessGroup, ffi};
use crate::Result;
use crate::torch::ffi::check;

/// What PyTorch's `DistributedDataParallel` hooks to a network's parameters (`c10d::Reducer`), with its defaults: while a
/// backward pass goes on, each bucket of gradients that is complete is averaged over the ranks; after the pass, every
/// parameter has the average. When the reducer is dropped, backward passes are local again.
///
/// Buckets decide bits from three ranks on: a sum's order of addition depends on where in its bucket a gradient lies. The
/// first step has one bucket; then it makes buckets in the order in which gradients came, of 1 MiB and then of 25 MiB.
#[derive(Debug)]
pub struct Reducer(*mut c_void);

// SAFETY: c10d::Reducer is bound to no thread; its hooks run on the backward pass's threads under a mutex of its own.
unsafe impl Send for Reducer {}

/// What exchanging gradients takes a step, on average over the steps that `DistributedDataParallel` samples: the first ten, then
/// every hundredth.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeTimes {
    /// From the start of the first bucket to the end of the last, waiting for slower ranks included.
    pub exchange: Duration,
    /// How long of it the backward pass still computed.
    pub hidden: Duration,
}

impl Reducer {
    /// Hooks to `params`, leaves that need a gradient, the same on every rank, all on one device. `layout` is what
    /// [`layout`](Self::layout) gave of a reducer of the same network, where training goes on.
    ///
    /// # Errors
    /// If `layout` does not fit the parameters, or a rank is gone.
    pub fn new(group: &ProcessGroup, params: &[Tensor], layout: Option<&Tensor>) -> Result<Self> {
        let pointers = pointers(params);
        let layout = layout.map_or(std::ptr::null_mut(), |layout| layout.as_ptr().cast_mut());
        let mut reducer = std::ptr::null_mut();
        // SAFETY: group and tensors are alive during the call, which takes references of its own; `reducer` is a valid place
        // for one pointer.
        check(unsafe {
            ffi::d2l_reducer_new(group.as_ptr(), pointers.as_ptr(), pointers.len(), layout, &mut reducer)
        })?;
        Ok(Self(reducer))
    }

    /// Called before a forward pass that is followed by a backward pass.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn before_forward(&self) -> Result<()> {
        // SAFETY: the reducer is alive.
        check(unsafe { ffi::d2l_reducer_before_forward(self.0) })
    }

    /// Called after that forward pass: the backward pass to come exchanges gradients.
    ///
    /// # Errors
    /// If the last backward pass did not end.
    pub fn after_forward(&self) -> Result<()> {
        // SAFETY: the reducer is alive.
        check(unsafe { ffi::d2l_reducer_after_forward(self.0) })
    }

    /// How long exchanges took so far; `None` before the second step.
    ///
    /// # Errors
    /// None is known.
    pub fn times(&self) -> Result<Option<ExchangeTimes>> {
        let (mut exchange, mut hidden) = (0, 0);
        // SAFETY: the reducer is alive; `exchange` and `hidden` are valid places for the numbers.
        check(unsafe { ffi::d2l_reducer_times(self.0, &mut exchange, &mut hidden) })?;
        let [exchange, hidden] =
            [exchange, hidden].map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
        Ok((!exchange.is_zero()).then_some(ExchangeTimes { exchange, hidden: hidden.min(exchange) }))
    }

    /// The bucket of each parameter and its place in it, int64 (params, 2). Called between two steps, on every rank.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn layout(&self) -> Result<Tensor> {
        let mut layout = std::ptr::null_mut();
        // SAFETY: the reducer is alive; `layout` is a valid place for one pointer.
        check(unsafe { ffi::d2l_reducer_layout(self.0, &mut layout) })?;
        // SAFETY: on success csrc/ put a new tensor there; no one else has the pointer.
        Ok(unsafe { Tensor::from_ptr(layout) })
    }
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // SAFETY: csrc/ made it, and it is freed once.
        unsafe { ffi::d2l_reducer_free(self.0) };
    }
}
