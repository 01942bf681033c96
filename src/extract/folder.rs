//! The folder of a run: made beside its place, and put there when it is whole.

use super::claim;
use super::difference::{Difference, in_words, in_words_with_images};
use super::files;
use super::journal::{self, Done};
use super::lock::{Lock, gate};
use super::part::Rows;
use super::record::Record;
use crate::atomic_file::{self, partial};
use crate::error::{Advice, advise};
use crate::images::Origin;
use crate::plain_file;
use crate::run::{FILE, FILES, LayerRecord, is_run, rdm_file, rdm_ids_file, read_record, row_count};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A run that is being made in `<folder>.partial`, or gone on with. Dropped before [`RunFolder::finish`] it stays there with
/// the rows that its journals name, and is removed if there are none and no other process makes it, so that an error leaves
/// nothing behind that looks like a result.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    /// What was done before.
    pub done: Done,
    /// Taken when the run is finished.
    lock: Option<Lock>,
    /// Whether other processes may make it too.
    joined: bool,
    /// The claim of the one of them that finishes it.
    end: Option<File>,
}

impl RunFolder {
    /// Fails if `folder` lies among the images.
    pub fn check_place(folder: &Path, images: &Origin) -> Result<()> {
        let image_folders = if let Origin::Folders(folders) = images { &folders[..] } else { &[] };
        for images in image_folders {
            if inside(folder, images)? {
                return Err(advise(
                    format!("the run's folder `{}` would lie among the images", folder.display()),
                    "name another place with --out",
                ));
            }
        }
        Ok(())
    }

    /// Fails if `folder` cannot become the folder of a run: a run is there already and may not be replaced, other
    /// files are there, or it lies among the images.
    pub fn check(folder: &Path, images: &Origin, replace: bool) -> Result<()> {
        RunFolder::check_place(folder, images)?;
        if let Some(file) = folder.ancestors().find(|folder| folder.is_file()) {
            return Err(advise(format!("`{}` is a file, not a folder", file.display()), "name another place with --out"));
        }
        check_vacant(folder, replace)
    }

    /// Makes the folder in which the run is written, with the record and `files` by name, which are among [`FILES`]; or opens
    /// what a process that was stopped left of the very same run. Of another one it is an error that spells out the
    /// differences, unless it may be replaced. A run that another process is making is left alone.
    ///
    /// An image may be another one than before if no row that is done was made of it: who replaces a damaged image loses
    /// nothing.
    pub fn begin(
        folder: &Path,
        replace: bool,
        record: &Record,
        files: &[(&str, String)],
        rows: Option<&Rows>,
    ) -> Result<RunFolder> {
        let _gate = gate(folder)?;
        let Some(lock) = Lock::take(folder, File::try_lock)? else {
            return Err(advise(
                format!("another process is making the run `{}`", folder.display()),
                "wait for it, start all of them with --join to share the work, or name another place with --out",
            ));
        };
        // Another process may have finished since the first check.
        check_vacant(folder, replace)?;
        Self::begin_locked(folder, replace, record, files, rows, lock)
    }

    /// Begins a run as [`RunFolder::begin`] does, with the files of its layers, so that others may join; or joins those that
    /// are making it. None if they have finished it. A run that a process makes alone is left alone.
    pub fn join(folder: &Path, record: &Record, files: &[(&str, String)], rows: &Rows) -> Result<Option<RunFolder>> {
        let _gate = gate(folder)?;
        if is_run(folder) && record.differences(folder, false)?.is_empty() {
            return Ok(None);
        }
        check_vacant(folder, false)?;
        let mut run = if let Some(lock) = Lock::take(folder, File::try_lock)? {
            let run = Self::begin_locked(folder, false, record, files, Some(rows), lock)?;
            run.prepare_for_others(record)?;
            run
        } else if let Some(lock) = Lock::take(folder, File::try_lock_shared)? {
            Self::with_others(folder, record, lock)?
        } else {
            return Err(advise(
                format!("a process that was started without --join is making the run `{}`", folder.display()),
                "wait for it, or stop it: started again with --join, it goes on and shares the work",
            ));
        };
        run.joined = true;
        Ok(Some(run))
    }

    /// Makes what processes that join expect to be there, and lets them in.
    fn prepare_for_others(&self, record: &Record) -> Result<()> {
        let place = self.place();
        if self.done.rows.is_empty() {
            let layers: Vec<&LayerRecord> = record.layers.iter().collect();
            files::open(&place, record, &layers, record.images, false)?;
        }
        claim::prepare(&place)?;
        self.lock.as_ref().map_or(Ok(()), Lock::share)
    }

    /// The run that others are making, if it is the very same.
    fn with_others(folder: &Path, record: &Record, lock: Lock) -> Result<RunFolder> {
        let place = partial(folder);
        let differences = record.differences(&place, true)?;
        if differences.is_empty() {
            Ok(RunFolder::new(folder, done(&place)?, lock))
        } else {
            Err(other_run(&place, &in_words(&differences)))
        }
    }

    fn new(folder: &Path, done: Done, lock: Lock) -> RunFolder {
        RunFolder { folder: folder.to_owned(), done, lock: Some(lock), joined: false, end: None }
    }

    fn begin_locked(
        folder: &Path,
        replace: bool,
        record: &Record,
        files: &[(&str, String)],
        rows: Option<&Rows>,
        lock: Lock,
    ) -> Result<RunFolder> {
        let place = partial(folder);
        if is_run(&place) {
            let done = done(&place)?;
            let mut differences = record.differences(&place, true)?;
            let replaced = differences.iter().all(|difference| matches!(difference, Difference::Contents(_)));
            if replaced && rows.is_some_and(|rows| only_other_images(&place, files, rows, &done)) {
                write_files(&place, files)?;
                record.write(&place)?;
                differences.clear();
            }
            if differences.is_empty() && can_go_on(record, &place, rows.is_some().then_some(&done))? {
                // Whatever became of them meanwhile.
                write_files(&place, files)?;
                return Ok(RunFolder::new(folder, done, lock));
            }
            if !differences.is_empty() && !replace && !done.rows.is_empty() {
                let checksums = files.iter().find(|(name, _)| *name == FILES[1]).map_or("", |(_, text)| text);
                return Err(other_run(&place, &in_words_with_images(&differences, &place, checksums)));
            }
        }
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot remove `{}`", place.display()))?;
        }
        let unfinished = RunFolder::new(folder, Done::default(), lock);
        fs::create_dir(&place).with_context(|| format!("cannot make the folder `{}`", place.display()))?;
        write_files(&place, files)?;
        record.write(&place)?;
        Ok(unfinished)
    }

    /// Where the files of the run are written.
    pub fn place(&self) -> PathBuf {
        partial(&self.folder)
    }

    /// What is done by now, by all processes that make the run together.
    pub fn done_by_now(&self) -> Result<Done> {
        done(&self.place())
    }

    /// Whether another of the processes that make the run together has finished it.
    pub fn is_finished(&self) -> bool {
        !self.place().exists() && is_run(&self.folder)
    }

    /// Whether this process is the one of several that is to finish the run, of which all rows are done.
    pub fn claim_end(&mut self) -> Result<bool> {
        self.end = claim::end(&self.place())?;
        Ok(self.end.is_some())
    }

    /// Puts the whole run in its place, and removes an earlier one there.
    pub fn finish(mut self) -> Result<()> {
        let lock = self.lock.take();
        let place = self.place();
        let gate = self.joined.then(|| gate(&self.folder)).transpose()?;
        journal::remove(&place);
        claim::remove(&place);
        let put = || -> Result<()> {
            if is_run(&self.folder) {
                remove(&self.folder)?;
            }
            if !self.folder.exists() {
                return Ok(fs::rename(&place, &self.folder)?);
            }
            // Something of the user's is there beside the earlier run.
            for file in fs::read_dir(&place)? {
                let file = file?;
                fs::rename(file.path(), self.folder.join(file.file_name()))?;
            }
            Ok(fs::remove_dir(&place)?)
        };
        let result = put().map_err(|error| {
            error.context(Advice {
                problem: format!("the run is whole, but cannot be moved to `{}`", self.folder.display()),
                hint: format!("it is kept in `{}`; move it yourself", place.display()),
            })
        });
        if self.end.take().is_some() {
            // NFS keeps a removed file, such as the one just closed, while it is open.
            claim::remove(&self.folder);
        }
        drop(lock);
        drop(gate);
        result
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        // Already on the way out with an error, which says more than one from here.
        let gate = self.joined.then(|| gate(&self.folder).ok());
        if lock.is_last() && journal::is_empty(&self.place()).unwrap_or(false) {
            fs::remove_dir_all(self.place()).ok();
        }
        drop(lock);
        drop(gate);
    }
}

/// What is done of the run in `place`: all, if it was stopped a moment before it got its name.
fn done(place: &Path) -> Result<Done> {
    match read_record(place)?.complete {
        true => Ok(Done { rows: (0..row_count(place)?).collect(), ..Done::default() }),
        false => Done::read(place, row_count(place)?),
    }
}

fn write_files(place: &Path, files: &[(&str, String)]) -> Result<()> {
    for (name, text) in files {
        debug_assert!(FILES.contains(name));
        atomic_file::write(&place.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Whether images of which the hashes differ are all such that no row was made of them yet.
fn only_other_images(place: &Path, files: &[(&str, String)], rows: &Rows, done: &Done) -> bool {
    let now = files.iter().find(|(name, _)| *name == "images.sha256").map_or("", |(_, text)| text.as_str());
    let before = plain_file::read_to_string(&place.join("images.sha256")).unwrap_or_default();
    let pairs = || before.lines().zip(now.lines());
    let changed = || (0..).zip(pairs()).filter(|(_, (before, now))| before != now).map(|(image, _)| image);
    before.lines().count() == now.lines().count() && changed().all(|image: usize| !done.rows.contains(&rows.of_image(image)))
}

/// Whether all files that the journal speaks of are there, and where rows are still to come nothing is that was made of all of them.
fn can_go_on(record: &Record, place: &Path, done: Option<&Done>) -> Result<bool> {
    let all = record.rows_here()?;
    let lacks_rows = done.is_some_and(|done| done.rows.len() < all);
    if lacks_rows && record.layers.iter().any(|layer| record.is_beyond_rows(layer, place)) {
        return Ok(false);
    }
    let is_there = |layer: &LayerRecord| {
        let written = place.join(&*record.written(layer).file);
        record.is_beyond_rows(layer, place) || [partial(&written), written].iter().any(|file| file.is_file())
    };
    Ok(record.layers.iter().all(is_there))
}

fn other_run(place: &Path, differences: &str) -> anyhow::Error {
    advise(
        format!("`{}` holds an unfinished run that is not the same: {differences}", place.display()),
        "go on with it by its own command or by `thingsvision resume`, start anew with --force, or name another place with --out",
    )
}

/// Fails if a run is in `folder` and may not be replaced, or anything else.
fn check_vacant(folder: &Path, replace: bool) -> Result<()> {
    if is_run(folder) && !replace {
        return Err(advise(
            format!("there is already a run in `{}`", folder.display()),
            "replace it with --force, or keep it and name another place with --out",
        ));
    }
    let other_files = || fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if !is_run(folder) && other_files() {
        return Err(advise(
            format!("`{}` holds other files and no run", folder.display()),
            "name another place with --out; --force replaces runs only",
        ));
    }
    Ok(())
}

/// Removes the files of the run in `folder`, and the folder if nothing else is in it.
fn remove(folder: &Path) -> Result<()> {
    let run = read_record(folder)?;
    let rdms = run.layers.iter().flat_map(|layer| [rdm_file(&layer.name), rdm_ids_file(&layer.name)]);
    let features = run.layers.iter().flat_map(LayerRecord::files).cloned();
    // The record goes last: without it nobody knows what the other files are.
    for file in features.chain(rdms).chain(FILES.map(str::to_owned)).chain([FILE.to_owned()]) {
        match fs::remove_file(folder.join(&file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove `{file}` from `{}`", folder.display()));
            }
            _ => {}
        }
    }
    fs::remove_dir(folder).ok();
    Ok(())
}

/// Whether `folder`, which need not exist yet, lies in `images`.
pub(super) fn inside(folder: &Path, images: &Path) -> Result<bool> {
    let absolute = std::path::absolute(folder)?;
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(&absolute);
    Ok(existing.canonicalize()?.starts_with(images.canonicalize()?))
}
