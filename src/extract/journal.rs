//! Which rows of an unfinished run are on the disk, so that another process can go on where one stopped.
//!
//! A text file: `rows FIRST END` for rows that are whole in the files of all layers, `damaged IMAGE`. A line is added after
//! the rows that it names were brought to the disk; one without its end was cut off and does not count.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The name of the file in the folder of an unfinished run.
pub(super) const FILE: &str = "done.txt";

/// What another process has done of a run.
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
    /// What the journal in `folder` says; nothing if there is none.
    pub fn read(folder: &Path) -> Result<Done> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(Done::default());
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let mut done = Done::default();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let number = |text: Option<&str>| text.and_then(|text| text.parse().ok());
            let mut words = line.split(' ');
            match (words.next(), number(words.next()), number(words.next())) {
                (Some("rows"), Some(first), Some(end)) => done.rows.extend(first..end),
                (Some("damaged"), Some(image), None) => drop(done.damaged.insert(image)),
                _ => {}
            }
        }
        Ok(done)
    }
}

impl Journal {
    /// Opens the journal in `folder`, or begins one.
    pub fn open(folder: &Path) -> Result<Journal> {
        let path = folder.join(FILE);
        let open = || -> std::io::Result<File> {
            let mut file = File::options().append(true).create(true).open(&path)?;
            // What was cut off must not run into the next line.
            if file.metadata()?.len() > 0 {
                file.write_all(b"\n")?;
            }
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Journal { file, path })
    }

    /// Adds that `rows` and what is known of `damaged` images are on the disk, and brings this there.
    pub(super) fn add(&mut self, rows: &[Range<usize>], damaged: &[usize]) -> Result<()> {
        let damaged = damaged.iter().map(|image| format!("damaged {image}\n"));
        let lines: String = damaged.chain(rows.iter().map(|rows| format!("rows {} {}\n", rows.start, rows.end))).collect();
        let add = || -> std::io::Result<()> {
            (&self.file).write_all(lines.as_bytes())?;
            self.file.sync_data()
        };
        add().with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Done::read(folder.path()).unwrap(), Done::default());
        Journal::open(folder.path()).unwrap().add(&[0..2, 5..6], &[1]).unwrap();
        let path = folder.path().join(FILE);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("rows 6 1");
        fs::write(&path, text).unwrap();
        Journal::open(folder.path()).unwrap().add(&[std::ops::Range { start: 8, end: 9 }], &[]).unwrap();
        let done = Done::read(folder.path()).unwrap();
        assert_eq!(done.rows, BTreeSet::from([0, 1, 5, 8]));
        assert_eq!(done.damaged, BTreeSet::from([1]));
    }
}
