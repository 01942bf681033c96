//! The tests of the wheel: installed as a user does, in a fresh environment.

use crate::portable::Tools;
use crate::{libtorch, repository, run, wheel};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the wheel, installs it, and runs `tests/python` with it.
pub fn test() -> Result<()> {
    let wheel = wheel::build()?;
    let environment = Environment::make(&repository().join("target/python-test"))?;
    environment.pip(&["numpy", "pandas", "xarray"])?;
    environment.stand_in_torch()?;
    environment.pip(&["--no-deps", "--force-reinstall", &wheel.display().to_string()])?;
    run(environment.python().arg(repository().join("tests/python/test_module.py")).arg(repository()))
}

struct Environment(PathBuf);

impl Environment {
    fn make(place: &Path) -> Result<Environment> {
        if place.exists() {
            fs::remove_dir_all(place)?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(place))?;
        Ok(Environment(place.to_owned()))
    }

    /// Its interpreter, and its programs before others.
    fn python(&self) -> Command {
        Tools::at(&self.0).program("python")
    }

    fn pip(&self, what: &[&str]) -> Result<()> {
        run(self.python().args("-m pip install --quiet --disable-pip-version-check".split(' ')).args(what))
    }

    /// A package torch that has the libraries of the real one, but not its Python, which the program needs not: half a GB less.
    fn stand_in_torch(&self) -> Result<()> {
        let program = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
        let said = self.python().args(["-c", program]).output().context("Python does not start")?;
        let torch = PathBuf::from(String::from_utf8(said.stdout)?.trim()).join("torch");
        fs::create_dir_all(&torch)?;
        fs::write(torch.join("__init__.py"), "")?;
        fs::write(torch.join("version.py"), format!("__version__ = '{}'\n", libtorch::needed()))?;
        let libraries = fs::canonicalize(repository().join(libtorch::LINK))?.join("lib");
        Ok(std::os::unix::fs::symlink(libraries, torch.join("lib"))?)
    }
}
