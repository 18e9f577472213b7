//! CUDA graphs: the kernels of a step, recorded once and then launched together.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use tch::Device;

use super::ffi;
use super::ffi_cuda::{d2l_graph_begin, d2l_graph_end, d2l_graph_free, d2l_graph_replay, d2l_has_graphs};
use super::recording::until_end;
use crate::{Error, Result};

/// `torch.cuda.CUDAGraph`, captured.
///
/// A replay runs the recorded kernels again, on the memory that they were recorded with: what changes from step to step is
/// copied into tensors that were there during the capture, and results are read from those that it gave. Random numbers go
/// on from where the device's default generator stands, as they would without a graph.
#[derive(Debug)]
pub struct CudaGraph {
    graph: NonNull<c_void>,
}

impl CudaGraph {
    /// Whether this program was built with graphs.
    pub fn is_compiled_in() -> bool {
        d2l_has_graphs()
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
        Err(Error::failed(
            format!("no CUDA graph can be captured on {}: {why}", super::device_name(device)),
            "run without graphs; `d2l_ch7 doctor` tells what keeps a GPU from being used",
        ))
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
        let mut begun = ptr::null_mut();
        // SAFETY: `begun` is a valid place for one pointer.
        ffi::check(unsafe { d2l_graph_begin(index as i64, &mut begun) })?;
        let graph = Self { graph: NonNull::new(begun).expect("csrc/ gives a graph or an error") };
        // SAFETY: a graph whose capture has begun and has not ended.
        let outcome = until_end(step, || ffi::check(unsafe { d2l_graph_end(begun) }))?;
        Ok((graph, outcome))
    }

    /// Launches the recorded kernels on the device's current stream, and does not wait for them.
    ///
    /// # Errors
    /// If CUDA does not take them.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the graph lives, and its capture has ended: nobody else gets a `CudaGraph`.
        ffi::check(unsafe { d2l_graph_replay(self.graph.as_ptr()) })
    }
}

impl Drop for CudaGraph {
    fn drop(&mut self) {
        // SAFETY: from `d2l_graph_begin`, freed once.
        unsafe { d2l_graph_free(self.graph.as_ptr()) };
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
