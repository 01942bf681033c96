//! Who may work on a run: locked files beside its folder, of which those of dead processes are free.

use crate::plain_file;
use anyhow::{Context, Result};
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `File::try_lock`, or for what several may hold `File::try_lock_shared`.
pub(super) type TryLock = fn(&File) -> Result<(), TryLockError>;

/// Locks `file`, which lies at `path`; false if another process holds it.
pub(super) fn lock(file: &File, path: &Path, how: TryLock) -> Result<bool> {
    match how(file) {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
    }
}

/// Held by the one process that makes a run, or by all that make it together.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// That of the run in `folder`; none if another process has it.
    pub(super) fn take(folder: &Path, how: TryLock) -> Result<Option<Lock>> {
        Lock::take_file(folder, ".lock", how)
    }

    fn take_file(folder: &Path, ending: &str, how: TryLock) -> Result<Option<Lock>> {
        let mut path = folder.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        // NFS wants a file to be readable for a shared lock, and writable for one that is not.
        let file = plain_file::open_own(&path, File::options().read(true).write(true).create(true));
        let file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
        // The one who held it may have removed the file in between; then it is no lock for those who come later.
        let is_there = || fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() == there.ino()));
        Ok((lock(&file, &path, how)? && is_there()).then_some(Lock { path, file }))
    }

    /// Lets others hold it, too.
    pub(super) fn share(&self) -> Result<()> {
        self.file.try_lock_shared().with_context(|| format!("cannot lock `{}`", self.path.display()))
    }

    /// Whether no other process holds it; if one does, this one does no more.
    pub(super) fn is_last(&self) -> bool {
        self.file.try_lock().is_ok()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_last() {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Waits for the moment in which this process alone may begin or join the run in `folder`, or leave those that make it together.
pub(super) fn gate(folder: &Path) -> Result<Lock> {
    fs::create_dir_all(folder.parent().unwrap_or(folder))
        .with_context(|| format!("cannot make the folder of `{}`", folder.display()))?;
    loop {
        if let Some(gate) = Lock::take_file(folder, ".gate.lock", File::try_lock)? {
            return Ok(gate);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
