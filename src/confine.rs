//! What a thread may do that runs code of others: on Linux the kernel keeps it to that, by Landlock.
//!
//! Rights that are given up are given up for ever, by the thread and by those that it starts. So foreign code has threads of its own.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How far the kernel keeps threads to what [`confine`] leaves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Landlock {
    /// In all of it.
    Enforced,
    /// In a part: the kernel is older than 6.12.
    PartlyEnforced,
    /// Not at all: the kernel has no Landlock, or it is turned off.
    Missing,
}

impl Landlock {
    /// What it is on this machine.
    pub fn here() -> Landlock {
        // Of a thread that only finds it out.
        let tried = std::thread::spawn(|| confine(&[])).join();
        tried.ok().and_then(Result::ok).unwrap_or(Landlock::Missing)
    }
}

/// Leaves this thread the right to read what is in the files and folders `readable`, in those of the libraries that are loaded, and
/// what the system says of itself; on GPUs that of talking to them. It can open no other file, write none that is not open already,
/// start no program, connect to no port and listen on none, and send no signals to other processes.
#[cfg(target_os = "linux")]
pub fn confine(readable: &[PathBuf]) -> Result<Landlock> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
    };
    /// The newest that it was tried with.
    const VERSION: ABI = ABI::V6;
    // Networks that draw numbers begin with one of the system's.
    let system = ["/proc", "/sys", "/dev/urandom"].map(PathBuf::from);
    let readable = readable.iter().cloned().chain(folders_of_libraries()).chain(system);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()?
        .add_rules(path_beneath_rules(readable, AccessFs::ReadFile | AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(gpus(), AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Enforced,
        RulesetStatus::PartiallyEnforced => Landlock::PartlyEnforced,
        RulesetStatus::NotEnforced => Landlock::Missing,
    })
}

/// Leaves this thread all rights: the system has no Landlock.
#[cfg(not(target_os = "linux"))]
pub fn confine(_: &[PathBuf]) -> Result<Landlock> {
    Ok(Landlock::Missing)
}

/// libtorch and CUDA load parts of theirs when they are first used.
#[cfg(target_os = "linux")]
fn folders_of_libraries() -> std::collections::BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| std::path::Path::new(&line[at..])));
    let is_library = |path: &&std::path::Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
    paths.filter(is_library).filter_map(|path| Some(path.parent()?.to_owned())).collect()
}

#[cfg(target_os = "linux")]
fn gpus() -> Vec<PathBuf> {
    let devices = std::fs::read_dir("/dev").into_iter().flatten().flatten().map(|device| device.path());
    let is_gpu = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"nvidia"));
    devices.filter(is_gpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    #[test]
    fn a_confined_thread_and_those_that_it_starts_reach_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("images")).unwrap();
        for name in ["images/a.png", "secret", "open"] {
            std::fs::write(path(name), name).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = std::fs::File::options().write(true).open(path("open")).unwrap();
        // Whether it can: read an image, write to what is open; read another file, write over, make, remove one, connect, run.
        let reached = || {
            [
                std::fs::read(path("images/a.png")).is_ok(),
                std::io::Write::write_all(&mut &open, b"more").is_ok(),
                std::fs::read(path("secret")).is_ok(),
                std::fs::write(path("images/a.png"), "").is_ok(),
                std::fs::write(path("new"), "").is_ok(),
                std::fs::remove_file(path("secret")).is_ok(),
                std::fs::rename(path("images"), path("other")).is_ok(),
                TcpStream::connect(address).is_ok(),
                TcpListener::bind("127.0.0.1:0").is_ok(),
                Command::new("true").output().is_ok(),
            ]
        };
        let (status, here, below) = std::thread::scope(|scope| {
            let confined = scope.spawn(|| {
                let status = confine(&[path("images")]).unwrap();
                (status, reached(), std::thread::scope(|scope| scope.spawn(reached).join().unwrap()))
            });
            confined.join().unwrap()
        });
        assert_eq!(status, Landlock::here());
        match status {
            Landlock::Enforced => {
                let wanted = [true, true, false, false, false, false, false, false, false, false];
                assert_eq!((here, below), (wanted, wanted));
            }
            // Without Landlock nothing else can be asked for than that it says so.
            other => eprintln!("the kernel has not all of Landlock: {other:?}"),
        }
        // The thread that did not give up its rights has them.
        assert!(std::fs::write(path("secret"), "").is_ok() && TcpStream::connect(address).is_ok());
    }
}
