#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
// What is unsafe is the C++ of `csrc/`: every block says why it is sound.
#![allow(unsafe_code)]

mod autocast;
mod determinism;
mod error;
pub mod ffi;
pub mod fused;
mod generator;
mod graph;
pub mod init;
pub mod kernels;
mod libraries;
mod memory;
pub mod multi_tensor;
pub mod nn;
mod ops;
pub mod optim;
mod process;
mod readback;
mod recording;
mod signature;
pub mod state_dict;
mod threads;

pub use autocast::autocast_bfloat16;
pub use determinism::Determinism;
pub use error::{Error, Result};
pub use generator::{GeneratorState, manual_seed, random_i64, random_u32};
pub use graph::CudaGraph;
pub use libraries::{
    CudaVersion, Driver, LINKED_WITH_CUDA, TORCH_VERSION, device_name, driver, libtorch_cuda, libtorch_file,
};
pub use memory::{DeviceBytes, Memory, device_bytes, empty_cache, memory, reset_peak_memory};
pub use ops::{channels_last, clear_grad, set_grad};
pub use process::{exit_at_once, file_limits_are_errors, is_ignored, keep_freed_memory};
pub use readback::Readback;
pub use recording::Recording;
pub use signature::{CUDA_SETTINGS, SETTINGS, Signature, processor_name};
pub use threads::{MOST_THREADS, ThreadContext, set_threads};
