//! Safe wrappers over `csrc/`, the parts of libtorch that `tch` does not bind. All `unsafe` of the crate is here; the
//! compiler refuses it elsewhere.

#![allow(unsafe_code)]

mod autocast;
pub(crate) mod c10d;
mod determinism;
mod ffi;
mod generator;
mod graph;
mod libraries;
mod memory;
pub mod multi_tensor;
mod ops;
mod process;
mod readback;
mod recording;
mod signature;
mod threads;

pub use autocast::autocast_bfloat16;
pub use c10d::{ExchangeTimes, ProcessGroup, Reducer, Store, StoreAddress};
pub use determinism::Determinism;
pub use generator::{GeneratorState, manual_seed, random_i64, random_u32};
pub use graph::CudaGraph;
pub use libraries::{
    CudaVersion, Driver, LINKED_WITH_CUDA, TORCH_VERSION, device_name, driver, libtorch_cuda, libtorch_file,
};
pub use memory::{DeviceBytes, Memory, device_bytes, empty_cache, memory, reset_peak_memory};
pub use ops::{channels_last, clear_grad, filled, set_grad};
pub use process::{exit_at_once, file_limits_are_errors, is_ignored, keep_freed_memory};
pub use readback::Readback;
pub use recording::Recording;
pub use signature::{CUDA_SETTINGS, SETTINGS, Signature, fuses_multiply_add, processor_name};
pub use threads::{MOST_THREADS, ThreadContext, set_threads};
