//! What decides the bits of a run besides the seed: two runs of one signature print the same digits.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tch::Device;

use super::ffi;

/// The libtorch, device and thread count that a number was computed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// libtorch's version, `2.11.0`.
    pub torch: String,
    /// `cpu`, or `cuda:N`; of several, with commas between them.
    pub device: String,
    /// The processor's model: MKL and oneDNN choose kernels by it.
    pub cpu: String,
    /// The instructions that libtorch's CPU kernels use here: `AVX2`, `AVX512`, ... , as
    /// `torch.backends.cpu.get_cpu_capability()` says.
    pub cpu_capability: String,
    /// Threads of libtorch's CPU kernels, as `torch.get_num_threads()` says.
    pub threads: usize,
}

impl Signature {
    /// The signature of what this process now computes on `device`.
    pub fn of(device: Device) -> Self {
        Self::of_devices(&[device])
    }

    /// The signature of what it computes on `devices` together.
    pub fn of_devices(devices: &[Device]) -> Self {
        // SAFETY: a static, NUL-terminated string.
        let torch = unsafe { ffi::static_str(ffi::d2l_torch_version()) };
        Self {
            torch: torch.to_owned(),
            device: devices.iter().map(|&device| device_name(device)).collect::<Vec<_>>().join(","),
            cpu: cpu_model(),
            cpu_capability: cpu_capability().to_owned(),
            threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
        }
    }
}

/// The model name that Linux gives the first processor; elsewhere, and where it gives none, `unknown`.
fn cpu_model() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name).to_owned()
}

/// Whether libtorch's CPU kernels compute `a * b + c` with one rounding, as they do with AVX2 and more, or with two.
pub fn fuses_multiply_add() -> bool {
    static FUSES: LazyLock<bool> =
        LazyLock::new(|| !cfg!(target_arch = "x86_64") || cpu_capability() != "DEFAULT");
    *FUSES
}

/// What `torch.backends.cpu.get_cpu_capability()` says.
fn cpu_capability() -> &'static str {
    // SAFETY: a static, NUL-terminated string.
    unsafe { ffi::static_str(ffi::d2l_cpu_capability()) }
}

/// PyTorch's name of a device: `cpu`, `cuda:0`.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}
