//! The tests of the wheel: installed as a user does, in a fresh environment.

use crate::environment::Environment;
use crate::{libtorch, repository, run, wheel};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

/// Builds the wheel, installs it, and runs `tests/python` with it.
pub fn test() -> Result<()> {
    let wheel = wheel::build()?;
    let environment = Environment::make(&repository().join("target/python-test"))?;
    environment.install(&["numpy", "pandas", "xarray", "h5py", "scipy"])?;
    stand_in_torch(&environment)?;
    environment.install(&["--no-deps", "--force-reinstall", &wheel.display().to_string()])?;
    run(environment.program("python").arg(repository().join("tests/python/test_module.py")).arg(repository()))
}

/// A package torch that has the libraries of the real one, but not its Python, which the program needs not: half a GB less.
fn stand_in_torch(environment: &Environment) -> Result<()> {
    let program = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
    let said = environment.program("python").args(["-c", program]).output().context("Python does not start")?;
    let torch = PathBuf::from(String::from_utf8(said.stdout)?.trim()).join("torch");
    fs::create_dir_all(&torch)?;
    fs::write(torch.join("__init__.py"), "")?;
    fs::write(torch.join("version.py"), format!("__version__ = '{}'\n", libtorch::needed()))?;
    let libraries = fs::canonicalize(repository().join(libtorch::LINK))?.join("lib");
    Ok(std::os::unix::fs::symlink(libraries, torch.join("lib"))?)
}
