//! Compiles `csrc/` against the headers of libjpeg. With the feature `tch`, makes tests and examples find libtorch.

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    #[cfg(feature = "image-files")]
    {
        // Published by the build script of mozjpeg-sys.
        let include = std::env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys says where its headers are");
        cc::Build::new()
            .includes(std::env::split_paths(&include))
            .files(["csrc/jpeg.c", "csrc/jpeg_idct.c"])
            .compile("torchvision_exact");
    }
    // Published by the build script of torch-sys.
    if let Ok(libtorch) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}");
    }
}
