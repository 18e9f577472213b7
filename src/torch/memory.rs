//! The memory of a CUDA device, as libtorch's caching allocator and the device itself count it.

use tch::Device;

use super::ffi_cuda::{self, d2l_device_bytes, d2l_empty_cache, d2l_memory_stats, d2l_reset_peak_memory};
use super::{device_name, ffi};
use crate::{Error, Result};

/// What libtorch holds of a device's memory, in bytes. The names in parentheses are Python's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In tensors now (`torch.cuda.memory_allocated`).
    pub allocated: u64,
    /// The most since the process began, or since [`reset_peak_memory`] (`torch.cuda.max_memory_allocated`).
    pub peak_allocated: u64,
    /// Taken from the device, for tensors now and later (`torch.cuda.memory_reserved`).
    pub reserved: u64,
    /// The most of it (`torch.cuda.max_memory_reserved`).
    pub peak_reserved: u64,
}

/// Bytes of a device, whoever uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceBytes {
    /// Not taken by any process.
    pub free: u64,
    /// All there are.
    pub total: u64,
}

/// The caching allocator's counts for `device`; `None` for a CPU, whose memory libtorch does not count.
///
/// # Errors
/// If libtorch has no such device.
pub fn memory(device: Device) -> Result<Option<Memory>> {
    let Some(index) = cuda_index(device)? else { return Ok(None) };
    let mut memory = ffi_cuda::Memory::default();
    // SAFETY: `memory` is a valid place for the result.
    ffi::check(unsafe { d2l_memory_stats(index, &mut memory) })?;
    // The allocator's counts are never negative.
    let ffi_cuda::Memory { allocated, peak_allocated, reserved, peak_reserved } = memory;
    Ok(Some(Memory {
        allocated: allocated.cast_unsigned(),
        peak_allocated: peak_allocated.cast_unsigned(),
        reserved: reserved.cast_unsigned(),
        peak_reserved: peak_reserved.cast_unsigned(),
    }))
}

/// `torch.cuda.reset_peak_memory_stats`: peaks are counted from what is held now. Nothing on a CPU.
///
/// # Errors
/// If libtorch has no such device.
pub fn reset_peak_memory(device: Device) -> Result<()> {
    let Some(index) = cuda_index(device)? else { return Ok(()) };
    // SAFETY: takes a number only.
    ffi::check(unsafe { d2l_reset_peak_memory(index) })
}

/// `torch.cuda.empty_cache`, of every CUDA device: gives back to the devices what no tensor uses. Nothing for a CPU.
///
/// # Errors
/// If libtorch has no such device.
pub fn empty_cache(device: Device) -> Result<()> {
    if cuda_index(device)?.is_none() {
        return Ok(());
    }
    // SAFETY: takes nothing.
    ffi::check(unsafe { d2l_empty_cache() })
}

/// `torch.cuda.mem_get_info`; `None` for a CPU.
///
/// # Errors
/// If libtorch has no such device, or the device does not answer.
pub fn device_bytes(device: Device) -> Result<Option<DeviceBytes>> {
    let Some(index) = cuda_index(device)? else { return Ok(None) };
    let mut bytes = DeviceBytes { free: 0, total: 0 };
    // SAFETY: both are valid places for a number.
    ffi::check(unsafe { d2l_device_bytes(index, &mut bytes.free, &mut bytes.total) })?;
    Ok(Some(bytes))
}

/// csrc's number of a CUDA device that is there; `None` for a CPU.
fn cuda_index(device: Device) -> Result<Option<i64>> {
    let count = tch::Cuda::device_count();
    match device {
        Device::Cpu => Ok(None),
        Device::Cuda(index) if (index as i64) < count => Ok(Some(index as i64)),
        other => Err(Error::failed(
            format!("the memory of {} is not known: libtorch finds {count} CUDA devices", device_name(other)),
            "`d2l_ch7 doctor` tells what keeps a GPU from being used",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_no_counts_and_an_absent_device_is_named() {
        assert_eq!(memory(Device::Cpu).unwrap(), None);
        assert_eq!(device_bytes(Device::Cpu).unwrap(), None);
        reset_peak_memory(Device::Cpu).unwrap();
        empty_cache(Device::Cpu).unwrap();
        // No machine has so many GPUs.
        let absent = Device::Cuda(99);
        for error in [
            memory(absent).unwrap_err(),
            device_bytes(absent).unwrap_err(),
            reset_peak_memory(absent).unwrap_err(),
            empty_cache(absent).unwrap_err(),
        ] {
            assert!(error.to_string().contains("cuda:99"), "{error}");
        }
    }
}
