//! A step that is recorded and repeated, on whatever device.

use tch::Device;

use super::{CudaGraph, Tape};
use crate::Result;

/// What a step computes, to be computed again at once: a [`CudaGraph`], or on a CPU a [`Tape`].
#[derive(Debug)]
pub struct Recording(Kind);

#[derive(Debug)]
enum Kind {
    Graph(CudaGraph),
    Tape(Tape),
}

impl Recording {
    /// Whether something can be recorded on `device`.
    ///
    /// # Errors
    /// If it is a CUDA device without graphs.
    pub fn check_available(device: Device) -> Result<()> {
        if device == Device::Cpu { Ok(()) } else { CudaGraph::check_available(device) }
    }

    /// Runs `step` once, on `device`, and records it. What `step` gives is handed on.
    ///
    /// It may have to have run before, and what it may not do: see [`CudaGraph::capture`].
    ///
    /// # Errors
    /// If the device has no graphs, or something in `step` cannot be recorded.
    pub fn of<T>(device: Device, step: impl FnOnce() -> T) -> Result<(Self, T)> {
        if device == Device::Cpu {
            return Tape::record(step).map(|(tape, outcome)| (Self(Kind::Tape(tape)), outcome));
        }
        let (graph, outcome) = CudaGraph::capture(device, step)?;
        graph.replay()?;
        Ok((Self(Kind::Graph(graph)), outcome))
    }

    /// Runs it again, on the memory of the first time.
    ///
    /// # Errors
    /// If the device does not take it.
    pub fn replay(&self) -> Result<()> {
        match &self.0 {
            Kind::Graph(graph) => graph.replay(),
            Kind::Tape(tape) => tape.replay(),
        }
    }
}
