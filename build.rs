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

    // Vectors are passed between functions of one file alone.
    let winograd = |name: &str, numbers: [u32; 3], flags: &[&str]| {
        let mut build = cc::Build::new();
        for (name, number) in ["LANES", "ROWS", "VECTORS"].iter().zip(numbers) {
            build.define(name, number.to_string().as_str());
        }
        let name = format!("thingsvision_winograd_{name}");
        build.define("RUN", name.as_str()).define("SCRATCH_BYTES", format!("{name}_scratch").as_str());
        flags.iter().chain(&["-O3", "-ffp-contract=fast", "-fno-exceptions", "-Wno-psabi"]).for_each(|flag| _ = build.flag(flag));
        build.cpp(true).std("c++17").file("csrc/winograd.cpp").compile(&name);
    };
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        winograd("avx512", [16, 14, 2], &["-mavx512f", "-mavx512vl", "-mavx512dq", "-mfma"]);
        winograd("avx2", [8, 6, 2], &["-mavx2", "-mfma"]);
    }

    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    println!("cargo:rustc-env=THINGSVISION_LIBTORCH_VERSION={}", version::beside(&lib).as_deref().unwrap_or("unknown"));
}
