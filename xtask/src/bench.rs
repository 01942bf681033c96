//! `cargo xtask bench`: the comparison with PyTorch of `benches/compare.py`, in a Python that has it.

use crate::libtorch::cache_folder;
use crate::{cargo, repository, run};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Runs it. `--setup` first makes an environment in the cache folder; `--python PATH` names another; what else is given
/// goes to `compare.py`.
pub fn bench(arguments: &[String]) -> Result<()> {
    let own = cache_folder()?.join("bench-python");
    let mut python = own.join("bin/python");
    let mut others = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--setup" => set_up(&own)?,
            "--python" => python = PathBuf::from(arguments.next().context("--python needs the path of a Python")?),
            _ => others.push(argument),
        }
    }
    ensure!(
        python.exists(),
        "there is no `{}`\n\nhint: `cargo xtask bench --setup` makes a Python with torch there (some GB), or name yours with --python",
        python.display()
    );
    run(&mut cargo(&["build", "--release"]))?;
    let (program, forward) = (repository().join("target/release/thingsvision"), forward()?);
    let script = repository().join("benches/compare.py");
    run(Command::new(python).arg(script).arg(program).arg(forward).args(others))
}

fn set_up(place: &PathBuf) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(place))?;
    let requirements = repository().join("benches/requirements.txt");
    run(Command::new(place.join("bin/pip")).args(["install", "--requirement"]).arg(requirements))
}

/// Builds the bench of the forward pass and returns where it is.
fn forward() -> Result<PathBuf> {
    let mut cargo = cargo(&["bench", "--bench", "forward", "--no-run", "--message-format", "json"]);
    let built = cargo.output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&built.stdout);
    let mut executables = text.split("\"executable\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    match executables.find(|path| path.contains("/forward-")) {
        Some(path) if built.status.success() => Ok(path.into()),
        _ => bail!("cannot build the bench `forward`:\n{}", String::from_utf8_lossy(&built.stderr)),
    }
}
