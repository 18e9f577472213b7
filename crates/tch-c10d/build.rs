//! Compiles `csrc/` against the libtorch that `tch-extra` was compiled against, and NCCL's header if it is here.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rerun-if-env-changed=TCHX_WARNINGS_ARE_ERRORS");
    if env::var_os("CARGO_FEATURE_DOC_ONLY").is_some() {
        return;
    }
    let lib = env::var("DEP_TCH_EXTRA_LIB").expect("tch-extra says where libtorch is");
    let lib = Path::new(&lib);
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .warnings(true)
        .extra_warnings(true)
        // Another compiler may know more warnings, which must not keep a user from building.
        .warnings_into_errors(env::var_os("TCHX_WARNINGS_ARE_ERRORS").is_some())
        // csrc/gloo has declarations of Gloo's, whose headers libtorch's wheel lacks.
        .include("csrc")
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .files(["dist", "nccl"].map(|name| format!("csrc/tchx_{name}.cpp")));
    // Nobody here can change other people's headers: `-isystem` keeps the compiler from warning about them.
    for folder in folders("DEP_TCH_EXTRA_INCLUDE") {
        build.flag(format!("-isystem{}", folder.display()));
    }
    if let [runtime, rest] = &folders("DEP_TCH_EXTRA_CUDA_INCLUDE")[..]
        && let Some(nccl) = nccl_headers(lib)
    {
        build.flag(format!("-isystem{}", runtime.display())).flag(format!("-idirafter{}", rest.display()));
        // csrc/nv has a header that NCCL's and CUDA's include and PyTorch's packages lack.
        build.flag(format!("-isystem{}", nccl.display())).flag("-idiraftercsrc").define("TCHX_NCCL", None);
    }
    build.compile("tchx_c10d");
    link_tests_and_examples(lib);
}

/// Lets this package's own executables find libtorch, and CUDA in it. Other packages' build scripts do the same for theirs.
fn link_tests_and_examples(lib: &Path) {
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        // No code refers to libtorch_cuda by name (it registers its kernels when it is loaded): the linker would drop it.
        for arg in ["-Wl,--no-as-needed", "-ltorch_cuda", "-Wl,--as-needed"] {
            println!("cargo:rustc-link-arg={arg}");
        }
    }
}

/// The folders of a list that tch-extra's build script publishes; none if it publishes no such list.
fn folders(list: &str) -> Vec<PathBuf> {
    env::var_os(list).map(|list| env::split_paths(&list).collect()).unwrap_or_default()
}

/// The folder of NCCL's header; `None` if it is not here. PyTorch's dependency nvidia-nccl brings it, and no other will do: classes of
/// libtorch depend on NCCL's version.
fn nccl_headers(lib: &Path) -> Option<PathBuf> {
    let folder = lib.canonicalize().ok()?.parent()?.parent()?.join("nvidia/nccl/include");
    folder.join("nccl.h").exists().then_some(folder)
}
