//! Where images are looked for: in folders, or in a list of paths.

use super::decode::FORMATS;
use crate::advice::{advise, did_you_mean};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// An image file: the ID of its row, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path relative to its folder, `/` between folders; or the path as a list has it.
    pub id: String,
    /// The file.
    pub path: PathBuf,
}

/// All files under `folders`, ordered by the bytes of their IDs, and the number of hidden files and folders left out.
///
/// The ID of a file is its path in its folder; if there are several folders, the folder's name stands before it.
pub fn in_folders(folders: &[PathBuf]) -> Result<(Vec<Place>, usize)> {
    let mut places = Vec::new();
    let mut hidden = 0;
    let names = prefixes(folders)?;
    for (folder, prefix) in folders.iter().zip(&names) {
        hidden += walk(folder, prefix, &mut places)?;
    }
    if places.is_empty() {
        let named: Vec<_> = folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        return Err(advise(
            format!("there are no images in {}", named.join(", ")),
            format!("give the folder that holds the {FORMATS} files; its sub-folders are searched too"),
        ));
    }
    places.sort_unstable();
    Ok((places, hidden))
}

/// What IDs begin with: nothing for one folder, for several the name of each, which must differ.
fn prefixes(folders: &[PathBuf]) -> Result<Vec<String>> {
    let mut seen = BTreeMap::new();
    let mut names = Vec::new();
    for folder in folders {
        if !folder.is_dir() {
            let problem = if folder.exists() { "is not a folder" } else { "does not exist" };
            return Err(advise(
                format!("`{}` {problem}", folder.display()),
                format!("`--images` takes a folder of {FORMATS} files, or one stack of images (.npy, .hdf5)"),
            ));
        }
        let name = folder.canonicalize().ok().and_then(|whole| Some(whole.file_name()?.to_str()?.to_owned()));
        let name = name.unwrap_or_else(|| folder.display().to_string());
        if let Some(other) = seen.insert(name.clone(), folder) {
            return Err(advise(
                format!("the folders `{}` and `{}` have the same name", other.display(), folder.display()),
                "images of several folders are told apart by the names of the folders: rename one, or write an --image-list",
            ));
        }
        names.push(name + "/");
    }
    Ok(if folders.len() == 1 { vec![String::new()] } else { names })
}

/// Adds the files under `folder`, and returns how many hidden files and folders there were.
fn walk(folder: &Path, prefix: &str, places: &mut Vec<Place>) -> Result<usize> {
    let mut hidden = 0;
    let mut walk = WalkDir::new(folder).follow_links(true).min_depth(1).into_iter();
    while let Some(file) = walk.next() {
        let file = file.map_err(|error| cannot_list(folder, &error))?;
        if file.file_name().as_encoded_bytes().starts_with(b".") {
            hidden += 1;
            if file.file_type().is_dir() {
                walk.skip_current_dir();
            }
        } else if file.file_type().is_file() {
            let id = prefix.to_owned() + &id(file.path().strip_prefix(folder).unwrap_or(file.path()))?;
            places.push(Place { id, path: file.into_path() });
        } else if !file.file_type().is_dir() {
            return Err(advise(
                format!("`{}` is no file that can be read (a pipe, socket or device)", file.path().display()),
                "take it out of the folder; nothing is left out by itself",
            ));
        }
    }
    Ok(hidden)
}

fn cannot_list(root: &Path, error: &walkdir::Error) -> anyhow::Error {
    let path = error.path().unwrap_or(root).display();
    let reason = match error.loop_ancestor() {
        Some(ancestor) => format!("it is a link back to `{}`", ancestor.display()),
        None => error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
    };
    advise(format!("cannot read `{path}`: {reason}"), "mend it or take it out of the folder; nothing is left out by itself")
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

/// The files that `list` names, in its order, as often as it names them. Relative paths begin at `root`. A `.csv` or `.tsv` file has one path a row, in the column [`COLUMNS`] names; any other a path a line.
pub fn in_list(list: &Path, root: &Path) -> Result<Vec<Place>> {
    let text = std::fs::read_to_string(list).map_err(|error| {
        advise(format!("cannot read the list `{}`: {error}", list.display()), "name a text or .csv file with a path a line")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let ids = match list.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => column(list, text, b',')?,
        Some("tsv") => column(list, text, b'\t')?,
        _ => text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
    };
    let places: Vec<_> = ids.into_iter().map(|id| Place { path: root.join(&id), id }).collect();
    match places.iter().find(|place| !place.path.is_file()) {
        None if places.is_empty() => Err(advise(format!("the list `{}` names no images", list.display()), "write a path a line")),
        None => Ok(places),
        Some(missing) => Err(advise(
            format!("`{}`, which `{}` names, is not there", missing.path.display(), list.display()),
            "relative paths begin at the folder of the list, or at the folder that --images names",
        )),
    }
}

/// What the column of the paths may be called.
const COLUMNS: [&str; 6] = ["path", "image", "file", "filename", "stimulus", "images"];

fn column(list: &Path, text: &str, delimiter: u8) -> Result<Vec<String>> {
    let broken = || format!("cannot read the list `{}`", list.display());
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let header = reader.headers().with_context(broken)?.clone();
    let known = |name: &str| COLUMNS.contains(&name.trim().to_lowercase().as_str());
    let Some(at) = header.iter().position(known) else {
        let near = header.iter().map(|name| did_you_mean(&name.to_lowercase(), COLUMNS)).find(|near| !near.is_empty());
        return Err(advise(
            format!(
                "`{}` has no column of paths; its columns are {}",
                list.display(),
                header.iter().collect::<Vec<_>>().join(", ")
            ),
            format!("{}call the column `path` in the first line", near.unwrap_or_default()),
        ));
    };
    let paths = reader.records().map(|record| Ok(record?.get(at).unwrap_or_default().to_owned()));
    paths.collect::<Result<_, csv::Error>>().with_context(broken)
}
