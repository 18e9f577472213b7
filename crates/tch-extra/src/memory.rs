//! The memory of a CUDA device, as libtorch's caching allocator and the device itself count it.

use tch::Device;

use crate::ffi::Outcome;
use crate::{Error, Result, device_name};

unsafe extern "C" {
    safe fn tchx_memory_stats(cuda_index: i64, memory: &mut Memory) -> Outcome;
    safe fn tchx_reset_peak_memory(cuda_index: i64) -> Outcome;
    safe fn tchx_empty_cache() -> Outcome;
    safe fn tchx_device_bytes(cuda_index: i64, free: &mut u64, total: &mut u64) -> Outcome;
}

/// What libtorch holds of a device's memory, in bytes. The names in parentheses are Python's. In memory it is the `tchx_memory` of
/// `csrc/`, whose counts are never negative.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    let mut memory = Memory::default();
    tchx_memory_stats(index, &mut memory).check()?;
    Ok(Some(memory))
}

/// `torch.cuda.reset_peak_memory_stats`: peaks are counted from what is held now. Nothing on a CPU.
///
/// # Errors
/// If libtorch has no such device.
pub fn reset_peak_memory(device: Device) -> Result<()> {
    cuda_index(device)?.map_or(Ok(()), |index| tchx_reset_peak_memory(index).check())
}

/// `torch.cuda.empty_cache`, of every CUDA device: gives back to the devices what no tensor uses. Nothing for a CPU.
///
/// # Errors
/// If libtorch has no such device.
pub fn empty_cache(device: Device) -> Result<()> {
    cuda_index(device)?.map_or(Ok(()), |_| tchx_empty_cache().check())
}

/// `torch.cuda.mem_get_info`; `None` for a CPU.
///
/// # Errors
/// If libtorch has no such device, or the device does not answer.
pub fn device_bytes(device: Device) -> Result<Option<DeviceBytes>> {
    let Some(index) = cuda_index(device)? else { return Ok(None) };
    let mut bytes = DeviceBytes { free: 0, total: 0 };
    tchx_device_bytes(index, &mut bytes.free, &mut bytes.total).check()?;
    Ok(Some(bytes))
}

/// csrc's number of a CUDA device that is there; `None` for a CPU.
pub(crate) fn cuda_index(device: Device) -> Result<Option<i64>> {
    let count = tch::Cuda::device_count();
    let index = match device {
        Device::Cpu => return Ok(None),
        Device::Cuda(index) => i64::try_from(index).ok().filter(|&index| index < count),
        _ => None,
    };
    index.map(Some).ok_or_else(|| Error::NoDevice { device: device_name(device), count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GeneratorState;

    #[test]
    fn a_cpu_has_no_counts_and_an_absent_device_is_named() {
        assert_eq!(memory(Device::Cpu).unwrap(), None);
        assert_eq!(device_bytes(Device::Cpu).unwrap(), None);
        reset_peak_memory(Device::Cpu).unwrap();
        empty_cache(Device::Cpu).unwrap();
        assert!(GeneratorState::capture(Device::Cuda(usize::MAX)).is_err());
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
