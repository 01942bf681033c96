//! A Python environment of our own, in `target`.

use crate::run;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `python3 -m venv` made.
pub struct Environment(PathBuf);

impl Environment {
    /// An empty one, in place of what is there.
    pub fn make(place: &Path) -> Result<Environment> {
        if place.exists() {
            fs::remove_dir_all(place)?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(place))?;
        Ok(Environment(place.to_owned()))
    }

    /// One that was made before.
    pub fn at(place: &Path) -> Environment {
        Environment(place.to_owned())
    }

    /// One of its programs, `python`, which finds the others before those of the machine.
    pub fn program(&self, name: &str) -> Command {
        let programs = self.0.join("bin");
        let mut program = Command::new(programs.join(name));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(programs).chain(std::env::split_paths(&path));
        program.env("PATH", std::env::join_paths(paths).unwrap_or(path));
        program
    }

    /// `pip install` with these arguments.
    pub fn install(&self, arguments: &[&str]) -> Result<()> {
        run(self.program("python").args("-m pip install --quiet --disable-pip-version-check".split(' ')).args(arguments))
    }
}
