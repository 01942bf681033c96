//! Who may work on a run: locked files beside its folder; and who makes which part of it: locked files in the folder of the
//! unfinished run. What a process has locked that ends, in whatever way, is free, and another takes it over.

use super::journal::Done;
use super::part::Rows;
use anyhow::{Context, Result};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::ops::Range;
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
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
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

/// Rows that no other process makes before this is dropped.
#[derive(Debug)]
pub struct Claim {
    /// The rows.
    pub rows: Range<usize>,
    _locks: Vec<File>,
}

impl Claim {
    /// Claims rows of the run in `place` that are neither done nor claimed: the first of them, and those that follow up to
    /// about as many as `batches` give. None if all are done or claimed. Another process may have made them since `done` was
    /// read.
    pub fn take(place: &Path, rows: &Rows, done: &Done, batches: usize) -> Result<Option<Claim>> {
        let size = rows.rows_of_claim();
        let of_part = |part: usize| size * part..rows.count().min(size * (part + 1));
        let open: Vec<usize> = (0..rows.count().div_ceil(size)).filter(|&part| !done.has(of_part(part))).collect();
        // Near the end less, so that there is something for everyone.
        let most = batches.div_ceil(rows.batches_of_claim()).min(open.len().div_ceil(4));
        let mut claimed = 0..0;
        let mut locks = Vec::new();
        for part in open {
            if locks.len() == most || !locks.is_empty() && part != claimed.end {
                break;
            }
            if let Some(lock) = claim(place, &part.to_string())? {
                claimed = if locks.is_empty() { part..part + 1 } else { claimed.start..part + 1 };
                locks.push(lock);
            }
        }
        let rows = size * claimed.start..rows.count().min(size * claimed.end);
        Ok((!locks.is_empty()).then_some(Claim { rows, _locks: locks }))
    }
}

/// Makes room for claims on the run in `place`.
pub(super) fn prepare_claims(place: &Path) -> Result<()> {
    match fs::create_dir(claims(place)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make the folder `{}`", claims(place).display()))
        }
        _ => Ok(()),
    }
}

/// Claims the end of the run in `place`, when all rows are done; none if another process has it.
pub(super) fn claim_end(place: &Path) -> Result<Option<File>> {
    claim(place, "end")
}

/// Removes all claims.
pub(super) fn remove_claims(place: &Path) {
    fs::remove_dir_all(claims(place)).ok();
}

fn claims(place: &Path) -> PathBuf {
    place.join("claims")
}

fn claim(place: &Path, name: &str) -> Result<Option<File>> {
    let path = claims(place).join(name);
    let file = File::create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(lock(&file, &path, File::try_lock)?.then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_claimed_once_and_taken_over_when_its_claim_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let rows = Rows { images: 1000, batch_size: 2, conditions: None };
        let mut done = Done { rows: (64..1000).collect(), ..Done::default() };
        prepare_claims(place).unwrap();
        prepare_claims(place).unwrap();
        let take = |done: &Done, batches| Claim::take(place, &rows, done, batches).unwrap();
        // Parts of 16 batches, two of which are left.
        let first = take(&done, 64).unwrap();
        let second = take(&done, 64).unwrap();
        assert_eq!((&first.rows, &second.rows), (&(0..32), &(32..64)));
        assert!(take(&done, 64).is_none());
        drop(first);
        assert_eq!(take(&done, 64).unwrap().rows, 0..32);
        drop(second);
        done.rows = (32..40).collect();
        assert_eq!(take(&done, 32).unwrap().rows, 0..64);
        done.rows = (32..64).collect();
        assert_eq!(take(&done, 32).unwrap().rows, 0..32);
        let _end = claim_end(place).unwrap().unwrap();
        assert!(claim_end(place).unwrap().is_none());
        remove_claims(place);
        assert!(claim_end(place).is_err());
    }
}
