//! Builds a program that runs on other machines: linked to what glibc 2.28 has, and to a libtorch at a place relative to its own.
//!
//! glibc gives a program the newest variant of each function that the machine has on which it is linked. zig carries lists of
//! what each version of glibc has and makes stubs of them; linked to those, with everything compiled as ever, the program asks
//! for no more. The start-up code (`Scrt1.o`) has to be of that time as well: before 2.34 it ran the constructors.

use crate::environment::Environment;
use crate::{cargo, libtorch, repository, run};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// That of PyTorch's own wheels (manylinux_2_28).
pub const GLIBC: &str = "2.28";

const TOOLS: &str = include_str!("../wheel_tools.txt");

/// A Python with the tools of `wheel_tools.txt`, made in `target` unless it is there.
pub fn tools() -> Result<Environment> {
    let place = repository().join("target/wheel-tools");
    let ready = place.join("ready.txt");
    if fs::read_to_string(&ready).is_ok_and(|made| made == TOOLS) {
        return Ok(Environment::at(&place));
    }
    eprintln!("fetching the tools of xtask/wheel_tools.txt (once, about 100 MB)");
    let tools = Environment::make(&place)?;
    let list = repository().join("xtask/wheel_tools.txt").display().to_string();
    tools.install(&["--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", &list])?;
    fs::write(ready, TOOLS)?;
    Ok(tools)
}

/// Builds the program, to find libtorch in `run_path` (`$ORIGIN/…`), and writes it to `place`.
pub fn build(tools: &Environment, run_path: &str, place: &Path) -> Result<()> {
    libtorch::provide(&repository())?;
    let mut arguments: Vec<String> =
        "rustc --release --package thingsvision --bin thingsvision -- -C strip=symbols".split(' ').map(String::from).collect();
    if cfg!(target_os = "linux") {
        let folder = stubs(tools)?;
        let link = [format!("-B{0}", folder.display()), format!("-L{0}", folder.display())];
        // The machine's libstdc++ asks for the machine's glibc; where the program will run, each has its own.
        let link = link.into_iter().chain(["-Wl,--allow-shlib-undefined".into(), compiled(&folder)?.display().to_string()]);
        arguments.extend(link.flat_map(|argument| ["-C".into(), format!("link-arg={argument}")]));
    }
    run(&mut cargo(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))?;
    fs::create_dir_all(place.parent().context("a file in a folder")?)?;
    fs::copy(repository().join("target/release/thingsvision"), place)?;
    if cfg!(target_os = "linux") {
        return run(tools.program("patchelf").args(["--set-rpath", run_path]).arg(place));
    }
    let here = fs::canonicalize(repository().join(libtorch::LINK))?.join("lib");
    let run_path = run_path.replace("$ORIGIN", "@loader_path");
    run(Command::new("install_name_tool").arg("-rpath").arg(here).arg(run_path).arg(place))?;
    run(Command::new("codesign").args(["--force", "--sign", "-"]).arg(place))
}

/// A folder with the libraries of glibc [`GLIBC`] to link to.
fn stubs(tools: &Environment) -> Result<PathBuf> {
    let target = format!("{}-linux-gnu.{GLIBC}", std::env::consts::ARCH);
    let folder = repository().join("target").join(format!("glibc-{GLIBC}"));
    let library = folder.join("libc.so");
    if library.exists() {
        return Ok(folder);
    }
    let cache = folder.join("zig");
    fs::create_dir_all(&cache)?;
    fs::write(folder.join("empty.c"), "int main(void) { return 0; }\n")?;
    let mut zig = tools.program("python");
    zig.args(["-m", "ziglang", "cc", "-pie", "-target", &target, "empty.c", "-o", "empty"]).current_dir(&folder);
    run(zig.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache))?;
    for made in fs::read_dir(cache.join("o"))? {
        for file in fs::read_dir(made?.path())? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            if name == "Scrt1.o" || name == "libc_nonshared.a" || name.contains(".so.") {
                fs::copy(file.path(), folder.join(&name))?;
            }
            if let Some((stem, _)) = name.split_once(".so.").filter(|(stem, _)| *stem != "libc") {
                fs::copy(file.path(), folder.join(format!("{stem}.so")))?;
            }
        }
    }
    for needed in ["Scrt1.o", "libc_nonshared.a", "libc.so.6", "libm.so", "libpthread.so"] {
        ensure!(folder.join(needed).exists(), "zig made no {needed}");
    }
    // Last, for it tells that the folder is whole.
    fs::write(library, "GROUP ( libc.so.6 libc_nonshared.a )\n")?;
    Ok(folder)
}

/// `portable.cpp`, compiled.
fn compiled(folder: &Path) -> Result<PathBuf> {
    let object = folder.join("portable.o");
    let source = repository().join("xtask/src/portable.cpp");
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    run(Command::new(compiler).args(["-std=c++17", "-O2", "-fPIC", "-c"]).arg(source).arg("-o").arg(&object))?;
    Ok(object)
}
