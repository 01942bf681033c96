//! Set-up, demonstration and tests of thingsvision: `cargo xtask demo`, `cargo xtask test`, `cargo xtask libtorch`,
//! `cargo xtask wheel`, `cargo xtask bundle`, `cargo xtask snakemake`, `cargo xtask slurm`,
//! `cargo xtask bench`.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for a terminal

mod bench;
mod bundle;
mod environment;
mod libtorch;
mod portable;
mod python;
mod wheel;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo       provide libtorch, build, and run the main job on examples/images
  test       provide libtorch and run all tests, those of the wheel too
  libtorch   only provide libtorch {version}
  wheel      build what `pip install` takes, and print its path
  bundle     build the archive with libtorch inside that runs where it is unpacked, and print its path
  snakemake  only the last part of `test`: the workflow of examples/snakemake, killed and continued (five minutes)
  slurm      run an extraction as a job array on a Slurm that is set up for it here (as root, Debian or Ubuntu)
  bench      compare speed with PyTorch, and write benches/RESULTS.md (half an hour)
             --setup make a Python with torch first, --python PATH use another,
             --toolbox PYTHON one with thingsvision 2.7.3, --rounds N";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => demo(),
        ["test"] => test(),
        ["bench", ..] => libtorch::provide(&repository()).and_then(|_| bench::bench(&arguments[1..])),
        ["wheel"] => wheel::build().map(|path| println!("{}", path.display())),
        ["bundle"] => bundle::build().map(|path| println!("{}", path.display())),
        ["slurm"] => slurm(),
        ["snakemake"] => libtorch::provide(&repository()).and_then(|_| snakemake()),
        ["libtorch"] => {
            libtorch::provide(&repository()).map(|provided| println!("libtorch {}: {}", libtorch::needed(), provided.display()))
        }
        _ => {
            eprintln!("{}", USAGE.replace("{version}", libtorch::needed()));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}

/// `cargo`, in the repository, with the libtorch that [`libtorch::provide`] linked there.
fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(repository()).env("LIBTORCH", repository().join(libtorch::LINK));
    // What the cargo that runs this said of xtask; crates that look at it would be built anew for every change of caller.
    let said = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"].iter().any(|of| name.starts_with(of));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(said)) {
        cargo.env_remove(name);
    }
    cargo
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{} failed ({status})", command.get_program().display());
    }
    Ok(())
}

fn test() -> Result<()> {
    libtorch::provide(&repository())?;
    // Release, as the demonstration: libtorch's bindings take minutes to build, and are so built once.
    run(&mut cargo(&["test", "--release", "--workspace"]))?;
    for (what, version, test) in
        [("the wheel", (3, 9), python::test as fn() -> Result<()>), ("the workflow of examples/snakemake", (3, 11), snakemake)]
    {
        match python_lacks(version) {
            None => test()?,
            Some(lack) => println!("\nNOT TESTED: {what}, for {lack}"),
        }
    }
    Ok(())
}

/// What keeps `python3` from environments of its own, with that version or a newer one.
fn python_lacks((major, minor): (u32, u32)) -> Option<String> {
    let asked = format!("import sys, venv, ensurepip; sys.exit(sys.version_info < ({major}, {minor}))");
    match Command::new("python3").args(["-c", &asked]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) if output.stderr.is_empty() => Some(format!("python3 is older than {major}.{minor}")),
        Ok(_) => Some("python3 has no venv (Debian: apt install python3-venv)".into()),
        Err(error) => Some(format!("python3 does not start: {error}")),
    }
}

/// The main job on the shipped example: activations and RDMs of five layers, RSA with the behavioural RDM, and a small study.
fn demo() -> Result<()> {
    libtorch::provide(&repository())?;
    run(&mut cargo(&["build", "--release"]))?;
    thingsvision(
        "extract --model alexnet --weights random --seed 0 --layer features.2 --layer features.5 --layer features.12 \
         --layer classifier.2 --layer classifier.5 --images examples/images --out demo/activations --force",
    )?;
    thingsvision("rsa --behavior examples/behavior.npy demo/activations/alexnet.random-0 --out demo/rsa")?;
    thingsvision("study examples/study.toml")?;
    println!("\nThe activations and RDMs lie in demo/activations/alexnet.random-0, the scores in demo/rsa.npy, .csv and .json.");
    println!("Open demo/study/report.html in a browser: three networks, their RDMs, and how they relate to behaviour.");
    println!("`cargo install --path .` puts the program on your PATH.");
    Ok(())
}

/// The workflow of `examples/snakemake` with a real Snakemake.
fn snakemake() -> Result<()> {
    run(&mut cargo(&["build", "--release", "--workspace"]))?;
    let script = repository().join("tests/snakemake/run.py");
    let program = repository().join("target/release/thingsvision");
    run(Command::new("python3").arg(script).arg(program).arg(repository().join("target/snakemake-test")))
}

/// The longer test with a real Slurm.
fn slurm() -> Result<()> {
    libtorch::provide(&repository())?;
    run(&mut cargo(&["build", "--release"]))?;
    let script = repository().join("tests/slurm/array.sh");
    run(Command::new("bash").arg(script).arg(repository().join("target/release/thingsvision")))
}

fn thingsvision(arguments: &str) -> Result<()> {
    println!("\n$ thingsvision {arguments}");
    let mut run = vec!["run", "--release", "--quiet", "--bin", "thingsvision", "--"];
    run.extend(arguments.split_whitespace());
    self::run(&mut cargo(&run))
}
