//! Parts of a run that processes which make it together claim, so that each is made by one.
//!
//! A claim is a lock on a file in the folder of the unfinished run. That of a process which ends, in whatever way, is gone, and
//! another takes the part over.

use super::journal::Done;
use super::lock;
use super::part::Rows;
use crate::plain_file;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

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
pub(super) fn prepare(place: &Path) -> Result<()> {
    match fs::create_dir(folder(place)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make the folder `{}`", folder(place).display()))
        }
        _ => Ok(()),
    }
}

/// Claims the end of the run in `place`, when all rows are done; none if another process has it.
pub(super) fn end(place: &Path) -> Result<Option<File>> {
    claim(place, "end")
}

/// Removes all claims.
pub(super) fn remove(place: &Path) {
    fs::remove_dir_all(folder(place)).ok();
}

fn folder(place: &Path) -> PathBuf {
    place.join("claims")
}

fn claim(place: &Path, name: &str) -> Result<Option<File>> {
    let path = folder(place).join(name);
    let file = plain_file::open_own(&path, File::options().write(true).create(true))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(lock::lock(&file, &path, File::try_lock)?.then_some(file))
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
        prepare(place).unwrap();
        prepare(place).unwrap();
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
        let _end = end(place).unwrap().unwrap();
        assert!(end(place).unwrap().is_none());
        remove(place);
        assert!(end(place).is_err());
    }
}
