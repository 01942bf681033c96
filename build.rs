//! Compiles `csrc` and lets the program find libtorch wherever it is started.

#[path = "src/libtorch/version.rs"]
mod version;

use std::env;
use std::fs;

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rerun-if-changed=src/libtorch/version.rs");
    // The link made by `cargo xtask libtorch` may come to point elsewhere.
    println!("cargo:rerun-if-changed=libtorch");

    let mut jpeg = cc::Build::new();
    for include in env::split_paths(&env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys names its headers")) {
        jpeg.include(include);
    }
    jpeg.file("csrc/jpeg.c").compile("thingsvision_jpeg");

    let lib = env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names the folder of libtorch");
    let lib = fs::canonicalize(&lib).unwrap_or_else(|error| panic!("`{lib}`: {error}: run `cargo xtask libtorch`"));
    let include = lib.with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(include.join("torch/csrc/api/include"))
        .include(include)
        // libtorch's headers, not ours.
        .warnings(false)
        .file("csrc/torchscript.cpp")
        .file("csrc/foreign.cpp")
        .file("csrc/kernels.cpp")
        .file("csrc/libtorch.cpp")
        .compile("thingsvision_torch");

    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    println!("cargo:rustc-env=THINGSVISION_LIBTORCH_VERSION={}", version::beside(&lib).as_deref().unwrap_or("unknown"));
}
