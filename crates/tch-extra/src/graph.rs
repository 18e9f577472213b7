//! CUDA graphs: the kernels of a step, recorded once and then launched together.

use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;

use tch::Device;

use crate::ffi::{Handle, Made, Outcome};
use crate::{Error, Result, device_name};

/// `tchx_graph`.
#[derive(Debug)]
#[repr(C)]
struct Kernels([u8; 0]);

unsafe extern "C" {
    safe fn tchx_has_graphs() -> bool;
    safe fn tchx_graph_begin(cuda_index: i64, graph: &mut Made<Kernels>) -> Outcome;
    safe fn tchx_graph_end(graph: &Kernels) -> Outcome;
    safe fn tchx_graph_replay(graph: &Kernels) -> Outcome;
    fn tchx_graph_free(graph: NonNull<Kernels>);
}

/// `torch.cuda.CUDAGraph`, captured.
///
/// A replay runs the recorded kernels again, on the memory that they were recorded with: what changes from step to step is
/// copied into tensors that were there during the capture, and results are read from those that it gave. Random numbers go
/// on from where the device's default generator stands, as they would without a graph.
#[derive(Debug)]
pub struct CudaGraph(Handle<Kernels>);

impl CudaGraph {
    /// Whether this program was built with graphs.
    pub fn is_compiled_in() -> bool {
        tchx_has_graphs()
    }

    /// Whether graphs can be captured on `device`.
    ///
    /// # Errors
    /// If it is no CUDA device that is there, or this program was built without graphs.
    pub fn check_available(device: Device) -> Result<()> {
        let why = match device {
            Device::Cuda(_) if !Self::is_compiled_in() => {
                "this program was built without the headers of CUDA's runtime, or with a libtorch for CPUs"
            }
            Device::Cuda(index) if (index as i64) < tch::Cuda::device_count() => return Ok(()),
            Device::Cuda(_) => "libtorch finds no such device",
            _ => "graphs are CUDA's",
        };
        Err(Error::NoGraphs { device: device_name(device), why })
    }

    /// Records what `step` launches on `device`, as `with torch.cuda.graph(..)` does: nothing of it is run. What `step` gives is
    /// handed on; tensors in it get their values from replays.
    ///
    /// Run `step` a few times before, so that cuDNN has chosen its kernels and gradients have their memory. In it nothing may
    /// wait for the device: no `double_value`, no copy to the CPU. If it panics, as `tch` does where CUDA refuses an operation, the
    /// capture ends, and the panic goes on.
    ///
    /// # Errors
    /// As [`check_available`](Self::check_available); or if CUDA does not end the capture, after which libtorch takes no other in this
    /// process.
    pub fn capture<T>(device: Device, step: impl FnOnce() -> T) -> Result<(Self, T)> {
        Self::check_available(device)?;
        let Device::Cuda(index) = device else { unreachable!("only CUDA has graphs") };
        let graph = Handle::new(tchx_graph_free, |graph| tchx_graph_begin(index as i64, graph))?;
        let outcome = until_end(step, || tchx_graph_end(&graph).check())?;
        Ok((Self(graph), outcome))
    }

    /// Launches the recorded kernels on the device's current stream, and does not wait for them.
    ///
    /// # Errors
    /// If CUDA does not take them.
    pub fn replay(&self) -> Result<()> {
        tchx_graph_replay(&self.0).check()
    }
}

/// Runs what is recorded, then the end of the recording, whatever became of it. A panic goes on after the end.
pub(super) fn until_end<T>(step: impl FnOnce() -> T, end: impl FnOnce() -> Result<()>) -> Result<T> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(step));
    let ended = end();
    match outcome {
        Ok(outcome) => ended.map(|()| outcome),
        Err(panic) => panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_cuda_there_are_none_and_nothing_is_run() {
        // No machine has so many GPUs.
        for device in [Device::Cpu, Device::Cuda(99)] {
            let error = CudaGraph::capture(device, || panic!("not captured, but run")).unwrap_err();
            assert!(error.to_string().contains("no CUDA graph"), "{error}");
        }
    }
}
