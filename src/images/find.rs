//! Where images are looked for: in folders.

use super::formats::FORMATS;
use crate::error::advise;
use crate::names::by_parts;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// An image file: the ID of its row, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path relative to its folder, `/` between folders; or the path as a list has it.
    pub id: String,
    pub path: PathBuf,
    /// What the column of a list says of it that images are averaged by; nothing if there is none.
    pub condition: String,
}

#[derive(Debug, Default)]
pub struct Found {
    pub places: Vec<Place>,
    /// What cannot be an image, by the ID that it would have, and why.
    pub faults: Vec<(String, anyhow::Error)>,
    pub hidden: usize,
    /// What is to be said of a list.
    pub notes: Vec<String>,
    /// The name of the column of a list that images are averaged by, and what it says of all of them.
    pub column: Option<(String, Vec<String>)>,
}

/// All files under `folders`, ordered by the parts of their IDs: paths in the folder, after its name if there are several folders.
pub fn in_folders(folders: &[PathBuf]) -> Result<Found> {
    let mut found = Found::default();
    let names = prefixes(folders)?;
    for (folder, prefix) in folders.iter().zip(&names) {
        walk(folder, prefix, &mut found);
    }
    if found.places.is_empty() && found.faults.is_empty() {
        let named: Vec<_> = folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        return Err(advise(
            format!("there are no images in {}", named.join(", ")),
            format!("give the folder that holds the {FORMATS} files; its sub-folders are searched too"),
        ));
    }
    found.places.sort_by(|a, b| by_parts(&a.id, &b.id));
    found.faults.sort_by(|(a, _), (b, _)| by_parts(a, b));
    Ok(found)
}

/// The image at `path`, called as its file.
pub fn one_file(path: &Path) -> Result<Found> {
    let name = id(Path::new(path.file_name().unwrap_or_default()))?;
    Ok(Found { places: vec![Place { id: name, path: path.to_owned(), condition: String::new() }], ..Found::default() })
}

/// What IDs begin with: nothing for one folder, for several the name of each, which must differ.
fn prefixes(folders: &[PathBuf]) -> Result<Vec<String>> {
    let mut seen: Vec<(PathBuf, &PathBuf)> = Vec::new();
    let mut names = Vec::new();
    for folder in folders {
        if !folder.is_dir() {
            let problem = if folder.exists() { "is not a folder" } else { "does not exist" };
            let kinds =
                format!("`--images` takes folders of {FORMATS} files, one such file, or one stack of images (.npy, .hdf5)");
            let is_of_several = folders.len() > 1 && folder.is_file();
            let hint = match folder.to_string_lossy().contains(['*', '?', '[']) || is_of_several {
                true => format!(
                    "{kinds}; several files are named in a list: ls {} > list.txt, and --image-list list.txt",
                    several(folder)
                ),
                false => kinds,
            };
            return Err(advise(format!("`{}` {problem}", folder.display()), hint));
        }
        let whole = folder.canonicalize().with_context(|| format!("cannot read `{}`", folder.display()))?;
        for (other_whole, other) in &seen {
            let (a, b) = (other.display(), folder.display());
            if whole.starts_with(other_whole) || other_whole.starts_with(&whole) {
                return Err(advise(
                    format!("of the folders `{a}` and `{b}` one lies in the other"),
                    "its images would be taken twice: name one of them",
                ));
            }
            if whole.file_name() == other_whole.file_name() {
                return Err(advise(
                    format!("the folders `{a}` and `{b}` have the same name"),
                    "images of several folders are told apart by the names of the folders: rename one, or write an --image-list",
                ));
            }
        }
        names.push(format!("{}/", id(Path::new(whole.file_name().unwrap_or_default()))?));
        seen.push((whole, folder));
    }
    Ok(if folders.len() == 1 { vec![String::new()] } else { names })
}

/// How a shell may name the files that `path` is one of, or a glob for.
fn several(path: &Path) -> String {
    if path.is_file() { path.with_file_name("*").display().to_string() } else { path.display().to_string() }
}

fn walk(folder: &Path, prefix: &str, found: &mut Found) {
    let mut walk = WalkDir::new(folder).follow_links(true).min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let path = entry.as_ref().map_or_else(|error| error.path().unwrap_or(folder), |entry| entry.path()).to_owned();
        let relative = path.strip_prefix(folder).unwrap_or(&path);
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) && path != folder {
            found.hidden += 1;
            if entry.is_ok_and(|entry| entry.file_type().is_dir()) {
                walk.skip_current_dir();
            }
            continue;
        }
        match check(folder, entry).and_then(|is_file| is_file.then(|| id(relative)).transpose()) {
            Ok(Some(id)) => found.places.push(Place { id: prefix.to_owned() + &id, path, condition: String::new() }),
            Ok(None) => {}
            Err(error) => found.faults.push((format!("{prefix}{}", relative.display()), error)),
        }
    }
}

/// Whether it is a file; folders are gone into.
fn check(root: &Path, entry: walkdir::Result<DirEntry>) -> Result<bool> {
    let entry = entry.map_err(|error| cannot_list(root, &error))?;
    if entry.file_type().is_file() || entry.file_type().is_dir() {
        return Ok(entry.file_type().is_file());
    }
    Err(advise(format!("`{}` is no file that can be read (a pipe, socket or device)", entry.path().display()), LEAVE_OUT))
}

const LEAVE_OUT: &str = "take it out of the folder, or leave such files out with --skip-unreadable";

fn cannot_list(root: &Path, error: &walkdir::Error) -> anyhow::Error {
    let path = error.path().unwrap_or(root).display();
    let reason = match error.loop_ancestor() {
        Some(ancestor) => format!("it is a link back to `{}`", ancestor.display()),
        None => error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
    };
    advise(format!("cannot read `{path}`: {reason}"), LEAVE_OUT)
}

/// The ID of a path, which is to fit into a line.
pub fn id(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(id) if !id.contains(['\n', '\r']) => Ok(id.to_owned()),
        _ => Err(advise(
            format!("the file name {path:?} cannot stand in a list of images"),
            "rename it: names must be UTF-8 without line breaks",
        )),
    }
}
