//! Which libtorch this process has, and what NVIDIA's driver says: what `d2l_ch7 doctor` looks at.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tch::Device;

use super::ffi;
use super::ffi_cuda::{
    self, d2l_cudnn_version, d2l_driver_device_attribute, d2l_driver_device_name, d2l_driver_facts,
    d2l_libtorch_cuda_version,
};
use super::signature;
use crate::Result;

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

/// What NVIDIA's driver says of itself.
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
    // SAFETY: `number` is a valid place for the result.
    ffi::check(unsafe { d2l_libtorch_cuda_version(&mut number) })?;
    Ok(CudaVersion::from_number(number))
}

/// The file that libtorch's library for CPUs was loaded from.
pub fn libtorch_file() -> Option<PathBuf> {
    let file = ffi_cuda::d2l_libtorch_file();
    if file.is_null() {
        return None;
    }
    // SAFETY: a NUL-terminated string of the dynamic linker's, which lives as long as the library: as the process.
    let file = unsafe { CStr::from_ptr(file) };
    Some(OsStr::from_bytes(file.to_bytes()).into())
}

/// What the driver says, asked without libtorch; `None` where there is none.
pub fn driver() -> Option<Driver> {
    let mut facts = ffi_cuda::Driver::default();
    // SAFETY: `facts` is a valid place for the result.
    unsafe { d2l_driver_facts(&mut facts) };
    let ffi_cuda::Driver { found, status, version, devices } = facts;
    found.then(|| Driver {
        status,
        cuda: CudaVersion::from_number(version.into()),
        devices: (0..devices).map(device_name).collect(),
    })
}

/// What the driver calls its device `index`.
fn device_name(index: i32) -> String {
    let mut name: [c_char; 256] = [0; 256];
    // SAFETY: `name` has room for as many bytes as are told.
    unsafe { d2l_driver_device_name(index, name.as_mut_ptr(), name.len() as i32) };
    // SAFETY: the driver ends a name with NUL within its room, and without one the first byte is NUL.
    unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned()
}

/// What decides bits on those of `devices` that are CUDA devices, by name; nothing if none is.
pub(super) fn cuda(devices: &[Device]) -> BTreeMap<String, String> {
    // Of CUdevice_attribute.
    const MULTIPROCESSORS: i32 = 16;
    const CAPABILITY: [i32; 2] = [75, 76];
    let gpu = |index: usize| {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let [major, minor] = CAPABILITY.map(|part| d2l_driver_device_attribute(index, part));
        let multiprocessors = d2l_driver_device_attribute(index, MULTIPROCESSORS);
        let name = device_name(index);
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
    // SAFETY: `cudnn` is a valid place for the result.
    let known = ffi::check(unsafe { d2l_cudnn_version(&mut cudnn) });
    cuda.extend(known.ok().map(|()| ("cuDNN".to_owned(), cudnn.to_string())));
    for device in devices {
        if let Device::Cuda(index) = device {
            cuda.insert(signature::device_name(*device), gpu(*index));
        }
    }
    cuda
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
