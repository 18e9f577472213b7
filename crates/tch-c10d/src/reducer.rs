//! Gradients averaged over the ranks.

use std::ptr::NonNull;
use std::time::Duration;

use tch::Tensor;
use tch_extra::ffi::{Handle, Made, Outcome, TensorRef, new_tensor, references};
use torch_sys::C_tensor;

use super::process_group::{Group, ProcessGroup};
use crate::Result;

/// `tchx_reducer`.
#[derive(Debug)]
#[repr(C)]
struct Hooks([u8; 0]);

unsafe extern "C" {
    fn tchx_reducer_new(
        group: &Group,
        params: *const TensorRef,
        count: usize,
        layout: Option<TensorRef>,
        reducer: &mut Made<Hooks>,
    ) -> Outcome;
    fn tchx_reducer_free(reducer: NonNull<Hooks>);
    safe fn tchx_reducer_before_forward(reducer: &Hooks) -> Outcome;
    safe fn tchx_reducer_after_forward(reducer: &Hooks) -> Outcome;
    safe fn tchx_reducer_times(reducer: &Hooks, exchange: &mut i64, hidden: &mut i64) -> Outcome;
    safe fn tchx_reducer_layout(reducer: &Hooks, layout: &mut Made<C_tensor>) -> Outcome;
}

/// What PyTorch's `DistributedDataParallel` hooks to a network's parameters (`c10d::Reducer`), with its defaults: while a
/// backward pass goes on, each bucket of gradients that is complete is averaged over the ranks; after the pass, every
/// parameter has the average. When the reducer is dropped, backward passes are local again.
///
/// Buckets decide bits from three ranks on: a sum's order of addition depends on where in its bucket a gradient lies. The
/// first step has one bucket; then it makes buckets in the order in which gradients came, of 1 MiB and then of 25 MiB.
#[derive(Debug)]
pub struct Reducer(Handle<Hooks>);

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
        let (params, layout) = (references(params), layout.map(TensorRef::from));
        // SAFETY: there are as many parameters.
        let new = |reducer: &mut _| unsafe {
            tchx_reducer_new(&group.handle, params.as_ptr(), params.len(), layout, reducer)
        };
        Ok(Self(Handle::new(tchx_reducer_free, new)?))
    }

    /// Called before a forward pass that is followed by a backward pass.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn before_forward(&self) -> Result<()> {
        tchx_reducer_before_forward(&self.0).check()?;
        Ok(())
    }

    /// Called after that forward pass: the backward pass to come exchanges gradients.
    ///
    /// # Errors
    /// If the last backward pass did not end.
    pub fn after_forward(&self) -> Result<()> {
        tchx_reducer_after_forward(&self.0).check()?;
        Ok(())
    }

    /// How long exchanges took so far; `None` before the second step.
    ///
    /// # Errors
    /// None is known.
    pub fn times(&self) -> Result<Option<ExchangeTimes>> {
        let (mut exchange, mut hidden) = (0, 0);
        tchx_reducer_times(&self.0, &mut exchange, &mut hidden).check()?;
        let [exchange, hidden] =
            [exchange, hidden].map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
        Ok((!exchange.is_zero()).then_some(ExchangeTimes { exchange, hidden: hidden.min(exchange) }))
    }

    /// The bucket of each parameter and its place in it, int64 (params, 2). Called between two steps, on every rank.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn layout(&self) -> Result<Tensor> {
        Ok(new_tensor(|layout| tchx_reducer_layout(&self.0, layout))?)
    }
}
