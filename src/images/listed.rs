//! The images that a list names: a path a line, or a column of a table.

use super::conditions::AverageBy;
use super::find::{Found, Place, id};
use super::list_table::{self, Entry, Listed, Names};
use super::named;
use crate::error::advise;
use crate::numbers::count;
use crate::plain_file;
use anyhow::Result;
use std::collections::hash_map::{self, HashMap};
use std::path::{Component, Path, PathBuf};
use unicode_normalization::UnicodeNormalization;

/// The files that `list` names, in its order, as often as it names them, and the folder that relative paths begin at: `folder`, or
/// that of the list. A `.csv` or `.tsv` file has an image a row, any other a path a line; `by` may be a column of it.
pub fn in_list(list: &Path, folder: Option<&Path>, by: Option<&AverageBy>) -> Result<(Found, PathBuf)> {
    let text = read(list)?;
    let beside = folder.unwrap_or_else(|| list.parent().unwrap_or(Path::new("")));
    let mut listed = entries(list, text.strip_prefix('\u{feff}').unwrap_or(&text), beside, by)?;
    if listed.entries.is_empty() {
        return Err(advise(format!("the list `{}` names no images", list.display()), "write a path a line"));
    }
    let stimuli = if folder.is_none() && listed.names != Names::Paths { stimuli_of(list) } else { None };
    if let Some(stimuli) = &stimuli {
        listed.notes.push(format!("paths begin at `{}`, as in BIDS", stimuli.display()));
    }
    let root = stimuli.as_deref().unwrap_or(beside);
    let found = found(list, root, listed)?;
    Ok((found, if root.as_os_str().is_empty() { PathBuf::from(".") } else { root.to_owned() }))
}

fn entries(list: &Path, text: &str, root: &Path, by: Option<&AverageBy>) -> Result<Listed> {
    let extension = list.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match (extension.as_deref(), by) {
        (Some("csv"), _) => list_table::read(list, text, b',', root, by),
        (Some("tsv"), _) => list_table::read(list, text, b'\t', root, by),
        (_, Some(AverageBy::Column(name))) => Err(list_table::no_columns(list, name)),
        _ => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let entries = lines.map(|line| Entry { name: line.to_owned(), ..Entry::default() }).collect();
            Ok(Listed { entries, ..Listed::default() })
        }
    }
}

/// The folder `stimuli` of the BIDS data set that a file lies in.
fn stimuli_of(file: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(file).ok()?.parent()?.canonicalize().ok()?;
    let stimuli = |folder: &Path| Some(folder.join("stimuli")).filter(|stimuli| stimuli.is_dir());
    folder.ancestors().filter(|folder| folder.join("dataset_description.json").is_file()).find_map(stimuli)
}

/// The files in `root` that are `listed`.
fn found(list: &Path, root: &Path, Listed { entries, names, column, notes }: Listed) -> Result<Found> {
    let mut found = Found { notes, ..Found::default() };
    let conditions = entries.iter().map(|entry| entry.condition.clone()).collect();
    found.column = column.map(|name| (name, conditions));
    let folder = named::Folder::new(root, names);
    let mut by_name: Vec<(String, String)> = Vec::new();
    for Entry { name, condition } in entries {
        let id = folder.path(&name)?;
        if id != name {
            by_name.push((name, id.clone()));
        }
        let path = root.join(&id);
        match check(list, &id, root, &path) {
            Ok(()) => found.places.push(Place { id, path, condition }),
            Err(error) => found.faults.push((id.replace(['\n', '\r'], " "), error)),
        }
    }
    found.notes.extend(found_by_name(&by_name));
    found.notes.extend(named_again(&found.places));
    Ok(found)
}

/// Of images that are not where the list has them.
fn found_by_name(by_name: &[(String, String)]) -> Option<String> {
    let (name, id) = by_name.first()?;
    let images = match by_name.len() {
        1 => "1 image was found by its name".to_owned(),
        more => format!("{} images were found by their names", count(more)),
    };
    Some(format!("{images}: `{name}` is `{id}`"))
}

/// Of images that are named more than once, perhaps in another spelling.
fn named_again(places: &[Place]) -> Option<String> {
    let mut seen: HashMap<PathBuf, &str> = HashMap::new();
    let mut again = Vec::new();
    for Place { id, path, .. } in places {
        match seen.entry(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            hash_map::Entry::Occupied(before) => again.push((id.as_str(), *before.get())),
            hash_map::Entry::Vacant(new) => _ = new.insert(id),
        }
    }
    let (id, before) = again.iter().find(|(id, before)| id != before).or(again.first())?;
    let spelled = if id == before { String::new() } else { format!(" as `{before}`") };
    let count = match again.len() {
        1 => "1 line names an image that was".to_owned(),
        more => format!("{} lines name images that were", count(more)),
    };
    Some(format!("{count} named before: `{id}`{spelled}"))
}

fn read(list: &Path) -> Result<String> {
    let bytes = plain_file::read(list).map_err(|error| {
        advise(format!("cannot read the list `{}`: {error}", list.display()), "name a text or .csv file with a path a line")
    })?;
    if bytes.starts_with(b"\x93NUMPY") {
        return Err(advise(
            format!("the list `{}` is an array of NumPy", list.display()),
            "write the paths that are in it into a file, one a line; a stack of images is named with --images",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let is_utf_16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        let what = if is_utf_16 { "but UTF-16".to_owned() } else { format!("from line {line} on") };
        advise(
            format!("the list `{}` is not UTF-8, {what}", list.display()),
            "save it as UTF-8 (Excel: \"CSV UTF-8\"; `iconv -f WINDOWS-1252 -t UTF-8`, or -f UTF-16)",
        )
    })
}

fn check(list: &Path, id: &str, root: &Path, path: &Path) -> Result<()> {
    self::id(Path::new(id))?;
    if path.is_file() {
        return Ok(());
    }
    if id.trim().is_empty() {
        return Err(advise(format!("`{}` has an entry without a path", list.display()), "fill it in, or take it out"));
    }
    let problem = if path.exists() { "is not a file" } else { "is not there" };
    let hint = match written_otherwise(root, id) {
        Some(hint) => hint,
        None => "relative paths begin at the folder of the list, or at the folder that --images names".to_owned(),
    };
    Err(advise(format!("`{}`, which `{}` names, {problem}", path.display(), list.display()), hint))
}

/// What a file is called that is nearly called `id`: that name and how it differs.
fn written_otherwise(root: &Path, id: &str) -> Option<String> {
    let with_slashes = if id.contains('/') { id.to_owned() } else { id.replace('\\', "/") };
    let mut there = PathBuf::new();
    for part in Path::new(&with_slashes).components() {
        there = match part {
            Component::Normal(name) if !root.join(&there).join(name).exists() => {
                there.join(called_alike(&root.join(&there), &name.to_string_lossy())?)
            }
            other => there.join(other),
        };
    }
    let name = there.to_str().filter(|_| root.join(&there).is_file())?;
    let composed = |text: &str| text.nfc().collect::<String>();
    let differences = [
        (with_slashes != id, "`/` stands between folders, and not `\\`"),
        (blanks_of(&with_slashes) != blanks_of(name), "blanks at the ends of names count"),
        (composed(trimmed(&with_slashes).as_str()) != composed(trimmed(name).as_str()), "capitals and small letters differ"),
        (
            without_case(&with_slashes) != without_case(name),
            "an accent is written as one character in one and as two in the other (Unicode NFC and NFD)",
        ),
    ];
    let said: Vec<&str> = differences.into_iter().filter(|(differs, _)| *differs).map(|(_, what)| what).collect();
    Some(format!("there is `{name}`: {}; write it in the list as the file is called", said.join(", ")))
}

/// The name in `folder` that is `name` but for capitals, blanks at its ends, and how accents are written; none if several are.
fn called_alike(folder: &Path, name: &str) -> Option<String> {
    let plain = |name: &str| name.trim().to_lowercase().nfc().collect::<String>();
    let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut alike = names.filter(|other| plain(other) == plain(name));
    alike.next().filter(|_| alike.next().is_none())
}

/// Path without blanks at the ends of its parts.
fn trimmed(path: &str) -> String {
    path.split('/').map(str::trim).collect::<Vec<_>>().join("/")
}

fn blanks_of(path: &str) -> Vec<(usize, usize)> {
    path.split('/').map(|part| (part.len() - part.trim_start().len(), part.len() - part.trim_end().len())).collect()
}

fn without_case(path: &str) -> String {
    trimmed(path).to_lowercase()
}
