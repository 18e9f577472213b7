//! A step that is recorded and repeated, on whatever device.

use tch::Device;

use super::{CudaGraph, Tape};
use crate::Result;

/// What a step computes, to be computed again at once: a [`CudaGraph`], or on a CPU a [`Tape`].
#[derive(Debug)]
pub enum Recording {
    /// Of a CUDA device.
    Graph(CudaGraph),
    /// Of a CPU.
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
    /// What must be done before, and what must not be done in `step`, is said at [`CudaGraph::capture`].
    ///
    /// # Errors
    /// If the device has no graphs, or a graph does not take what was recorded. What `tch` refuses within `step` panics there.
    pub fn of<T>(device: Device, step: impl FnOnce() -> T) -> Result<(Self, T)> {
        if device == Device::Cpu {
            return Tape::record(step).map(|(tape, outcome)| (Self::Tape(tape), outcome));
        }
        let (graph, outcome) = CudaGraph::capture(device, step)?;
        graph.replay()?;
        Ok((Self::Graph(graph), outcome))
    }

    /// Runs it again, on the memory of the first time.
    ///
    /// # Errors
    /// If the device does not take it.
    pub fn replay(&self) -> Result<()> {
        match self {
            Self::Graph(graph) => graph.replay(),
            Self::Tape(tape) => tape.replay(),
        }
    }
}
