//! What decides the bits of a run besides the seed: two runs of one signature print the same digits.

use std::collections::BTreeMap;

use serde::Serialize;
use tch::Device;

use crate::ffi::Text;
use crate::libraries::{self, device_name};

unsafe extern "C" {
    safe fn tchx_torch_version() -> Text<'static>;
    safe fn tchx_cpu_capability() -> Text<'static>;
    safe fn tchx_cpu_instructions() -> Text<'static>;
    safe fn tchx_mkl_cbwr() -> i32;
}

/// The libtorch, machine, settings and thread count that a number was computed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// libtorch's version, `2.11.0`.
    pub torch: String,
    /// `cpu`, or `cuda:N`; of several, with commas between them.
    pub device: String,
    /// What CUDA computes with: each device's name, compute capability and multiprocessors, the version of cuDNN, and the
    /// newest CUDA that the driver runs. Empty on a CPU.
    pub cuda: BTreeMap<String, String>,
    /// Vendor, family, model and stepping: oneDNN and MKL choose kernels by them.
    pub processor: String,
    /// The processor's instructions, as `torch.cpu.get_capabilities()` names them, with spaces between them.
    pub instructions: String,
    /// The instructions that libtorch's CPU kernels use here: `AVX2`, `AVX512`, ... , as
    /// `torch.backends.cpu.get_cpu_capability()` says.
    pub cpu_capability: String,
    /// MKL's mode of conditional numerical reproducibility, as `mkl_cbwr_get(MKL_CBWR_ALL)` says: 1 is off; 0, there is no MKL.
    pub mkl_cbwr: i32,
    /// Those of [`SETTINGS`] that are set, and on CUDA those of [`CUDA_SETTINGS`].
    pub environment: BTreeMap<String, String>,
    /// Threads of libtorch's CPU kernels, as `torch.get_num_threads()` says.
    pub threads: usize,
}

/// Environment variables that change bits and that no library can be asked about.
pub const SETTINGS: [&str; 20] = [
    // oneDNN, which reads each under three prefixes: its kernels' instructions, vector width and precision.
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "MKLDNN_MAX_CPU_ISA",
    "ONEDNN_CPU_ISA_HINTS",
    "DNNL_CPU_ISA_HINTS",
    "MKLDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "MKLDNN_DEFAULT_FPMATH_MODE",
    // MKL: its kernels' instructions, and into how many parts it divides a product.
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_VML_DEBUG_CPU_TYPE",
    "MKL_DOMAIN_NUM_THREADS",
    "MKL_NUM_STRIPES",
    "MKL_DYNAMIC",
    // libgomp: fewer threads than were asked for.
    "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",
    // glibc: the instructions of its exp, log and sine.
    "GLIBC_TUNABLES",
    // libtorch: which bfloat16 products oneDNN computes, and how precise float32 ones are.
    "TORCH_MKLDNN_MATMUL_MIN_DIM",
    "TORCH_MKLDNN_MATMUL_MIN_SIZE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
];

/// Those that change bits on CUDA alone: TF32, and which of cuBLAS's kernels are taken.
pub const CUDA_SETTINGS: [&str; 3] =
    ["NVIDIA_TF32_OVERRIDE", "TORCH_BLAS_PREFER_CUBLASLT", "CUBLAS_WORKSPACE_CONFIG"];

impl Signature {
    /// The signature of what this process now computes on `device`.
    pub fn of(device: Device) -> Self {
        Self::of_devices(&[device])
    }

    /// The signature of what it computes on `devices` together.
    pub fn of_devices(devices: &[Device]) -> Self {
        let on_cuda = devices.iter().any(|device| device.is_cuda());
        let cuda_settings = CUDA_SETTINGS.into_iter().filter(|_| on_cuda);
        Self {
            torch: tchx_torch_version().to_str().to_owned(),
            device: devices.iter().map(|&device| device_name(device)).collect::<Vec<_>>().join(","),
            cuda: libraries::cuda(devices),
            processor: processor(),
            instructions: tchx_cpu_instructions().to_str().to_owned(),
            cpu_capability: tchx_cpu_capability().to_str().to_owned(),
            mkl_cbwr: tchx_mkl_cbwr(),
            environment: SETTINGS.into_iter().chain(cuda_settings).filter_map(setting).collect(),
            threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
        }
    }
}

/// A variable and its value, if it is set.
fn setting(name: &str) -> Option<(String, String)> {
    std::env::var_os(name).map(|value| (name.to_owned(), value.to_string_lossy().into_owned()))
}

/// Keys and values of the first processor in Linux's `/proc/cpuinfo`; empty elsewhere.
fn cpuinfo() -> Vec<(String, String)> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = cpuinfo.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    first.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Vendor, family, model and stepping of the first processor, or what Arm has instead.
fn processor() -> String {
    const KEYS: [&str; 9] = [
        "vendor_id",
        "cpu family",
        "model",
        "stepping",
        "CPU implementer",
        "CPU architecture",
        "CPU variant",
        "CPU part",
        "CPU revision",
    ];
    let facts = cpuinfo().into_iter().filter(|(key, _)| KEYS.contains(&key.as_str()));
    facts.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
}

/// The name that the processor is sold under: for people, as many processors share one.
pub fn processor_name() -> String {
    let name = cpuinfo().into_iter().find(|(key, _)| key == "model name");
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name)
}
