//! The libtorch of this process, and the driver and devices of CUDA.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tch::Device;

use crate::Result;
use crate::ffi::{Outcome, Text};

unsafe extern "C" {
    safe fn tchx_libtorch_cuda_version(version: &mut i64) -> Outcome;
    safe fn tchx_cudnn_version(version: &mut i64) -> Outcome;
    safe fn tchx_libtorch_file() -> Option<Text<'static>>;
    safe fn tchx_driver_facts(driver: &mut DriverFacts);
    fn tchx_driver_device_name(index: i32, name: *mut u8, size: i32);
    safe fn tchx_driver_device_attribute(index: i32, attribute: i32) -> i32;
}

/// `tchx_driver`.
#[repr(C)]
#[derive(Default)]
struct DriverFacts {
    found: bool,
    status: i32,
    version: i32,
    devices: i32,
}

/// The libtorch this crate is pinned to; the bits are promised for it alone.
pub const TORCH_VERSION: &str = "2.11.0";

/// Whether this program was linked with a libtorch for CUDA.
pub const LINKED_WITH_CUDA: bool = cfg!(linked_with_cuda);

/// A version of CUDA, ordered as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion {
    /// 13 of 13.0.
    pub major: u32,
    /// 0 of 13.0.
    pub minor: u32,
}

/// NVIDIA's driver, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// What `cuInit` gave: 0 if the driver works, else a `CUresult`: 100 no device, 803 versions of the driver's parts
    /// that do not fit.
    pub status: i32,
    /// The newest CUDA that it runs; `None` if it does not say.
    pub cuda: Option<CudaVersion>,
    /// The names of the devices that it shows this process, in their order.
    pub devices: Vec<String>,
}

impl CudaVersion {
    /// From CUDA's number for it: 13000 for 13.0, 12080 for 12.8; `None` of 0.
    fn from_number(number: i64) -> Option<Self> {
        let number = u32::try_from(number).ok().filter(|&number| number > 0)?;
        Some(Self { major: number / 1000, minor: number % 1000 / 10 })
    }
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The version of CUDA that libtorch was built for (`torch.version.cuda`); `None` where its CUDA library is not loaded.
///
/// # Errors
/// If the library that is loaded does not say.
pub fn libtorch_cuda() -> Result<Option<CudaVersion>> {
    let mut number = 0;
    tchx_libtorch_cuda_version(&mut number).check()?;
    Ok(CudaVersion::from_number(number))
}

/// The file that libtorch's library for CPUs was loaded from.
pub fn libtorch_file() -> Option<PathBuf> {
    // The dynamic linker's, which lives as long as the library: as the process.
    tchx_libtorch_file().map(|file| OsStr::from_bytes(file.bytes()).into())
}

/// What the driver says, asked without libtorch; `None` where there is none.
pub fn driver() -> Option<Driver> {
    let mut facts = DriverFacts::default();
    tchx_driver_facts(&mut facts);
    facts.found.then(|| Driver {
        status: facts.status,
        cuda: CudaVersion::from_number(facts.version.into()),
        devices: (0..facts.devices).map(drivers_name).collect(),
    })
}

/// What the driver calls its device `index`.
fn drivers_name(index: i32) -> String {
    let mut name = [0; 256];
    // SAFETY: `name` has room for as many bytes as `size` says.
    unsafe { tchx_driver_device_name(index, name.as_mut_ptr(), name.len() as i32) };
    CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy().into_owned()
}

/// What decides bits on those of `devices` that are CUDA devices, by name; nothing if none is.
pub(super) fn cuda(devices: &[Device]) -> BTreeMap<String, String> {
    // Of CUdevice_attribute.
    const MULTIPROCESSORS: i32 = 16;
    const CAPABILITY: [i32; 2] = [75, 76];
    let gpu = |index: usize| {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let [major, minor] = CAPABILITY.map(|part| tchx_driver_device_attribute(index, part));
        let multiprocessors = tchx_driver_device_attribute(index, MULTIPROCESSORS);
        let name = drivers_name(index);
        format!("{name}, compute capability {major}.{minor}, {multiprocessors} multiprocessors")
    };
    let mut cuda = BTreeMap::new();
    if !devices.iter().any(|device| device.is_cuda()) {
        return cuda;
    }
    // It also gets the driver ready for the questions to come.
    let newest = driver().and_then(|driver| driver.cuda);
    cuda.extend(newest.map(|newest| ("CUDA of the driver".to_owned(), newest.to_string())));
    let mut cudnn = 0;
    if tchx_cudnn_version(&mut cudnn).check().is_ok() {
        cuda.insert("cuDNN".to_owned(), cudnn.to_string());
    }
    for device in devices {
        if let Device::Cuda(index) = device {
            cuda.insert(device_name(*device), gpu(*index));
        }
    }
    cuda
}

/// PyTorch's name of a device: `cpu`, `cuda:0`.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let version = |number| CudaVersion::from_number(number).unwrap();
        assert_eq!(
            [version(13000), version(12080), version(13010)].map(|v| v.to_string()),
            ["13.0", "12.8", "13.1"]
        );
        assert!(version(12080) < version(13000) && version(13000) < version(13010));
        assert_eq!(CudaVersion::from_number(0), None);
    }

    #[test]
    fn this_process_has_a_libtorch() {
        let file = libtorch_file().expect("Linux and macOS tell");
        assert!(file.is_file() && file.to_string_lossy().contains("torch_cpu"), "{file:?}");
        assert_eq!(libtorch_cuda().unwrap().is_some(), LINKED_WITH_CUDA);
    }
}
