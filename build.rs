//! Makes every executable find libtorch at run time without `LD_LIBRARY_PATH`, and CUDA in it.

use std::path::Path;

fn main() {
    // tch-extra's build script publishes it.
    let lib = std::env::var("DEP_TCH_EXTRA_LIB").expect("tch-extra says where libtorch is");

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
