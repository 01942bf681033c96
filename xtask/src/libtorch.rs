//! Provides libtorch: finds or fetches it, and makes `libtorch` in the repository a link to it.
//!
//! `.cargo/config.toml` points `LIBTORCH` at that link, so plain `cargo build` needs no environment variable.

use crate::run;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The link's name in the repository.
pub const LINK: &str = "libtorch";

/// Lists every file of a libtorch that we put in place, with its size, so that a damaged one is noticed.
const INVENTORY: &str = "inventory.txt";

/// Its line of `torch` is the one place that names the version.
const WHEELS: &str = include_str!("../wheels.txt");
const UNPACK: &str = include_str!("../unpack_wheels.py");

/// The version that the program is built with.
pub fn needed() -> &'static str {
    let torch = WHEELS.lines().find_map(|line| line.strip_prefix("torch=="));
    torch.and_then(|rest| rest.split(' ').next()).expect("wheels.txt names torch and its hashes")
}

/// Makes `repository/libtorch` a link to a whole libtorch of the right version, and returns where that lies.
///
/// Tried in order: the user's `LIBTORCH`, what an earlier call provided, the torch wheel, the official archive.
pub fn provide(repository: &Path) -> Result<PathBuf> {
    let link = repository.join(LINK);
    if let Some(own) = std::env::var_os("LIBTORCH").map(PathBuf::from).filter(|own| *own != link) {
        check(&own).with_context(|| format!("LIBTORCH is set to `{}`, which cannot be used", own.display()))?;
        return point(&link, &own);
    }
    if check(&link).is_ok() {
        return point(&link, &link);
    }
    let cache = cache_folder()?;
    let needed = needed();
    let place = cache.join(format!("libtorch-{needed}"));
    let _alone = lock(&cache)?;
    let mut tried = Vec::new();
    if place.exists() {
        match check(&place) {
            Ok(()) => return point(&link, &place),
            Err(error) => tried.push(format!("{}: {error:#}", place.display())),
        }
    }
    for (name, fetch) in [("the torch wheel by pip", fetch_wheel as Fetch), ("the official archive by curl", fetch_archive)] {
        eprintln!("fetching libtorch {needed}: {name} (once, some hundred MB)");
        match put_in_place(&cache, &place, fetch) {
            Ok(()) => return point(&link, &place),
            Err(error) => tried.push(format!("{name}: {error:#}")),
        }
    }
    bail!("libtorch {needed} could not be provided; tried\n  - {}\n\n{}", tried.join("\n  - "), manual_way())
}

fn manual_way() -> String {
    let version = needed();
    format!(
        "hint: download https://pytorch.org libtorch {version} (or `pip install torch=={version}` anywhere), then\n      \
         LIBTORCH=/path/to/libtorch cargo xtask libtorch     (of a pip installation: the folder site-packages/torch)"
    )
}

/// `~/.cache/thingsvision`: outside the repository, so that clones share it and installed programs survive them.
pub fn cache_folder() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match base {
        Some(base) => base,
        None => std::env::home_dir().context("no home folder to keep libtorch in: set XDG_CACHE_HOME")?.join(".cache"),
    };
    Ok(base.join("thingsvision"))
}

/// Held while one process provides; others wait, and then find what it provided.
fn lock(cache: &Path) -> Result<File> {
    let path = cache.join("lock");
    let lock = || -> std::io::Result<File> {
        fs::create_dir_all(cache)?;
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().with_context(|| format!("cannot lock `{}`", path.display()))
}

/// Fails unless `libtorch` holds a whole libtorch of the right version.
fn check(libtorch: &Path) -> Result<()> {
    for part in ["include/torch/csrc/api/include/torch/torch.h", "lib"] {
        ensure!(libtorch.join(part).exists(), "`{part}` is missing");
    }
    let version = version(libtorch).context("its version cannot be read")?;
    ensure!(version.split('+').next() == Some(needed()), "it is version {version}, needed is {}", needed());
    if let Ok(inventory) = fs::read_to_string(libtorch.join(INVENTORY)) {
        for line in inventory.lines() {
            let (size, name) = line.split_once(' ').context("its inventory is damaged")?;
            let found = fs::metadata(libtorch.join(name)).map(|file| file.len().to_string());
            ensure!(found.is_ok_and(|found| found == size), "`{name}` is missing or damaged");
        }
    }
    Ok(())
}

/// From `build-version` (official archive) or `version.py` (pip installation).
fn version(libtorch: &Path) -> Result<String> {
    if let Ok(version) = fs::read_to_string(libtorch.join("build-version")) {
        return Ok(version.trim().to_owned());
    }
    let python = fs::read_to_string(libtorch.join("version.py")).context("neither `build-version` nor `version.py` is there")?;
    let line = python.lines().find_map(|line| line.strip_prefix("__version__ = "));
    Ok(line.context("`version.py` names no version")?.trim_matches(['\'', '"']).to_owned())
}

fn point(link: &Path, libtorch: &Path) -> Result<PathBuf> {
    let libtorch = fs::canonicalize(libtorch)?;
    if fs::canonicalize(link).ok().as_ref() != Some(&libtorch) {
        if link.is_symlink() {
            fs::remove_file(link)?;
        }
        std::os::unix::fs::symlink(&libtorch, link)
            .with_context(|| format!("cannot make `{}` a link to `{}`", link.display(), libtorch.display()))?;
    }
    Ok(libtorch)
}

type Fetch = fn(staging: &Path) -> Result<()>;

/// Runs `fetch` in a staging folder and moves its result to `place` only when it is whole.
fn put_in_place(cache: &Path, place: &Path, fetch: Fetch) -> Result<()> {
    let staging = cache.join("fetching");
    if staging.exists() {
        // Left by a call that was interrupted.
        fs::remove_dir_all(&staging)?;
    }
    let result = stage(&staging, fetch).and_then(|libtorch| {
        if place.exists() {
            // Found damaged by `check`.
            fs::remove_dir_all(place)?;
        }
        fs::rename(libtorch, place).with_context(|| format!("cannot write `{}`", place.display()))
    });
    fs::remove_dir_all(&staging).ok();
    result
}

fn stage(staging: &Path, fetch: Fetch) -> Result<PathBuf> {
    fs::create_dir_all(staging).with_context(|| format!("cannot write `{}`", staging.display()))?;
    fetch(staging)?;
    let libtorch = staging.join("libtorch");
    write_inventory(&libtorch)?;
    check(&libtorch)?;
    Ok(libtorch)
}

fn write_inventory(libtorch: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for file in fs::read_dir(libtorch.join("lib"))? {
        let file = file?;
        if file.metadata()?.is_file() {
            lines.push(format!("{} lib/{}\n", file.metadata()?.len(), file.file_name().display()));
        }
    }
    lines.sort();
    Ok(fs::write(libtorch.join(INVENTORY), lines.concat())?)
}

/// The wheel without its dependencies, verified by pip against the hashes in `wheels.txt`.
fn fetch_wheel(staging: &Path) -> Result<()> {
    let platforms = wheel_platforms().context("no torch wheel is known for this kind of machine")?;
    let wheels = staging.join("wheels");
    fs::write(staging.join("wheels.txt"), WHEELS)?;
    fs::write(staging.join("unpack_wheels.py"), UNPACK)?;
    // The libraries are the same whatever the Python, so one wheel is named and its hash known.
    let mut pip = Command::new("python3");
    pip.args("-m pip download --no-deps --require-hashes --only-binary=:all: --disable-pip-version-check".split(' '));
    pip.args("--python-version 3.12 --implementation cp --abi cp312 --abi none".split(' '));
    pip.args(platforms.iter().flat_map(|platform| ["--platform", platform]));
    run(pip.arg("--dest").arg(&wheels).arg("--requirement").arg(staging.join("wheels.txt")))?;
    eprintln!("unpacking");
    run(Command::new("python3").arg(staging.join("unpack_wheels.py")).arg(&wheels).arg(staging.join("libtorch")))?;
    if std::env::consts::ARCH == "aarch64" && std::env::consts::OS == "linux" {
        // There it has symbols of its own, so that programs would need it, and it the CUDA part, which is left behind.
        fs::write(staging.join("libtorch/lib/libtorch.so"), "INPUT ( -ltorch_cpu )\n")?;
    }
    Ok(fs::write(staging.join("libtorch/build-version"), needed())?)
}

fn wheel_platforms() -> Option<&'static [&'static str]> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(&["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64"]),
        ("linux", "aarch64") => Some(&["manylinux_2_28_aarch64", "manylinux_2_25_aarch64", "manylinux2014_aarch64"]),
        ("macos", "aarch64") => Some(&["macosx_11_0_arm64"]),
        _ => None,
    }
}

/// PyTorch's own archive of the CPU build. No checksum of it is published; its members carry CRCs, which unzip checks.
fn fetch_archive(staging: &Path) -> Result<()> {
    let name = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => format!("libtorch-shared-with-deps-{}%2Bcpu.zip", needed()),
        ("macos", "aarch64") => format!("libtorch-macos-arm64-{}.zip", needed()),
        _ => bail!("PyTorch publishes none for this kind of machine"),
    };
    let archive = staging.join("libtorch.zip");
    let url = format!("https://download.pytorch.org/libtorch/cpu/{name}");
    run(Command::new("curl")
        .args(["--fail", "--location", "--retry", "3", "--progress-bar", "--output"])
        .arg(&archive)
        .arg(url))?;
    run(Command::new("unzip").arg("-q").arg(&archive).arg("-d").arg(staging))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake_libtorch(folder: &Path, version: &str) {
        fs::create_dir_all(folder.join("include/torch/csrc/api/include/torch")).unwrap();
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join("include/torch/csrc/api/include/torch/torch.h"), "").unwrap();
        fs::write(folder.join("lib/libtorch_cpu.so"), "code").unwrap();
        fs::write(folder.join("build-version"), version).unwrap();
    }

    #[test]
    fn a_truncated_library_is_not_mistaken_for_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        fake_libtorch(folder.path(), "2.11.0+cpu\n");
        write_inventory(folder.path()).unwrap();
        check(folder.path()).unwrap();
        fs::write(folder.path().join("lib/libtorch_cpu.so"), "cod").unwrap();
        assert_eq!(check(folder.path()).unwrap_err().to_string(), "`lib/libtorch_cpu.so` is missing or damaged");
    }

    #[test]
    fn another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fake_libtorch(folder.path(), "2.10.0+cpu");
        assert_eq!(check(folder.path()).unwrap_err().to_string(), "it is version 2.10.0+cpu, needed is 2.11.0");
    }

    #[test]
    fn the_version_of_a_pip_installation_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("version.py"), "from typing import Optional\n__version__ = '2.11.0+cu130'\n").unwrap();
        assert_eq!(version(folder.path()).unwrap(), "2.11.0+cu130");
    }

    #[test]
    fn a_fetch_that_breaks_leaves_nothing_behind() {
        let cache = tempfile::tempdir().unwrap();
        let place = cache.path().join("libtorch");
        let broken: Fetch = |staging| {
            fake_libtorch(&staging.join("libtorch"), needed());
            bail!("the line went dead")
        };
        assert!(put_in_place(cache.path(), &place, broken).is_err());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);

        let whole: Fetch = |staging| {
            fake_libtorch(&staging.join("libtorch"), needed());
            Ok(())
        };
        put_in_place(cache.path(), &place, whole).unwrap();
        check(&place).unwrap();
    }

    #[test]
    fn the_version_is_the_same_wherever_a_text_names_it() {
        let repository = crate::repository();
        for (file, before) in [
            ("README.md", "libtorch "),
            ("benches/requirements.txt", "torch=="),
            ("tests/fixtures/requirements.txt", "torch=="),
            ("examples/compare_with_pytorch.py", "torch=="),
        ] {
            let text = fs::read_to_string(repository.join(file)).unwrap();
            assert!(text.contains(&format!("{before}{}", needed())), "{file}");
        }
    }

    #[test]
    fn every_wheel_is_pinned_by_hash() {
        for line in WHEELS.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
    }
}
