//! Where images are looked for: in folders, or in a list of paths.

use super::formats::FORMATS;
use crate::error::advise;
use crate::plain_file;
use crate::text::unguard;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// An image file: the ID of its row, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path relative to its folder, `/` between folders; or the path as a list has it.
    pub id: String,
    pub path: PathBuf,
}

#[derive(Debug, Default)]
pub struct Found {
    pub places: Vec<Place>,
    /// What cannot be an image, by the ID that it would have, and why.
    pub faults: Vec<(String, anyhow::Error)>,
    pub hidden: usize,
}

/// All files under `folders`, ordered by the bytes of their IDs: paths in the folder, after its name if there are several folders.
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
    found.places.sort_unstable();
    found.faults.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// What IDs begin with: nothing for one folder, for several the name of each, which must differ.
fn prefixes(folders: &[PathBuf]) -> Result<Vec<String>> {
    let mut seen: Vec<(PathBuf, &PathBuf)> = Vec::new();
    let mut names = Vec::new();
    for folder in folders {
        if !folder.is_dir() {
            let problem = if folder.exists() { "is not a folder" } else { "does not exist" };
            return Err(advise(
                format!("`{}` {problem}", folder.display()),
                format!("`--images` takes a folder of {FORMATS} files, or one stack of images (.npy, .hdf5)"),
            ));
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
            Ok(Some(id)) => found.places.push(Place { id: prefix.to_owned() + &id, path }),
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

fn id(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(id) if !id.contains(['\n', '\r']) => Ok(id.to_owned()),
        _ => Err(advise(
            format!("the file name {path:?} cannot stand in a list of images"),
            "rename it: names must be UTF-8 without line breaks",
        )),
    }
}

/// The files that `list` names, in its order, as often as it names them; relative paths begin at `root`. A `.csv` or `.tsv`
/// file has a path a row, in the column [`COLUMNS`] names; any other a path a line.
pub fn in_list(list: &Path, root: &Path) -> Result<Found> {
    let text = plain_file::read_to_string(list).map_err(|error| {
        advise(format!("cannot read the list `{}`: {error}", list.display()), "name a text or .csv file with a path a line")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let extension = list.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let ids = match extension.as_deref() {
        Some("csv") => column(list, text, b',')?,
        Some("tsv") => column(list, text, b'\t')?,
        _ => text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
    };
    if ids.is_empty() {
        return Err(advise(format!("the list `{}` names no images", list.display()), "write a path a line"));
    }
    let mut found = Found::default();
    for id in ids {
        let path = root.join(&id);
        match check_listed(list, &id, &path) {
            Ok(()) => found.places.push(Place { id, path }),
            Err(error) => found.faults.push((id.replace(['\n', '\r'], " "), error)),
        }
    }
    Ok(found)
}

fn check_listed(list: &Path, id: &str, path: &Path) -> Result<()> {
    self::id(Path::new(id))?;
    if path.is_file() {
        return Ok(());
    }
    if id.trim().is_empty() {
        return Err(advise(format!("`{}` has an entry without a path", list.display()), "fill it in, or take it out"));
    }
    let problem = if path.exists() { "is not a file" } else { "is not there" };
    Err(advise(
        format!("`{}`, which `{}` names, {problem}", path.display(), list.display()),
        "relative paths begin at the folder of the list, or at the folder that --images names",
    ))
}

/// What the column of the paths may be called.
const COLUMNS: [&str; 6] = ["path", "image", "file", "filename", "stimulus", "images"];

fn column(list: &Path, text: &str, delimiter: u8) -> Result<Vec<String>> {
    let broken = || format!("cannot read the list `{}`", list.display());
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let header = reader.headers().with_context(broken)?.clone();
    let known = |name: &str| COLUMNS.contains(&name.trim().to_lowercase().as_str());
    let Some(at) = header.iter().position(known) else {
        let columns = header.iter().collect::<Vec<_>>().join(", ");
        let hint = match columns.contains(';') {
            true => "its columns are apart by semicolons: save it with commas",
            false => "call the column `path` in the first line",
        };
        return Err(advise(format!("`{}` has no column of paths; its columns are {columns}", list.display()), hint));
    };
    let paths = reader.records().map(|record| Ok(unguard(record?.get(at).unwrap_or_default()).to_owned()));
    paths.collect::<Result<_, csv::Error>>().with_context(broken)
}
