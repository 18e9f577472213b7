//! Makes every executable find libtorch at run time without `LD_LIBRARY_PATH`, and CUDA in it.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    // tch-extra's build script publishes it.
    let lib = std::env::var("DEP_TCH_EXTRA_LIB").expect("tch-extra says where libtorch is");
    compile_jpeg_idct();

    // RPATH, not RUNPATH, as in PyTorch's own libraries: another libtorch on LD_LIBRARY_PATH must not come first.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{lib}");
    if Path::new(&lib).join("libtorch_cuda.so").exists() {
        // No code refers to libtorch_cuda by name (it registers its kernels when it is loaded): the linker would drop it, and CUDA would
        // then be "not available".
        for arg in ["-Wl,--no-as-needed", "-ltorch_cuda", "-Wl,--as-needed"] {
            println!("cargo:rustc-link-arg={arg}");
        }
    }
}

/// The inverse DCT that executables have instead of libjpeg's.
fn compile_jpeg_idct() {
    // Published by mozjpeg-sys's build script, which is why it is a direct dependency.
    let include = std::env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys tells where its headers are");
    cc::Build::new().includes(std::env::split_paths(&include)).file("csrc/jpeg_idct.c").compile("d2l_jpeg");
    println!("cargo:rustc-link-arg=-Wl,--wrap=jpeg_idct_islow,-u,__wrap_jpeg_idct_islow");
}
