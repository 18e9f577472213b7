//! What `doctor` knows of a machine, and how it is looked up. Nothing is fetched, and nothing stays written.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use tch::Device;
use tch_extra::{self, CudaGraph, CudaVersion, DeviceBytes, Driver, Signature};

use crate::data::{self, Cifar10, FashionMnist};
use crate::report::run_dir::REPORTS;

/// All that is judged.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What CPU kernels compute with: libtorch's version, their instructions and threads.
    pub signature: Signature,
    /// Where libtorch's library for CPUs was loaded from, if that is known.
    pub libtorch_file: Option<PathBuf>,
    /// Whether this program was linked with libtorch's library for CUDA.
    pub linked_with_cuda: bool,
    /// The CUDA that this library was built for; `None` where it is not loaded.
    pub cuda: Option<CudaVersion>,
    /// Whether CUDA graphs were compiled in.
    pub graphs: bool,
    /// Processors that this process may use.
    pub processors: usize,
    /// The version of NVIDIA's kernel module; `None` where it is not loaded.
    pub kernel_module: Option<String>,
    /// NVIDIA's driver library; `None` where there is none.
    pub driver: Option<Driver>,
    /// `CUDA_VISIBLE_DEVICES`.
    pub visible_devices: Option<String>,
    /// The devices that libtorch can use, in its order.
    pub gpus: Vec<Gpu>,
    /// The data sets that runs train on.
    pub data_sets: Vec<DataSet>,
    /// Whether runs can keep their results in the current directory; if not, why.
    pub reports: Result<(), String>,
}

/// A device that libtorch can use.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// The driver's name of it.
    pub name: String,
    /// Its memory, or why that is not known.
    pub bytes: Result<DeviceBytes, String>,
}

/// A data set, and where it is.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Its name.
    pub name: &'static str,
    /// Megabytes to download if it is not here.
    pub megabytes: u32,
    /// The folder that has all of its files; `None`: it would be fetched.
    pub folder: Option<PathBuf>,
    /// Whether there is a cache to fetch it into.
    pub can_fetch: bool,
}

impl Facts {
    /// Those of this machine and process.
    pub fn gather() -> Self {
        let driver = tch_extra::driver();
        let can_fetch = data::can_be_fetched();
        let data_set = |name, megabytes, folder| DataSet { name, megabytes, folder, can_fetch };
        Self {
            signature: Signature::of(Device::Cpu),
            libtorch_file: tch_extra::libtorch_file(),
            linked_with_cuda: tch_extra::LINKED_WITH_CUDA,
            cuda: tch_extra::libtorch_cuda().unwrap_or(None),
            graphs: CudaGraph::is_compiled_in(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            kernel_module: fs::read_to_string("/proc/driver/nvidia/version")
                .ok()
                .map(|text| module_version(&text)),
            gpus: gpus(driver.as_ref()),
            driver,
            visible_devices: std::env::var("CUDA_VISIBLE_DEVICES").ok(),
            data_sets: vec![
                data_set("Fashion-MNIST", 30, FashionMnist::find()),
                data_set("CIFAR-10", 170, Cifar10::find()),
            ],
            reports: can_keep_reports(Path::new(REPORTS)),
        }
    }
}

/// What libtorch can use, with the driver's names.
fn gpus(driver: Option<&Driver>) -> Vec<Gpu> {
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    let name = |index: usize| {
        let name = driver.and_then(|driver| driver.devices.get(index));
        name.cloned().unwrap_or_else(|| "a CUDA device".to_owned())
    };
    let bytes = |index| match tch_extra::device_bytes(Device::Cuda(index)) {
        Ok(bytes) => bytes.ok_or_else(|| "it tells no size".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    (0..count).map(|index| Gpu { name: name(index), bytes: bytes(index) }).collect()
}

/// `580.82.07` of the text that the kernel module shows; `unknown` if it is another text.
fn module_version(text: &str) -> String {
    let is_version =
        |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
    let line = text.lines().find(|line| line.starts_with("NVRM version:")).unwrap_or_default();
    line.split_whitespace().find(is_version).unwrap_or("unknown").to_owned()
}

/// Whether a directory can be made in `reports`, which itself may have to be made.
fn can_keep_reports(reports: &Path) -> Result<(), String> {
    if reports.exists() && !reports.is_dir() {
        return Err(format!("{} is a file", reports.display()));
    }
    let folder = if reports.is_dir() { reports } else { Path::new(".") };
    match tempfile::Builder::new().prefix(".d2l_ch7-doctor-").tempdir_in(folder) {
        Ok(made) => made.close().map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_modules_version_is_read() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n\
                      GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0)\n";
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build  (dvs)\n";
        assert_eq!(
            [closed, open, "GCC version: 11.4.0"].map(module_version),
            ["535.104.05", "580.82.07", "unknown"]
        );
    }

    #[test]
    fn reports_need_a_folder_that_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(can_keep_reports(folder.path()), Ok(()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays");
        let file = folder.path().join("reports");
        fs::write(&file, "").unwrap();
        assert!(can_keep_reports(&file).unwrap_err().contains("is a file"));
    }
}
