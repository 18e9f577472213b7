//! Compiles `csrc/` against the libtorch that `torch-sys` found. A crate that depends on this one, and has C++ of its own, finds in its
//! build script: `DEP_TCH_EXTRA_INCLUDE` (the folders of this crate's headers and of libtorch's), `DEP_TCH_EXTRA_LIB` (libtorch's libraries)
//! and, where CUDA graphs are compiled in, `DEP_TCH_EXTRA_CUDA_INCLUDE`. Lists are those of `std::env::split_paths`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rerun-if-env-changed=TCHX_WARNINGS_ARE_ERRORS");
    if env::var_os("CARGO_FEATURE_DOC_ONLY").is_some() {
        return println!("cargo:rustc-check-cfg=cfg(linked_with_cuda)");
    }
    // torch-sys's build script publishes it, which is why torch-sys is a direct dependency.
    let lib = env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is");
    let lib = Path::new(&lib);
    let libtorch = lib.parent().expect("libtorch/lib has a parent").join("include");
    let own = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("csrc");
    let include = [own, libtorch.join("torch/csrc/api/include"), libtorch];

    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .warnings(true)
        .extra_warnings(true)
        // Another compiler may know more warnings, which must not keep a user from building.
        .warnings_into_errors(env::var_os("TCHX_WARNINGS_ARE_ERRORS").is_some())
        .include(&include[0])
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        // Kernels round after each operation, also where the compiler may use instructions that multiply and add.
        .flag_if_supported("-ffp-contract=off");
    // Nobody here can change libtorch's headers: `-isystem` keeps the compiler from warning about them, `-I` would not.
    for folder in &include[1..] {
        build.flag(format!("-isystem{}", folder.display()));
    }
    println!("cargo:lib={}", lib.display());
    println!("cargo:include={}", joined(&include));

    println!("cargo:rustc-check-cfg=cfg(linked_with_cuda)");
    let has_cuda = lib.join("libtorch_cuda.so").exists();
    if has_cuda {
        println!("cargo:rustc-cfg=linked_with_cuda");
        if let Some([runtime, rest]) = cuda_headers(lib) {
            build
                .flag(format!("-isystem{}", runtime.display()))
                .flag(format!("-idirafter{}", rest.display()));
            build.define("TCHX_CUDA_GRAPHS", None);
            println!("cargo:cuda_include={}", joined(&[runtime, rest]));
            // csrc/ calls it by name.
            println!("cargo:rustc-link-lib=dylib=torch_cuda");
        }
    }
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        // The rest of the program runs on processors without AVX2, too.
        let with_avx2 =
            build.clone().flag("-mavx2").file("csrc/tchx_formula_avx2.cpp").compile_intermediates();
        build.objects(with_avx2);
    }
    let files = ["cuda", "formula", "fused", "kernels", "multi_tensor", "tape", "torch"];
    build.files(files.map(|name| format!("csrc/tchx_{name}.cpp"))).compile("tchx");
    link_tests_and_examples(lib, has_cuda);
}

/// Lets this package's own executables find libtorch, and CUDA in it. Other packages' build scripts do the same for theirs.
fn link_tests_and_examples(lib: &Path, has_cuda: bool) {
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", lib.display());
    if has_cuda {
        // No code refers to libtorch_cuda by name (it registers its kernels when it is loaded): the linker would drop it.
        for arg in ["-Wl,--no-as-needed", "-ltorch_cuda", "-Wl,--as-needed"] {
            println!("cargo:rustc-link-arg={arg}");
        }
    }
}

fn joined(folders: &[PathBuf]) -> String {
    let joined: OsString = env::join_paths(folders).expect("folders without a colon in their names");
    joined.into_string().expect("folders named in UTF-8")
}

/// Folders with the headers of the runtime of CUDA 13, which CUDA graphs are declared with: first most of them, then the rest. `None` if
/// they are not here; graphs are left out then.
///
/// PyTorch's own dependencies bring them: nvidia-cuda-runtime all but two, and triton (or nvidia-cuda-crt) those.
fn cuda_headers(lib: &Path) -> Option<[PathBuf; 2]> {
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    // libtorch's folder may be a link, and its neighbours are those of the folder that the link leads to.
    let torch = lib.canonicalize().ok()?.parent()?.to_owned();
    let packages = torch.parent()?;
    let home = env::var_os("CUDA_HOME").unwrap_or_else(|| "/usr/local/cuda".into());
    let folders = [
        packages.join("nvidia/cu13/include"),
        packages.join("triton/backends/nvidia/include"),
        Path::new(&home).join("include"),
    ];
    let runtime = folders.iter().find(|folder| is_cuda_13(folder))?;
    let rest = folders.iter().find(|folder| folder.join("crt/host_defines.h").exists())?;
    Some([runtime.clone(), rest.clone()])
}

/// Whether the folder has the runtime's header, of the version that libtorch is built for.
fn is_cuda_13(folder: &Path) -> bool {
    let header = std::fs::read(folder.join("cuda_runtime_api.h")).unwrap_or_default();
    String::from_utf8_lossy(&header).lines().any(|line| line.starts_with("#define CUDART_VERSION  13"))
}
