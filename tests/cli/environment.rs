//! What the environment must not decide: which libtorch is loaded.

use std::path::Path;
use std::process::Command;

use crate::place::program;

#[test]
fn another_libtorch_on_the_search_path_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["libtorch_cpu.so", "libtorch.so", "libc10.so"] {
        compile_empty_library(&folder.path().join(name));
    }
    let output = program().arg("list").env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A library that has the right name and nothing in it.
fn compile_empty_library(path: &Path) {
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(path);
    assert!(compiler.status().unwrap().success(), "{}", path.display());
}
