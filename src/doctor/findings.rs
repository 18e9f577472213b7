//! What the facts mean for a run, and what to do about it.

use std::fmt;

use tch_extra::{CudaVersion, DeviceBytes, Signature, TORCH_VERSION};

use super::facts::{DataSet, Facts, Gpu};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it stands.
    pub status: Status,
    /// What was found, in one line.
    pub what: String,
    /// What to do, in one line; `None` if it is ok.
    pub remedy: Option<String>,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Runs work, though not as well as they could: on the CPU instead of the GPU, say.
    Warning,
    /// Runs do not work.
    Problem,
}

/// GiB that the recipes take with their own batch sizes: the most that the process of such a run took on a CPU, rounded up. Those of
/// the chapter's large networks are what batches of 16 and of 32 took, continued in a straight line.
const NEEDS: [(&str, f64); 6] = [
    ("book, adamw, dropout and no-dropout", 1.0),
    ("alexnet", 3.0),
    ("cifar, googlenet and resnet18", 4.0),
    ("lenet224", 5.0),
    ("nin and densenet", 6.0),
    ("vgg", 13.0),
];

const GIB: f64 = (1u64 << 30) as f64;

/// A line for each thing that decides whether a run starts, and where it computes.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![version(facts), processor(facts), cuda_of_libtorch(facts), driver(facts)];
    findings.extend(facts.gpus.iter().enumerate().map(|(index, gpu)| memory(index, gpu)));
    findings.extend(graphs(facts));
    findings.extend(facts.data_sets.iter().map(data_set));
    findings.push(reports(&facts.reports));
    findings
}

fn version(Facts { signature, libtorch_file, .. }: &Facts) -> Finding {
    let file = libtorch_file.as_ref().map(|file| format!(", from {}", file.display()));
    let what = format!("libtorch {}{}", signature.torch, file.unwrap_or_default());
    if signature.torch == TORCH_VERSION {
        return ok(what);
    }
    problem(
        format!("{what}: this program is made for {TORCH_VERSION}"),
        "unset LIBTORCH, run `cargo xtask setup`, and build again",
    )
}

fn processor(facts: &Facts) -> Finding {
    let Signature { cpu_capability, threads, .. } = &facts.signature;
    let what = format!("kernels for {cpu_capability}, {threads} threads on {} processors", facts.processors);
    if *threads > facts.processors {
        let remedy = format!("give --threads {}, or set OMP_NUM_THREADS to it", facts.processors);
        return warning(format!("{what}: they are in each other's way"), remedy);
    }
    if cpu_capability == "DEFAULT" && cfg!(target_arch = "x86_64") {
        return warning(
            format!("{what}: not the fast ones"),
            "unset ATEN_CPU_CAPABILITY if it is set; else this processor has no AVX2, and nothing can be done",
        );
    }
    ok(what)
}

/// Whether libtorch could use a GPU, if there were one.
fn cuda_of_libtorch(facts: &Facts) -> Finding {
    let Facts { linked_with_cuda, cuda, libtorch_file, graphs, .. } = facts;
    let rebuild = "run `cargo clean -p d2l_ch7`, then `cargo xtask setup`, and build again";
    if let Some(cuda) = cuda {
        let graphs = if *graphs { "with" } else { "without" };
        return ok(format!("libtorch's library for CUDA {cuda} is loaded, {graphs} CUDA graphs"));
    }
    if *linked_with_cuda {
        return warning(
            "this program is linked with libtorch's library for CUDA, which is not loaded",
            rebuild,
        );
    }
    let beside = libtorch_file.as_ref().map(|file| file.with_file_name("libtorch_cuda.so"));
    if beside.is_some_and(|library| library.exists()) {
        return warning("libtorch's library for CUDA is not linked, though it is there", rebuild);
    }
    if !has_gpu(facts) {
        return ok("this libtorch is for CPUs, as this machine is");
    }
    warning(
        "this libtorch is for CPUs, and the GPU is left alone",
        "unset LIBTORCH, uninstall that PyTorch or take another Python, then run `cargo xtask setup`, which installs one for CUDA",
    )
}

/// Whether something of NVIDIA's is here.
fn has_gpu(facts: &Facts) -> bool {
    facts.kernel_module.is_some() || facts.driver.is_some()
}

fn driver(facts: &Facts) -> Finding {
    let module = facts.kernel_module.as_deref();
    let Some(driver) = &facts.driver else {
        let Some(module) = module else { return ok("no NVIDIA driver: runs are on the CPU") };
        return warning(
            format!("NVIDIA's kernel module {module} is loaded, but libcuda.so.1 is not found"),
            "install the driver's libraries of the same version; in a container, start it with --gpus all",
        );
    };
    let name = format!("NVIDIA's driver{}", module.map(|module| format!(" {module}")).unwrap_or_default());
    if driver.status != 0 {
        return driver_fails(&name, driver.status, facts.visible_devices.as_deref());
    }
    // One of the same major version will do.
    let too_old = |needed: &CudaVersion| driver.cuda.is_none_or(|cuda| cuda.major < needed.major);
    if let Some(needed) = facts.cuda.filter(too_old) {
        let runs = driver.cuda.map_or("an unknown CUDA".to_owned(), |cuda| format!("CUDA {cuda} at most"));
        return warning(
            format!("{name} runs {runs}, and libtorch needs {needed}: runs are on the CPU"),
            format!("install a newer driver: `nvidia-smi` must show CUDA {}.0 or more", needed.major),
        );
    }
    let runs = driver.cuda.map_or(String::new(), |cuda| format!(" runs CUDA {cuda},"));
    let shown = driver.devices.len();
    if shown == 0 {
        return no_device(&name, facts.visible_devices.as_deref());
    }
    let devices = if shown == 1 { "device" } else { "devices" };
    let what = format!("{name}{runs} and shows {shown} {devices}");
    if facts.cuda.is_some() && facts.gpus.len() < shown {
        return warning(
            format!("{what}, of which libtorch can use {}", facts.gpus.len()),
            "look whether `nvidia-smi` lists the others as in use or failed; then start again",
        );
    }
    ok(what)
}

/// `cuInit` gave `status`.
fn driver_fails(name: &str, status: i32, visible: Option<&str>) -> Finding {
    const NO_DEVICE: i32 = 100;
    const MISMATCH: i32 = 803;
    match status {
        NO_DEVICE => no_device(name, visible),
        MISMATCH => warning(
            format!("{name} does not work: its library and its kernel module are of different versions"),
            "restart the machine; if that does not help, install the driver anew",
        ),
        _ => warning(
            format!("{name} does not work: cuInit gives error {status}"),
            "look what `nvidia-smi` says; a restart of the machine often helps",
        ),
    }
}

fn no_device(name: &str, visible: Option<&str>) -> Finding {
    match visible {
        Some(visible) => warning(
            format!("{name} shows no device, and CUDA_VISIBLE_DEVICES is \"{visible}\""),
            "unset CUDA_VISIBLE_DEVICES, or name devices that `nvidia-smi -L` lists",
        ),
        None => warning(
            format!("{name} shows no device: runs are on the CPU"),
            "look whether `nvidia-smi -L` lists one; in a container, start it with --gpus all",
        ),
    }
}

fn memory(index: usize, gpu: &Gpu) -> Finding {
    let DeviceBytes { free, total } = match &gpu.bytes {
        Ok(bytes) => *bytes,
        Err(why) => {
            return warning(
                format!("cuda:{index}, {}: its memory is not known: {why}", gpu.name),
                "look in `nvidia-smi` whether another process has it to itself; give --device cpu meanwhile",
            );
        }
    };
    let [free, total] = [free, total].map(|bytes| bytes as f64 / GIB);
    let what = format!("cuda:{index}, {}: {free:.1} of {total:.1} GiB are free", gpu.name);
    let too_large: Vec<_> =
        NEEDS.iter().filter(|(_, need)| *need > free).map(|(recipe, _)| *recipe).collect();
    if too_large.is_empty() {
        return ok(what);
    }
    let remedy = if NEEDS.iter().all(|(_, need)| *need <= total) {
        "end what else uses it (`nvidia-smi` lists it), or give a smaller --batch-size or --device cpu"
    } else {
        "give a smaller --batch-size, or --device cpu"
    };
    warning(format!("{what}, too little for {}", too_large.join(", ")), remedy)
}

/// Only where a GPU could use them.
fn graphs(facts: &Facts) -> Option<Finding> {
    let missing = !facts.gpus.is_empty() && !facts.graphs;
    missing.then(|| {
        warning(
            "CUDA graphs were left out of this build, for want of the headers of CUDA's runtime",
            "pip-install nvidia-cuda-runtime and nvidia-cuda-crt, both 13.0, beside PyTorch; `cargo clean -p d2l_ch7`; build again",
        )
    })
}

fn data_set(data_set: &DataSet) -> Finding {
    let DataSet { name, megabytes, folder, can_fetch } = data_set;
    match folder {
        Some(folder) => ok(format!("{name} is in {}", folder.display())),
        None if *can_fetch => warning(
            format!("{name} is not here: the first run that needs it fetches {megabytes} MB"),
            "nothing, if that run has a network; else bring the files, and name their folder with --data-dir",
        ),
        None => problem(
            format!("{name} is not here, and no home directory is known to fetch it into"),
            "set HOME, or name a folder that holds the data with --data-dir",
        ),
    }
}

fn reports(reports: &Result<(), String>) -> Finding {
    match reports {
        Ok(()) => ok("results can be kept in reports/"),
        Err(why) => problem(
            format!("results cannot be kept in reports/: {why}"),
            "change to a directory that you may write to, or name a new one with --out",
        ),
    }
}

fn ok(what: impl Into<String>) -> Finding {
    Finding { status: Status::Ok, what: what.into(), remedy: None }
}

fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { status: Status::Warning, what: what.into(), remedy: Some(remedy.into()) }
}

fn problem(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { status: Status::Problem, what: what.into(), remedy: Some(remedy.into()) }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// One line, or two: the status and what was found; below it what to do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{:8} {}", self.status, self.what)?;
        match &self.remedy {
            Some(remedy) => writeln!(f, "{:8} what to do: {remedy}", ""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use tch_extra::Driver;

    const CUDA_13: CudaVersion = CudaVersion { major: 13, minor: 0 };

    /// A machine with two GPUs on which nothing is wrong.
    fn sound() -> Facts {
        let gpu = |name: &str| Gpu {
            name: name.to_owned(),
            bytes: Ok(DeviceBytes { free: 78 << 30, total: 80 << 30 }),
        };
        let names = ["NVIDIA H100", "NVIDIA H200"];
        Facts {
            signature: Signature {
                torch: TORCH_VERSION.to_owned(),
                cpu_capability: "AVX512".to_owned(),
                threads: 8,
                ..Signature::of(tch::Device::Cpu)
            },
            libtorch_file: Some(PathBuf::from("/nowhere/lib/libtorch_cpu.so")),
            linked_with_cuda: true,
            cuda: Some(CUDA_13),
            graphs: true,
            processors: 16,
            kernel_module: Some("580.82.07".to_owned()),
            driver: Some(Driver {
                status: 0,
                cuda: Some(CUDA_13),
                devices: names.map(ToOwned::to_owned).to_vec(),
            }),
            visible_devices: None,
            gpus: names.map(gpu).to_vec(),
            data_sets: vec![DataSet {
                name: "CIFAR-10",
                megabytes: 170,
                folder: Some(PathBuf::from("/data")),
                can_fetch: true,
            }],
            reports: Ok(()),
        }
    }

    /// A machine without a GPU on which nothing is wrong, though libtorch could use one.
    fn without_gpu() -> Facts {
        Facts { kernel_module: None, driver: None, gpus: Vec::new(), ..sound() }
    }

    /// The one finding that is not ok, of a sound machine with `fault`.
    fn fault(fault: impl FnOnce(&mut Facts)) -> Finding {
        fault_of(sound(), fault)
    }

    fn fault_of(mut facts: Facts, fault: impl FnOnce(&mut Facts)) -> Finding {
        fault(&mut facts);
        let all = findings(&facts);
        let mut faults: Vec<_> = all.iter().filter(|finding| finding.status != Status::Ok).cloned().collect();
        assert_eq!(faults.len(), 1, "{all:?}");
        let fault = faults.remove(0);
        assert!(fault.remedy.is_some(), "{fault:?}");
        fault
    }

    fn assert_found(finding: &Finding, status: Status, what: &str, remedy: &str) {
        assert_eq!(finding.status, status, "{finding:?}");
        assert!(finding.what.contains(what), "{what:?} is not in {finding:?}");
        let found = finding.remedy.as_deref().unwrap_or_default();
        assert!(found.contains(remedy), "{remedy:?} is not in {finding:?}");
    }

    #[test]
    fn a_sound_machine_is_ok_with_a_gpu_and_without() {
        for facts in [sound(), without_gpu()] {
            let findings = findings(&facts);
            assert!(findings.iter().all(|f| f.status == Status::Ok && f.remedy.is_none()), "{findings:?}");
        }
        let cpu_only = |facts: &mut Facts| {
            (facts.linked_with_cuda, facts.cuda, facts.graphs) = (false, None, false);
        };
        let mut facts = without_gpu();
        cpu_only(&mut facts);
        assert!(findings(&facts).iter().all(|finding| finding.status == Status::Ok));

        let mut facts = sound();
        cpu_only(&mut facts);
        facts.gpus.clear();
        assert_found(&fault_of(facts, |_| ()), Status::Warning, "for CPUs", "xtask setup");
    }

    #[test]
    fn another_libtorch_is_a_problem() {
        let finding = fault(|facts| facts.signature.torch = "2.10.0".to_owned());
        assert_found(&finding, Status::Problem, "2.10.0", "xtask setup");
        assert!(finding.what.contains(TORCH_VERSION), "{finding:?}");
    }

    #[test]
    fn slow_kernels_and_too_many_threads() {
        let finding = fault(|facts| facts.signature.threads = 17);
        assert_found(&finding, Status::Warning, "17 threads on 16", "--threads 16");
        if cfg!(target_arch = "x86_64") {
            let finding = fault(|facts| facts.signature.cpu_capability = "DEFAULT".to_owned());
            assert_found(&finding, Status::Warning, "DEFAULT", "ATEN_CPU_CAPABILITY");
        }
    }

    #[test]
    fn a_library_for_cuda_that_is_not_in_use() {
        let finding = fault_of(without_gpu(), |facts| facts.cuda = None);
        assert_found(&finding, Status::Warning, "not loaded", "cargo clean");

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("libtorch_cuda.so"), "").unwrap();
        let finding = fault_of(without_gpu(), |facts| {
            (facts.linked_with_cuda, facts.cuda) = (false, None);
            facts.libtorch_file = Some(folder.path().join("libtorch_cpu.so"));
        });
        assert_found(&finding, Status::Warning, "not linked", "cargo clean");
    }

    #[test]
    fn a_driver_that_is_missing_or_too_old() {
        let finding = fault_of(without_gpu(), |facts| facts.kernel_module = Some("580.82.07".to_owned()));
        assert_found(&finding, Status::Warning, "580.82.07 is loaded, but libcuda", "same version");

        let driver = |facts: &mut Facts, cuda| {
            facts.driver.as_mut().unwrap().cuda = cuda;
            facts.gpus.clear();
        };
        let finding = fault(|facts| driver(facts, Some(CudaVersion { major: 12, minor: 8 })));
        assert_found(
            &finding,
            Status::Warning,
            "runs CUDA 12.8 at most, and libtorch needs 13.0",
            "13.0 or more",
        );
        assert_found(&fault(|facts| driver(facts, None)), Status::Warning, "unknown CUDA", "newer driver");

        // A minor version back is compatible, a major version ahead too.
        for cuda in [(13, 1), (14, 0)].map(|(major, minor)| Some(CudaVersion { major, minor })) {
            let mut facts = sound();
            facts.driver.as_mut().unwrap().cuda = cuda;
            facts.cuda = Some(CudaVersion { major: 13, minor: 2 });
            assert!(findings(&facts).iter().all(|finding| finding.status == Status::Ok), "{cuda:?}");
        }
    }

    #[test]
    fn a_driver_that_does_not_work_or_shows_no_device() {
        let fails = |facts: &mut Facts, status| {
            *facts.driver.as_mut().unwrap() = Driver { status, cuda: Some(CUDA_13), devices: Vec::new() };
            facts.gpus.clear();
        };
        assert_found(&fault(|facts| fails(facts, 803)), Status::Warning, "different versions", "restart");
        assert_found(&fault(|facts| fails(facts, 999)), Status::Warning, "error 999", "nvidia-smi");
        for status in [0, 100] {
            assert_found(&fault(|facts| fails(facts, status)), Status::Warning, "no device", "--gpus all");
            let finding = fault(|facts| {
                fails(facts, status);
                facts.visible_devices = Some("7".to_owned());
            });
            assert_found(&finding, Status::Warning, "CUDA_VISIBLE_DEVICES is \"7\"", "unset");
        }
        let finding = fault(|facts| facts.gpus.truncate(1));
        assert_found(&finding, Status::Warning, "2 devices, of which libtorch can use 1", "nvidia-smi");
    }

    #[test]
    fn too_little_memory_names_the_recipes_that_do_not_fit() {
        let bytes = |free: u64, total: u64| Ok(DeviceBytes { free, total });
        let finding = fault(|facts| facts.gpus[1].bytes = bytes(9 << 29, 80 << 30));
        assert_found(
            &finding,
            Status::Warning,
            "cuda:1, NVIDIA H200: 4.5 of 80.0 GiB are free, too little for lenet224, nin and densenet, vgg",
            "end what else",
        );
        assert!(!finding.what.contains("cifar"), "{finding:?}");
        let finding = fault(|facts| facts.gpus[0].bytes = bytes(1 << 29, 2 << 30));
        assert_found(&finding, Status::Warning, "book", "--batch-size");
        assert!(finding.what.contains("cifar") && finding.what.contains("lenet224"), "{finding:?}");
        assert!(!finding.remedy.unwrap().contains("end what else"), "it is too small in itself");

        let finding = fault(|facts| facts.gpus[0].bytes = Err("busy".to_owned()));
        assert_found(&finding, Status::Warning, "not known: busy", "--device cpu");
    }

    #[test]
    fn graphs_are_missed_only_where_there_is_a_gpu() {
        let finding = fault(|facts| facts.graphs = false);
        assert_found(&finding, Status::Warning, "CUDA graphs", "nvidia-cuda-crt");
        let mut facts = without_gpu();
        facts.graphs = false;
        assert!(findings(&facts).iter().all(|finding| finding.status == Status::Ok));
    }

    #[test]
    fn data_that_is_not_here_and_results_that_cannot_be_kept() {
        let finding = fault(|facts| facts.data_sets[0].folder = None);
        assert_found(
            &finding,
            Status::Warning,
            "CIFAR-10 is not here: the first run that needs it fetches 170 MB",
            "--data-dir",
        );
        let finding = fault(|facts| {
            facts.data_sets[0].folder = None;
            facts.data_sets[0].can_fetch = false;
        });
        assert_found(&finding, Status::Problem, "CIFAR-10", "set HOME");
        let finding = fault(|facts| facts.reports = Err("permission denied".to_owned()));
        assert_found(&finding, Status::Problem, "permission denied", "--out");
    }

    #[test]
    fn a_fault_takes_two_lines_and_what_is_ok_one() {
        let lines = |finding: &Finding| finding.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&ok("fine")), ["ok       fine"]);
        assert_eq!(lines(&problem("bad", "mend it")), ["problem  bad", "         what to do: mend it"]);
    }
}
