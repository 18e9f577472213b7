//! The environment must not decide how long threads spin, nor which libtorch is loaded.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::place::{Place, program, until};

/// Starts a run with these values of `GOMP_SPINCOUNT` and `OMP_WAIT_POLICY`. Gives the values in the training process.
fn variables_while_training(count: Option<&str>, policy: Option<&str>) -> Vec<OsString> {
    let place = Place::new();
    let mut run = place.compare(&["--epochs", "100000", "--quiet"]);
    for (name, value) in [("GOMP_SPINCOUNT", count), ("OMP_WAIT_POLICY", policy)] {
        match value {
            Some(value) => run.env(name, value),
            None => run.env_remove(name),
        };
    }
    let mut run = run.stdout(Stdio::null()).spawn().unwrap();
    until("the first epoch", || place.out().join("metrics.csv").exists());
    let variables = fs::read(format!("/proc/{}/environ", run.id())).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let of_threads = |v: &&[u8]| v.starts_with(b"GOMP_SPINCOUNT=") || v.starts_with(b"OMP_WAIT_POLICY=");
    variables.split(|&byte| byte == 0).filter(of_threads).map(|v| OsString::from_vec(v.to_vec())).collect()
}

#[test]
fn threads_spin_briefly_unless_the_user_chose() {
    assert_eq!(variables_while_training(None, None), ["GOMP_SPINCOUNT=2500"]);
    assert_eq!(variables_while_training(Some("7"), None), ["GOMP_SPINCOUNT=7"]);
    assert_eq!(variables_while_training(None, Some("active")), ["OMP_WAIT_POLICY=active"]);
    // `.cargo/config.toml` sets GOMP_SPINCOUNT to 2500.
    assert_eq!(variables_while_training(Some("2500"), Some("active")), ["OMP_WAIT_POLICY=active"]);
}

#[test]
fn another_libtorch_on_the_search_path_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["libtorch_cpu.so", "libtorch.so", "libc10.so"] {
        compile_empty_library(&folder.path().join(name));
    }
    let output = program().arg("list").env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An empty library with the right name.
fn compile_empty_library(path: &Path) {
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(path);
    assert!(compiler.status().unwrap().success(), "{}", path.display());
}
