//! `cargo xtask bundle`: the program with the libtorch for CPUs, in one archive, for machines without Python.

use crate::{libtorch, portable, repository, run, wheel};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the archive in `target/bundles`, and returns where it lies.
pub fn build() -> Result<PathBuf> {
    let tools = portable::tools()?;
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

/// What the program needs of that: `libtorch_cpu.so`, `libc10.so`, and what they need. `cargo xtask libtorch` left the CUDA part behind.
fn is_needed(library: &str) -> bool {
    !["libtorch.so", "libtorch_global_deps.so"].contains(&library)
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
