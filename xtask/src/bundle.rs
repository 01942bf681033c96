//! `cargo xtask bundle`: the program with the libtorch for CPUs, in one archive, for machines without Python.

use crate::portable::{self, Tools};
use crate::{libtorch, repository, run, wheel};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the archive in `target/bundles`, and returns where it lies.
pub fn build() -> Result<PathBuf> {
    let tools = Tools::provide()?;
    let name = format!("thingsvision-{}-{}-{}", wheel::version()?, std::env::consts::OS, std::env::consts::ARCH);
    let bundles = repository().join("target/bundles");
    let folder = bundles.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    portable::build(&tools, "$ORIGIN/../lib", &folder.join("bin/thingsvision"))?;
    wheel::manual(&folder.join("share/man/man1"))?;
    let libtorch = libtorch::provide(&repository())?;
    fs::create_dir_all(folder.join("lib"))?;
    let licences = libtorch.join("licences");
    ensure!(
        licences.exists(),
        "`{0}` has no licences, which must go with it: remove that folder, and `cargo xtask libtorch` unpacks it with them",
        libtorch.display()
    );
    copy(&licences, &folder.join("licences"))?;
    for library in fs::read_dir(libtorch.join("lib"))? {
        let library = library?;
        let name = library.file_name();
        if library.metadata()?.is_file() && is_needed(&name.to_string_lossy()) {
            fs::copy(library.path(), folder.join("lib").join(name))?;
        }
    }
    fs::write(folder.join("build-version"), libtorch::needed())?;
    for file in ["README.md", "LICENSE", "CHANGELOG.md", "docs", "examples"] {
        copy(&repository().join(file), &folder.join(file))?;
    }
    let archive = bundles.join(format!("{name}.tar.zst"));
    let mut tar = Command::new("tar");
    tar.env("ZSTD_CLEVEL", "12").env("ZSTD_NBTHREADS", "0");
    tar.args(["--create", "--zstd", "--owner=0", "--group=0", "--file"]).arg(&archive);
    run(tar.arg("--directory").arg(&bundles).arg(name)).context("GNU tar with zstd is needed (Debian: apt install zstd)")?;
    Ok(archive)
}

/// Of an installation by pip, what runs networks on the CPU.
fn is_needed(library: &str) -> bool {
    let left_out = ["cuda.", "cuda_", "nvrtc", "nvshmem", "python", "libshm", "global_deps"];
    // The program needs its parts, `libtorch_cpu.so` and `libc10.so`.
    library.contains(".so") && library != "libtorch.so" && !left_out.iter().any(|word| library.contains(word))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        fs::copy(from, to)?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        copy(&file.path(), &to.join(file.file_name()))?;
    }
    Ok(())
}
