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

    let mut build = cc::Build::new();
    build
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
        .files(sources());
    let has_cuda = lib.join("libtorch_cuda.so").exists();
    let graphs = has_cuda.then(|| cuda_headers(lib)).flatten();
    for flag in graphs.iter().flatten() {
        build.flag(flag);
    }
    if graphs.is_some() {
        build.define("D2L_CUDA_GRAPHS", None);
        if let Some(nccl) = nccl_headers(lib) {
            // csrc/nv stands in for a header that these include and PyTorch's packages lack.
            build.flag(nccl).flag("-idiraftercsrc").define("D2L_NCCL", None);
        }
    }
    build.compile("d2l_torch");

    // RPATH, not RUNPATH, as in PyTorch's own libraries: another libtorch on LD_LIBRARY_PATH must not come first.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", lib.display());
    println!("cargo:rustc-check-cfg=cfg(linked_with_cuda)");
    if has_cuda {
        println!("cargo:rustc-cfg=linked_with_cuda");
        if graphs.is_some() {
            // csrc/ calls it by name.
            println!("cargo:rustc-link-lib=dylib=torch_cuda");
        }
        // Nothing refers to libtorch_cuda by name (it registers its kernels when loaded), so the linker
        // would drop it, and CUDA would then be "not available".
        for arg in ["-Wl,--no-as-needed", "-ltorch_cuda", "-Wl,--as-needed"] {
            println!("cargo:rustc-link-arg={arg}");
        }
    }
}

/// The compiler's arguments to find the headers of the runtime of CUDA 13, which CUDA graphs are declared with; `None` if
/// they are not here, and graphs are left out.
///
/// PyTorch's own dependencies bring them: nvidia-cuda-runtime all but two, and triton (or nvidia-cuda-crt) those.
fn cuda_headers(lib: &Path) -> Option<Vec<String>> {
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    // `.libtorch` is a link, and the neighbours are those of the folder that it leads to.
    let torch = lib.canonicalize().ok()?.parent()?.to_owned();
    let packages = torch.parent()?;
    let home = std::env::var_os("CUDA_HOME").unwrap_or_else(|| "/usr/local/cuda".into());
    let folders = [
        packages.join("nvidia/cu13/include"),
        packages.join("triton/backends/nvidia/include"),
        Path::new(&home).join("include"),
    ];
    let runtime = folders.iter().find(|folder| is_cuda_13(folder))?;
    let rest = folders.iter().find(|folder| folder.join("crt/host_defines.h").exists())?;
    Some(vec![format!("-isystem{}", runtime.display()), format!("-idirafter{}", rest.display())])
}

/// The compiler's argument to find the header of NCCL, through which processes exchange tensors of CUDA devices; `None` if it is not
/// here. PyTorch's dependency nvidia-nccl brings it, and no other will do: classes of libtorch depend on NCCL's version.
fn nccl_headers(lib: &Path) -> Option<String> {
    let folder = lib.canonicalize().ok()?.parent()?.parent()?.join("nvidia/nccl/include");
    folder.join("nccl.h").exists().then(|| format!("-isystem{}", folder.display()))
}

/// Whether the folder has the runtime's header, of the version that libtorch is built for.
fn is_cuda_13(folder: &Path) -> bool {
    let header = std::fs::read(folder.join("cuda_runtime_api.h")).unwrap_or_default();
    String::from_utf8_lossy(&header).lines().any(|line| line.starts_with("#define CUDART_VERSION  13"))
}

/// The C++ files of `csrc/`, in an order that does not change.
fn sources() -> Vec<PathBuf> {
    let folder = std::fs::read_dir("csrc").expect("csrc/ is part of the package");
    let files = folder.map(|entry| entry.expect("csrc/ can be listed").path());
    let mut sources: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "cpp")).collect();
    sources.sort();
    sources
}
