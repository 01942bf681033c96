//! Compiles `csrc` and lets the program find libtorch wherever it is started.

use std::env;
use std::fs;

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    // The link made by `cargo xtask libtorch` may come to point elsewhere.
    println!("cargo:rerun-if-changed=libtorch");

    let mut jpeg = cc::Build::new();
    for include in env::split_paths(&env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys names its headers")) {
        jpeg.include(include);
    }
    jpeg.file("csrc/jpeg.c").warnings_into_errors(false).compile("thingsvision_jpeg");

    let libtorch = env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names the folder of libtorch");
    let libtorch =
        fs::canonicalize(&libtorch).unwrap_or_else(|error| panic!("`{libtorch}`: {error}: run `cargo xtask libtorch`"));
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", libtorch.display());
    println!("cargo:rustc-env=THINGSVISION_LIBTORCH={}", libtorch.display());
}
