//! Files that are whole when they have their name: they are written under another one and renamed.

use crate::plain_file;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a file or folder is called while it is being written.
pub fn partial(path: &Path) -> PathBuf {
    with_ending(path, ".partial")
}

/// `path` with `ending` after the ending that it has.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes `bytes` to `path`; if that fails, what was there stays.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| Ok(file.write_all(bytes)?))
}

/// Lets `fill` write the file at `path`; if that fails, what was there stays.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let write = || -> Result<()> {
        let mut file = plain_file::create(&partial(path))?;
        fill(&mut file)?;
        file.sync_data()?;
        Ok(fs::rename(partial(path), path)?)
    };
    write().with_context(|| format!("cannot write `{}`", path.display())).inspect_err(|_| {
        fs::remove_file(partial(path)).ok();
    })
}

/// The text of a file of one item a line.
pub fn lines(items: &[String]) -> String {
    items.iter().flat_map(|item| [item, "\n"]).collect()
}

/// The bytes that are free where `path` is to be written, which need not exist yet.
pub fn free_space(path: &Path) -> Result<u64> {
    let folder = path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    fs4::available_space(folder).with_context(|| format!("cannot tell the free space of `{}`", folder.display()))
}

/// Whether both paths lead to one existing file.
pub fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}
