//! `cargo xtask wheel`: what `pip install` takes, the program and the Python module, without libtorch.

use crate::portable::{self, GLIBC};
use crate::{libtorch, repository, run};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name on PyPI, and of the module.
const NAME: &str = "thingsvision_rs";

/// The version of the program, from its `Cargo.toml`.
pub fn version() -> Result<String> {
    let manifest = fs::read_to_string(repository().join("Cargo.toml"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    Ok(line.context("Cargo.toml names the version")?.trim_matches('"').to_owned())
}

/// Builds the wheel in `target/wheels`, and returns where it lies.
pub fn build() -> Result<PathBuf> {
    let tools = portable::tools()?;
    let version = version()?;
    let staging = repository().join("target/wheel");
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    let module = staging.join("content").join(NAME);
    portable::build(&tools, "$ORIGIN/../../torch/lib", &module.join("bin/thingsvision"))?;
    for file in fs::read_dir(repository().join("python").join(NAME))? {
        let file = file?.path();
        if file.is_file() {
            fs::copy(&file, module.join(file.file_name().context("a file has a name")?))?;
        }
    }
    let data = staging.join(format!("content/{NAME}-{version}.data/data/share/man/man1"));
    manual(&data)?;
    metadata(&staging.join(format!("content/{NAME}-{version}.dist-info")), &version)?;
    run(tools.program("python").args(["-m", "wheel", "pack"]).arg(staging.join("content")).arg("--dest-dir").arg(&staging))?;
    let packed = staging.join(format!("{NAME}-{version}-py3-none-{}.whl", platform()?));
    let wheels = repository().join("target/wheels");
    fs::create_dir_all(&wheels)?;
    if !cfg!(target_os = "linux") {
        let place = wheels.join(packed.file_name().context("a file has a name")?);
        fs::rename(&packed, &place)?;
        return Ok(place);
    }
    // Fails if the program asks for more than the platform has. libtorch is no part of the wheel: it is that of the package torch.
    let platform = format!("manylinux_{}_{}", GLIBC.replace('.', "_"), std::env::consts::ARCH);
    let mut audit = tools.program("auditwheel");
    audit.args(["repair", "--only-plat", "--plat", &platform, "--exclude", "libtorch*.so", "--exclude", "libc10.so"]);
    run(audit.args(["--exclude", "libgomp.so.1"]).arg("--wheel-dir").arg(&wheels).arg(&packed))?;
    Ok(wheels.join(format!("{NAME}-{version}-py3-none-{platform}.whl")))
}

/// The manual, written by the program that was just built.
pub fn manual(folder: &Path) -> Result<()> {
    let program = repository().join("target/release/thingsvision");
    run(Command::new(program).args(["--quiet", "man"]).arg(folder).stdout(std::process::Stdio::null()))
}

fn platform() -> Result<String> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", architecture) => Ok(format!("linux_{architecture}")),
        ("macos", "aarch64") => Ok("macosx_11_0_arm64".into()),
        (system, architecture) => bail!("no wheel is made for {system} {architecture}"),
    }
}

fn metadata(folder: &Path, version: &str) -> Result<()> {
    fs::create_dir_all(folder.join("licenses"))?;
    fs::copy(repository().join("LICENSE"), folder.join("licenses/LICENSE"))?;
    let (series, _) = libtorch::needed().rsplit_once('.').context("a version has three numbers")?;
    let readme = fs::read_to_string(repository().join("python/README.md"))?;
    let metadata = format!(
        "Metadata-Version: 2.4\nName: thingsvision-rs\nVersion: {version}\n\
         Summary: Activations of deep vision networks, their representational dissimilarity matrices, and how these relate to behaviour and fMRI\n\
         License-Expression: MIT\nLicense-File: LICENSE\nRequires-Python: >=3.9\nRequires-Dist: numpy\nRequires-Dist: torch=={series}.*\n\
         Provides-Extra: tables\nRequires-Dist: pandas; extra == 'tables'\nRequires-Dist: xarray; extra == 'tables'\n\
         Description-Content-Type: text/markdown\n\n{readme}"
    );
    fs::write(folder.join("METADATA"), metadata)?;
    let wheel = format!("Wheel-Version: 1.0\nGenerator: xtask\nRoot-Is-Purelib: false\nTag: py3-none-{}\n", platform()?);
    fs::write(folder.join("WHEEL"), wheel)?;
    Ok(fs::write(folder.join("entry_points.txt"), format!("[console_scripts]\nthingsvision = {NAME}.program:main\n"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_same_wherever_a_file_names_it() {
        let version = version().unwrap();
        for (file, line) in [
            ("python/thingsvision_rs/__init__.py", format!("__version__ = \"{version}\"")),
            ("CITATION.cff", format!("version: {version}")),
        ] {
            let text = fs::read_to_string(repository().join(file)).unwrap();
            assert!(text.lines().any(|found| found == line), "{file} has no line `{line}`");
        }
        let changes = fs::read_to_string(repository().join("CHANGELOG.md")).unwrap();
        assert!(changes.lines().any(|line| line.starts_with(&format!("## {version} - 20"))), "CHANGELOG.md has no {version}");
    }

    #[test]
    fn the_module_asks_for_the_torch_that_the_program_is_built_with() {
        let program = fs::read_to_string(repository().join("python/thingsvision_rs/program.py")).unwrap();
        let (series, _) = libtorch::needed().rsplit_once('.').unwrap();
        assert!(program.contains(&format!("SERIES = \"{series}\"")));
    }

    #[test]
    fn the_module_stays_thin() {
        let folder = repository().join("python").join(NAME);
        let sources = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let lines: usize =
            sources.filter(|file| file.is_file()).map(|file| fs::read_to_string(file).unwrap().lines().count()).sum();
        assert!(lines <= 300, "{lines} lines");
    }
}
