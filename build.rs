//! Compiles `csrc/` against the libtorch that `torch-sys` found, and makes every executable find that
//! libtorch at run time without `LD_LIBRARY_PATH`.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rerun-if-env-changed=CI");
    // Published by torch-sys's build script, which is why torch-sys is a direct dependency.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is");
    let lib = Path::new(&lib);
    let include = lib.parent().expect("libtorch/lib has a parent").join("include");

    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(true)
        .extra_warnings(true)
        // Another compiler may know more warnings: no reason not to build for a user.
        .warnings_into_errors(std::env::var_os("CI").is_some())
        // csrc/gloo stands in for headers that libtorch's own include and its wheel lacks.
        .include("csrc")
        // libtorch's headers are not ours to warn about: `-isystem`, not `-I`.
        .flag(format!("-isystem{}", include.display()))
        .flag(format!("-isystem{}", include.join("torch/csrc/api/include").display()))
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .files(sources())
        .compile("d2l_torch");

    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        // Nothing refers to libtorch_cuda by name (it registers its kernels when loaded), so the linker
        // would drop it, and CUDA would then be "not available".
        for arg in ["-Wl,--no-as-needed", "-ltorch_cuda", "-Wl,--as-needed"] {
            println!("cargo:rustc-link-arg={arg}");
        }
    }
}

/// The C++ files of `csrc/`, in an order that does not change.
fn sources() -> Vec<PathBuf> {
    let folder = std::fs::read_dir("csrc").expect("csrc/ is part of the package");
    let files = folder.map(|entry| entry.expect("csrc/ can be listed").path());
    let mut sources: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "cpp")).collect();
    sources.sort();
    sources
}
