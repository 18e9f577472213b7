//! The signature: what decides the bits of a run, besides the seed and the code. Python computes the same one.
//!
//! `bits.signature` reads, among others:
//!
//! ```python
//! torch.__version__
//! torch.cpu.get_capabilities()  # instructions
//! torch.backends.cpu.get_cpu_capability()
//! torch.get_num_threads()
//! {name: os.environ[name] for name in bits.SETTINGS if name in os.environ}
//! ```

use std::process::Command;

use serde_json::{Value, json};
use tch_extra::{CUDA_SETTINGS, SETTINGS};

use crate::live::{python_side, succeed};
use crate::support::notebooks_ref;

#[test]
fn signatures_are_pythons() {
    let Some(python) = python_side("signatures against Python's") else { return };
    let folder = tempfile::tempdir().unwrap();
    // All variables of SETTINGS at once, with values that oneDNN, MKL, OpenMP and the C library accept.
    let value = |name: &str| match name {
        name if name.ends_with("MAX_CPU_ISA") => "AVX2",
        name if name.ends_with("CPU_ISA_HINTS") => "PREFER_YMM",
        name if name.ends_with("FPMATH_MODE") => "STRICT",
        "MKL_ENABLE_INSTRUCTIONS" => "AVX2",
        "MKL_DOMAIN_NUM_THREADS" => "MKL_BLAS=1",
        "MKL_DYNAMIC" | "OMP_DYNAMIC" => "FALSE",
        "OMP_THREAD_LIMIT" => "64",
        "GLIBC_TUNABLES" => "glibc.cpu.hwcaps=-ERMS",
        _ => "1",
    };
    let under_settings = |command: &mut Command| {
        command.envs(SETTINGS.map(|name| (name, value(name))));
        succeed(command.envs([("MKL_CBWR", "COMPATIBLE"), ("ATEN_CPU_CAPABILITY", "default")]))
    };

    let out = folder.path().join("out");
    let mut rust = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    under_settings(rust.args(["basics", "--quiet", "--out"]).arg(&out));
    let rust: Value = serde_json::from_slice(&std::fs::read(out.join("config.json")).unwrap()).unwrap();

    let program = "\
import bits, json
print(json.dumps({'signature': bits.signature('cpu'), 'settings': [bits.SETTINGS, bits.CUDA_SETTINGS]}))";
    let python = under_settings(Command::new(python).args(["-c", program]).current_dir(notebooks_ref()));
    let python: Value = serde_json::from_str(&python).unwrap();
    assert_eq!(rust["signature"], python["signature"]);
    assert_eq!(python["settings"], json!([SETTINGS, CUDA_SETTINGS]));
    assert_eq!(rust["signature"]["environment"].as_object().unwrap().len(), SETTINGS.len());
}
