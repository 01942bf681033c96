//! The folder of a run: made beside its place, and put there when it is whole.

use super::journal::{self, Done};
use super::part::Rows;
use super::record::{FILE, FILES, LayerRecord, Record, is_run, read_record};
use crate::advice::{Advice, advise};
use crate::images::Origin;
use crate::whole::{self, partial};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A run that is being made in `<folder>.partial`, or gone on with. Dropped before [`RunFolder::finish`] it stays there with
/// the rows that its journal names, and is removed if there are none, so that an error leaves nothing behind that looks like
/// a result.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    /// What was done before.
    pub done: Done,
    /// Taken when the run is finished.
    lock: Option<Lock>,
}

impl RunFolder {
    /// Fails if `folder` cannot become the folder of a run: a run is there already and may not be replaced, other
    /// files are there, or it lies among the images.
    pub fn check(folder: &Path, images: &Origin, replace: bool) -> Result<()> {
        let image_folders = if let Origin::Folders(folders) = images { &folders[..] } else { &[] };
        for images in image_folders {
            if inside(folder, images)? {
                return Err(advise(
                    format!("the run's folder `{}` would lie among the images", folder.display()),
                    "name another place with --out",
                ));
            }
        }
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
        let place = partial(folder);
        fs::create_dir_all(folder.parent().unwrap_or(folder))
            .with_context(|| format!("cannot make the folder of `{}`", folder.display()))?;
        let lock = Lock::take(folder)?;
        // Another process may have finished since the first check.
        check_vacant(folder, replace)?;
        if is_run(&place) {
            // Stopped a moment before it got its name.
            let done = match read_record(&place)?.complete {
                true => Done { rows: (0..record.images).collect(), ..Done::default() },
                false => Done::read(&place)?,
            };
            let mut differences = record.differences(&place, true)?;
            let replaced = differences.iter().all(|text| text.starts_with("contents sha256:"));
            if replaced && rows.is_some_and(|rows| only_other_images(&place, files, rows, &done)) {
                write_files(&place, files)?;
                record.write(&place)?;
                differences.clear();
            }
            if differences.is_empty() && can_go_on(record, &place) {
                return Ok(RunFolder { folder: folder.to_owned(), done, lock: Some(lock) });
            }
            if !differences.is_empty() && !replace && !done.rows.is_empty() {
                return Err(other_run(&place, &differences));
            }
        }
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot remove `{}`", place.display()))?;
        }
        let unfinished = RunFolder { folder: folder.to_owned(), done: Done::default(), lock: Some(lock) };
        fs::create_dir(&place).with_context(|| format!("cannot make the folder `{}`", place.display()))?;
        write_files(&place, files)?;
        record.write(&place)?;
        Ok(unfinished)
    }

    /// Where the files of the run are written.
    pub fn place(&self) -> PathBuf {
        partial(&self.folder)
    }

    /// Puts the whole run in its place, and removes an earlier one there.
    pub fn finish(mut self) -> Result<()> {
        let lock = self.lock.take();
        let place = self.place();
        fs::remove_file(place.join(journal::FILE)).ok();
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
        drop(lock);
        result
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let nothing_done = || Done::read(&self.place()).is_ok_and(|done| done.rows.is_empty());
        if self.lock.is_some() && nothing_done() {
            // Already on the way out with an error, which says more than one from here.
            fs::remove_dir_all(self.place()).ok();
        }
    }
}

fn write_files(place: &Path, files: &[(&str, String)]) -> Result<()> {
    for (name, text) in files {
        debug_assert!(FILES.contains(name));
        whole::write(&place.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Whether images of which the hashes differ are all such that no row was made of them yet.
fn only_other_images(place: &Path, files: &[(&str, String)], rows: &Rows, done: &Done) -> bool {
    let now = files.iter().find(|(name, _)| *name == "images.sha256").map_or("", |(_, text)| text.as_str());
    let before = fs::read_to_string(place.join("images.sha256")).unwrap_or_default();
    let pairs = || before.lines().zip(now.lines());
    let changed = || (0..).zip(pairs()).filter(|(_, (before, now))| before != now).map(|(image, _)| image);
    before.lines().count() == now.lines().count() && changed().all(|image: usize| !done.rows.contains(&rows.of_image(image)))
}

/// Whether all files that the journal speaks of are there.
fn can_go_on(record: &Record, place: &Path) -> bool {
    let is_there =
        |layer: &LayerRecord| [place.join(&layer.file), partial(&place.join(&layer.file))].iter().any(|file| file.is_file());
    record.layers.iter().all(is_there)
}

fn other_run(place: &Path, differences: &[String]) -> anyhow::Error {
    advise(
        format!("`{}` holds an unfinished run that is not the same: {}", place.display(), differences.join("; ")),
        "go on with it by its own command or by `thingsvision resume`, start anew with --force, or name another place with --out",
    )
}

/// Held by the one process that makes a run: a locked file beside its folder.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(folder: &Path) -> Result<Lock> {
        let mut path = folder.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let busy = || {
            advise(
                format!("another process is making the run `{}`", folder.display()),
                "wait for it, or name another place with --out",
            )
        };
        let file = File::create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
        }
        // The one who held it may have removed the file in between; then it is no lock for those who come later.
        let is_ours = fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() == there.ino()));
        if is_ours { Ok(Lock { path, _file: file }) } else { Err(busy()) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
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
    let rdms = run.layers.iter().flat_map(|layer| ["npy", "ids.txt"].map(|ending| format!("{}.rdm.{ending}", layer.name)));
    let features = run.layers.iter().map(|layer| layer.file.clone());
    // The record goes last: without it nobody knows what the other files are.
    for file in features.chain(rdms).chain(FILES.map(str::to_owned)).chain([FILE.to_owned()]) {
        let plain = Path::new(&file).file_name().is_some_and(|name| name == file.as_str());
        ensure!(plain, "the run in `{}` names a file outside of it: `{file}`", folder.display());
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
fn inside(folder: &Path, images: &Path) -> Result<bool> {
    let absolute = std::path::absolute(folder)?;
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(&absolute);
    Ok(existing.canonicalize()?.starts_with(images.canonicalize()?))
}
