//! Where published weights and transforms are kept on this machine: found, fetched, checked by their hash.

use super::check_hash;
use super::download::{Patience, Progress, download};
use super::published::Published;
use crate::atomic_file::{self, partial, with_ending};
use crate::error::{Advice, advise};
use crate::hash::{sha256, sha256_of_file};
use crate::plain_file;
use crate::registry::Choice;
use anyhow::{Context, Result};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The environment variable for the folder of the cache.
pub const CACHE: &str = "THINGSVISION_CACHE";
/// If set to anything but nothing, `0`, `false` and `no`, as `--offline`.
pub const OFFLINE: &str = "THINGSVISION_OFFLINE";
/// The address of a mirror: file names are appended to it instead of asking the publisher, and whole paths where no hash is published.
pub const MIRROR: &str = "THINGSVISION_MIRROR";

/// The weights on this machine.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    offline: bool,
    mirror: Option<String>,
    patience: Patience,
}

/// A weights file on this machine whose hash was right.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// Of its content.
    pub sha256: String,
}

impl Store {
    /// The store in `cache`, else in the folder that the environment names, else in the platform's cache folder.
    pub fn open(cache: Option<&Path>, offline: bool) -> Result<Store> {
        let set = env::var_os(CACHE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let named = cache.map(Path::to_owned).or(set);
        let folder = match named {
            Some(folder) => folder,
            None => dirs::cache_dir().context("no home folder: name a cache folder with --cache")?.join("thingsvision"),
        };
        let is_no = |value: &OsString| ["", "0", "false", "no"].iter().any(|no| value.eq_ignore_ascii_case(no));
        let is_set = |name| env::var_os(name).is_some_and(|value| !is_no(&value));
        let mirror = env::var(MIRROR).ok().filter(|mirror| !mirror.is_empty());
        Ok(Store { folder: folder.join("weights"), offline: offline || is_set(OFFLINE), mirror, patience: Patience::default() })
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same store with another patience, for tests.
    pub fn with_patience(self, patience: Patience) -> Store {
        Store { patience, ..self }
    }

    /// Where a file is kept, whether it is there or not: in a folder called after its published hash.
    pub fn place(&self, file: impl Into<Published>) -> Result<PathBuf> {
        self.place_of(&file.into())
    }

    fn place_of(&self, file: &Published) -> Result<PathBuf> {
        let url = url(file)?;
        let key = match &file.content.sha256 {
            Some(sha256) => sha256.clone(),
            None => format!("url-{}", sha256(url))[..20].to_owned(),
        };
        Ok(self.folder.join(key).join(file_name(url)))
    }

    /// The SHA-256 of a file as it was first fetched, which is all that is known where none is published.
    pub fn recorded(&self, file: impl Into<Published>) -> Option<String> {
        recorded(&self.place(file).ok()?)
    }

    /// A file if it is on this machine and whole: the user's that the registry names, or in this store, or where
    /// torch.hub or CLIP keep theirs.
    pub fn find(&self, file: impl Into<Published>) -> Result<Option<Found>> {
        self.find_file(&file.into())
    }

    fn find_file(&self, file: &Published) -> Result<Option<Found>> {
        if let Some(path) = &file.file {
            return path.exists().then(|| own(file, path)).transpose();
        }
        let place = self.place_of(file)?;
        if place.exists() {
            return self.check(file, &place).map(Some);
        }
        let name = file_name(url(file)?);
        for path in foreign_folders().map(|folder| folder.join(name)) {
            if file.is_unique
                && path.is_file()
                && let (sha256, true) = file.content.check(&path)?
            {
                return Ok(Some(Found { path, sha256 }));
            }
        }
        Ok(None)
    }

    /// The file of `choice` if it is on this machine: the one that the registry names, or that found by [`find`](Self::find).
    pub fn path(&self, choice: &Choice) -> Result<Option<PathBuf>> {
        match choice.file() {
            Some(path) => Ok(Some(path.to_owned())),
            None => Ok(self.find(choice)?.map(|found| found.path)),
        }
    }

    /// A file, downloaded if it is not on this machine.
    pub fn fetch(&self, file: impl Into<Published>, progress: &mut Progress) -> Result<Found> {
        let file = &file.into();
        if let Some(found) = self.find_file(file)? {
            return Ok(found);
        }
        if let Some(path) = &file.file {
            let problem =
                format!("the weights of {} are not where the registry says: there is no `{}`", file.owner, path.display());
            return Err(advise(problem, "put the file there, or correct the registry"));
        }
        let url = url(file)?;
        if self.offline {
            let problem = format!("the weights of {} are not on this machine, and --offline or {OFFLINE} is set", file.owner);
            return Err(advise(problem, &file.by_hand));
        }
        let place = self.place_of(file)?;
        let _alone = lock(&place)?;
        if place.exists() {
            // Another process fetched it meanwhile.
            return self.check(file, &place);
        }
        let source = match &self.mirror {
            Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), name_on_mirror(file, url)),
            None => url.to_owned(),
        };
        download(&source, &partial(&place), self.patience, progress).map_err(|error| {
            error.context(Advice {
                problem: format!("the weights of {} could not be fetched", file.owner),
                hint: file.by_hand.clone(),
            })
        })?;
        self.put(file, &place, &source)
    }

    /// Takes `file` as that of `choice`, if its hash is right.
    pub fn import(&self, choice: &Choice, file: &Path) -> Result<Found> {
        let published = &choice.into();
        let place = self.place_of(published)?;
        let _alone = lock(&place)?;
        fs::copy(file, partial(&place)).with_context(|| format!("cannot copy `{}`", file.display()))?;
        self.put(published, &place, &file.display().to_string())
    }

    /// Gives a whole download its name; removes one with a wrong hash.
    fn put(&self, file: &Published, place: &Path, source: &str) -> Result<Found> {
        let arrived = partial(place);
        let (sha256, is_it) = looked_at(file, place, &arrived)?;
        if !is_it {
            fs::remove_file(&arrived).ok();
            return Err(unexpected(file, source, &sha256));
        }
        plain_file::open(&arrived)?.sync_all()?;
        atomic_file::write(&record(place), format!("{sha256}\n").as_bytes())?;
        fs::rename(&arrived, place).with_context(|| format!("cannot write `{}`", place.display()))?;
        Ok(Found { path: place.to_owned(), sha256 })
    }

    fn check(&self, file: &Published, place: &Path) -> Result<Found> {
        match looked_at(file, place, place)? {
            (sha256, true) => Ok(Found { path: place.to_owned(), sha256 }),
            (sha256, false) => {
                Err(advise(format!("`{}` was changed or damaged: its SHA-256 is {sha256}", place.display()), &file.again))
            }
        }
    }
}

/// A file of the user's, with the hash that the registry expects.
fn own(file: &Published, path: &Path) -> Result<Found> {
    let sha256 = sha256_of_file(path)?;
    check_hash(path, &sha256, file.content.sha256.as_deref())?;
    Ok(Found { path: path.to_owned(), sha256 })
}

fn url(file: &Published) -> Result<&str> {
    file.url.as_deref().with_context(|| format!("no address of the weights of {} is known", file.owner))
}

pub(super) fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').find(|part| !part.is_empty() && !part.starts_with('.')).unwrap_or("weights")
}

/// What a mirror calls the file at `url`: by its name, or, if that would not tell it from others, by its whole path.
fn name_on_mirror<'a>(file: &Published, url: &'a str) -> &'a str {
    let path = url.split_once("://").and_then(|(_, rest)| Some(rest.split_once('/')?.1));
    path.filter(|_| !file.is_unique).unwrap_or_else(|| file_name(url))
}

/// Where torch.hub and CLIP's own package keep what they download.
fn foreign_folders() -> impl Iterator<Item = PathBuf> {
    let home = env::home_dir().unwrap_or_default();
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let torch = env::var_os("TORCH_HOME").map_or_else(|| cache.join("torch"), PathBuf::from);
    [torch.join("hub/checkpoints"), home.join(".cache/clip")].into_iter()
}

/// Beside a file, its full hash as recorded when it was fetched: all that is known where nothing is published.
fn record(place: &Path) -> PathBuf {
    with_ending(place, ".sha256")
}

fn recorded(place: &Path) -> Option<String> {
    plain_file::read_to_string(&record(place)).ok().map(|hash| hash.trim().to_owned())
}

/// The SHA-256 of what lies at `path`, and whether it is that of `file`, of which more may be recorded beside its `place`.
fn looked_at(file: &Published, place: &Path, path: &Path) -> Result<(String, bool)> {
    let (sha256, is_it) = file.content.check(path)?;
    let is_recorded = recorded(place).is_none_or(|recorded| sha256.starts_with(&recorded));
    Ok((sha256, is_it && is_recorded))
}

fn unexpected(file: &Published, source: &str, found: &str) -> anyhow::Error {
    advise(
        format!("{source} is not the file of {}: its SHA-256 is {found}, {}", file.owner, file.content.expected()),
        "nothing was kept; try again, and if it stays so, the file at that address is another one",
    )
}

/// Held while one process fetches a file; the others wait, and then find it.
fn lock(place: &Path) -> Result<File> {
    let folder = place.parent().unwrap_or(Path::new("."));
    let lock = || -> std::io::Result<File> {
        fs::create_dir_all(folder)?;
        let file = File::create(folder.join("lock"))?;
        file.lock()?;
        Ok(file)
    };
    lock().with_context(|| format!("cannot write to `{}`", folder.display()))
}
