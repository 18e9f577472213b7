//! Links the fuzz targets with the inverse DCT of `csrc/jpeg_idct.c`, as the program is linked.

fn main() {
    println!("cargo:rustc-link-arg=-Wl,--wrap=jpeg_idct_islow,-u,__wrap_jpeg_idct_islow");
}
