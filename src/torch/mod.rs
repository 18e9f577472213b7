//! Safe wrappers over `csrc/`, the parts of libtorch that `tch` does not bind. All `unsafe` of the crate is here; the
//! compiler refuses it elsewhere.

#![allow(unsafe_code)]

mod autocast;
pub(crate) mod c10d;
mod determinism;
mod ffi;
mod ffi_cuda;
mod ffi_multi_tensor;
mod ffi_tape;
mod generator;
mod graph;
mod libraries;
mod memory;
pub mod multi_tensor;
mod ops;
mod readback;
mod recording;
mod signature;
mod tape;
mod thread_context;

pub use autocast::autocast_bfloat16;
pub use c10d::{ExchangeTimes, ProcessGroup, Reducer, Store, StoreAddress};
pub use determinism::Determinism;
pub use generator::GeneratorState;
pub use graph::CudaGraph;
pub use libraries::{CudaVersion, Driver, LINKED_WITH_CUDA, driver, libtorch_cuda, libtorch_file};
pub use memory::{DeviceBytes, Memory, device_bytes, empty_cache, memory, reset_peak_memory};
pub use ops::{add_alpha_, addcdiv_value_, addcmul_value_, channels_last, clear_grad, set_grad};
pub use readback::Readback;
pub use recording::Recording;
pub use signature::{CUDA_SETTINGS, SETTINGS, Signature, device_name, fuses_multiply_add, processor_name};
pub use tape::Tape;
pub use thread_context::ThreadContext;

use std::num::NonZeroUsize;

use tch::{Device, Tensor};

use crate::{Error, Result};

/// The libtorch this crate is pinned to; the bits are promised for it alone.
pub const TORCH_VERSION: &str = "2.11.0";

/// Seeds libtorch's default generators, CPU and CUDA, as `torch.manual_seed` does.
pub fn manual_seed(seed: u64) {
    // libtorch takes the 64 bits unsigned again.
    tch::manual_seed(seed.cast_signed());
}

/// One draw of `torch.empty((), dtype=torch.int64).random_()` from the CPU's default generator: how a
/// PyTorch `DataLoader` gets its seeds.
pub fn random_i64() -> i64 {
    Tensor::zeros([], (tch::Kind::Int64, Device::Cpu)).random_().int64_value(&[])
}

/// The next 32 bits of the CPU's default generator.
pub fn random_u32() -> u32 {
    let mut number = 0;
    // SAFETY: `number` is a valid place for the result.
    ffi::check(unsafe { ffi::d2l_random_u32(&mut number) }).expect("libtorch always has a CPU generator");
    number
}

/// A new float32 tensor of `size` on the CPU, whose elements `fill` writes row by row.
///
/// # Panics
/// If it would have no element.
pub fn filled(size: &[i64], fill: impl FnOnce(&mut [f32])) -> Tensor {
    let tensor = Tensor::empty(size, (tch::Kind::Float, Device::Cpu));
    assert!(tensor.numel() > 0, "a tensor of size {size:?} has nothing to fill");
    // SAFETY: a new tensor is contiguous, nobody else holds it yet, and every bit pattern is an f32.
    fill(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) });
    tensor
}

/// Lets the process keep the memory that a training step frees, for the next step: by default, glibc gives much of
/// it back to the system, and every step pays for getting it again (on LeNet's hand-written batch norm, a tenth of
/// the step). Call it once, early. Elsewhere than on glibc it does nothing.
pub fn keep_freed_memory() {
    ffi::d2l_keep_freed_memory();
}

/// From now on, writing a file larger than the process may (`ulimit -f`) is an error like a full disk. By default it kills
/// the process, whatever it had to say or to finish. Call it once, early.
pub fn file_limits_are_errors() {
    ffi::d2l_ignore_file_size_signal();
}

/// Whether the process ignores the signal.
pub fn is_ignored(signal: i32) -> bool {
    ffi::d2l_signal_is_ignored(signal)
}

/// Ends the process, whatever its other threads are doing: `std::process::exit` first takes libtorch apart, and a thread that
/// computes meanwhile meets errors, or worse.
pub fn exit_at_once(code: u8) -> ! {
    ffi::d2l_exit_at_once(code.into())
}

/// The most threads that are set: as many as the largest machines have. libgomp ends the process, or hangs, where it cannot start
/// as many as it is told.
pub const MOST_THREADS: usize = 1024;

/// Sets the threads of libtorch's CPU kernels; `None` leaves libtorch's default. They belong to the signature: other counts, other
/// bits.
///
/// # Errors
/// A usage error for more than [`MOST_THREADS`], and for more than `OMP_THREAD_LIMIT`, `OMP_DYNAMIC`
/// or `OMP_MAX_ACTIVE_LEVELS` allows, with which oneDNN would wait for ever.
pub fn set_threads(threads: Option<NonZeroUsize>) -> Result<()> {
    let count =
        threads.map_or_else(|| usize::try_from(tch::get_num_threads()).unwrap_or(1), NonZeroUsize::get);
    if threads.is_some() && count > MOST_THREADS {
        return Err(Error::usage(
            format!("--threads {count} is more than {MOST_THREADS}"),
            format!("give --threads 1 to {MOST_THREADS}; more than there are processors make nothing faster"),
        ));
    }
    check_thread_limit(count)?;
    if threads.is_some() {
        tch::set_num_threads(count as i32);
    }
    Ok(())
}

/// Refuses more threads than libgomp may start: oneDNN counts on all of them.
fn check_thread_limit(threads: usize) -> Result<()> {
    let variable = |name| std::env::var(name).unwrap_or_default().trim().to_lowercase();
    let limit = variable("OMP_THREAD_LIMIT").parse().ok().filter(|&limit: &usize| limit > 0);
    let (name, most) = if let Some(limit) = limit.filter(|&limit| limit < threads) {
        ("OMP_THREAD_LIMIT", limit)
    } else if variable("OMP_DYNAMIC") == "true" {
        ("OMP_DYNAMIC", 1)
    } else if variable("OMP_MAX_ACTIVE_LEVELS") == "0" {
        ("OMP_MAX_ACTIVE_LEVELS", 1)
    } else {
        return Ok(());
    };
    if threads <= most {
        return Ok(());
    }
    Err(Error::usage(
        format!("{name} is {}: training with {threads} threads would wait for ever", variable(name)),
        format!("unset {name}, or give --threads {most}{}", if most > 1 { " or less" } else { "" }),
    ))
}
