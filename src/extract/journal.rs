//! Which rows of an unfinished run are on the disk, so that another process can go on where one stopped.
//!
//! A text file: `rows FIRST END` for rows that are whole in the files of all layers, `damaged IMAGE`. A line is added after
//! the rows that it names were brought to the disk; one without its end was cut off and does not count. Of several processes
//! that make a run together each has one of its own. A [`Keeper`] brings rows to the disk now and then, and only then notes them.

use super::lock::lock;
use super::sink::Sink;
use crate::error::advise;
use crate::plain_file;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The file in the folder of an unfinished run, if one process makes it.
const FILE: &str = "done.txt";

/// What other processes have done of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows that are whole in all files.
    pub rows: BTreeSet<usize>,
    /// Images that were damaged.
    pub damaged: BTreeSet<usize>,
}

/// The journal, open at its end.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Done {
    /// What the journals in `folder`, of a run of `rows` rows, say; nothing if there is none.
    pub fn read(folder: &Path, rows: usize) -> Result<Done> {
        let mut done = Done::default();
        for path in journals(folder)? {
            done.add(&plain_file::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?, rows);
        }
        Ok(done)
    }

    /// Whether all `rows` are done.
    pub(super) fn has(&self, mut rows: Range<usize>) -> bool {
        rows.all(|row| self.rows.contains(&row))
    }

    fn add(&mut self, text: &str, all: usize) {
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let number = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok());
            let mut words = line.split(' ');
            match (words.next(), number(words.next()), number(words.next())) {
                (Some("rows"), Some(first), Some(end)) => self.rows.extend(first..end.min(all)),
                (Some("damaged"), Some(image), None) => drop(self.damaged.insert(image)),
                _ => {}
            }
        }
    }
}

/// The journals in `folder`: `done.txt`, `done.1.txt`, `done.2.txt`, ….
fn journals(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect() };
    let mut files = list().with_context(|| format!("cannot read `{}`", folder.display()))?;
    let is_journal = |name: &str| name.starts_with("done.") && name.ends_with(".txt");
    files.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_journal));
    Ok(files)
}

/// Whether the journals in `folder` name no row.
pub(super) fn is_empty(folder: &Path) -> Result<bool> {
    let texts =
        journals(folder)?.into_iter().map(|path| plain_file::read_to_string(&path)).collect::<std::io::Result<Vec<_>>>()?;
    Ok(!texts.iter().flat_map(|text| text.lines()).any(|line| line.starts_with("rows ")))
}

/// Removes the journals in `folder`, whose rows are all done.
pub(super) fn remove(folder: &Path) {
    journals(folder).into_iter().flatten().for_each(|path| drop(fs::remove_file(path)));
}

impl Journal {
    /// Opens the journal in `folder`, or begins one.
    pub fn open(folder: &Path) -> Result<Journal> {
        let path = folder.join(FILE);
        let open = || begin(file(&path)?);
        let file = open().with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Journal { file, path })
    }

    /// Opens a journal in `folder` that none of the processes has that make the run together, or begins one.
    pub fn of_one_of_several(folder: &Path) -> Result<Journal> {
        let mut number = 0;
        loop {
            number += 1;
            let path = folder.join(format!("done.{number}.txt"));
            let failed = || format!("cannot write `{}`", path.display());
            let file = file(&path).with_context(failed)?;
            if lock(&file, &path, File::try_lock)? {
                return Ok(Journal { file: begin(file).with_context(failed)?, path });
            }
        }
    }

    /// Adds that `rows` and what is known of `damaged` images are on the disk, and brings this there.
    pub(super) fn add(&mut self, rows: &[Range<usize>], damaged: &[usize]) -> Result<()> {
        if !self.path.exists() {
            let folder = self.path.parent().unwrap_or(&self.path).display();
            return Err(advise(format!("`{folder}` was removed during the run"), "the same command begins the run anew"));
        }
        let damaged = damaged.iter().map(|image| format!("damaged {image}\n"));
        let lines: String = damaged.chain(rows.iter().map(|rows| format!("rows {} {}\n", rows.start, rows.end))).collect();
        let add = || -> std::io::Result<()> {
            (&self.file).write_all(lines.as_bytes())?;
            self.file.sync_data()
        };
        add().with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}

fn file(path: &Path) -> std::io::Result<File> {
    plain_file::open_own(path, File::options().append(true).create(true))
}

/// What was cut off must not run into the next line.
fn begin(mut file: File) -> std::io::Result<File> {
    if file.metadata()?.len() > 0 {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// So often rows are brought to the disk: a machine that fails loses no more work than this.
const EVERY: Duration = Duration::from_secs(5);

/// What the workers have done, shared by them.
pub(super) struct Keeper<'a> {
    /// Those of all runs.
    sinks: Vec<&'a Sink<'a>>,
    /// One of each run. Who holds them brings rows to the disk; the others go on meanwhile.
    journals: Mutex<Vec<Journal>>,
    state: Mutex<State>,
}

struct State {
    /// Rows that were written, but are not known to be on the disk.
    rows: Vec<Range<usize>>,
    damaged: Vec<usize>,
    batches: usize,
    last: Instant,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(sinks: Vec<&'a Sink<'a>>, journals: Vec<Journal>) -> Self {
        let state = State { rows: Vec::new(), damaged: Vec::new(), batches: 0, last: Instant::now() };
        Self { sinks, journals: Mutex::new(journals), state: Mutex::new(state) }
    }

    /// Takes the rows that a batch has made whole, which were written in all runs.
    pub(super) fn add(&self, rows: Vec<Range<usize>>, damaged: Vec<usize>) -> Result<()> {
        let is_time = {
            let mut state = self.state();
            state.rows.extend(rows);
            state.damaged.extend(damaged);
            state.batches += 1;
            state.last.elapsed() > EVERY
        };
        match self.journals.try_lock() {
            Ok(journals) if is_time => self.keep_in(journals),
            _ => Ok(()),
        }
    }

    /// Brings all that was added to the disk, and notes it.
    pub(super) fn keep(&self) -> Result<()> {
        self.keep_in(self.journals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many batches were added.
    pub(super) fn batches(&self) -> usize {
        self.state().batches
    }

    fn keep_in(&self, mut journals: MutexGuard<Vec<Journal>>) -> Result<()> {
        let (rows, damaged) = {
            let mut state = self.state();
            state.last = Instant::now();
            (std::mem::take(&mut state.rows), std::mem::take(&mut state.damaged))
        };
        if rows.is_empty() && damaged.is_empty() {
            return Ok(());
        }
        self.sinks.iter().try_for_each(|sink| sink.sync())?;
        journals.iter_mut().try_for_each(|journal| journal.add(&rows, &damaged))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Done::read(folder.path(), 100).unwrap(), Done::default());
        Journal::open(folder.path()).unwrap().add(&[0..2, 5..6], &[1]).unwrap();
        let path = folder.path().join(FILE);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("rows 6 1");
        fs::write(&path, text).unwrap();
        Journal::open(folder.path()).unwrap().add(&[std::ops::Range { start: 8, end: 9 }], &[]).unwrap();
        let done = Done::read(folder.path(), 100).unwrap();
        assert_eq!(done.rows, BTreeSet::from([0, 1, 5, 8]));
        assert_eq!(done.damaged, BTreeSet::from([1]));
        // Of several processes each has its own; one that is left is taken up again.
        let open = || Journal::of_one_of_several(folder.path()).unwrap();
        let (mut first, second) = (open(), open());
        first.add(&[std::ops::Range { start: 6, end: 7 }], &[]).unwrap();
        assert_eq!(Done::read(folder.path(), 100).unwrap().rows, BTreeSet::from([0, 1, 5, 6, 8]));
        drop(second);
        assert_eq!(open().path, folder.path().join("done.2.txt"));
        remove(folder.path());
        assert!(first.add(&[], &[]).unwrap_err().to_string().contains("was removed during the run"));
    }
}
