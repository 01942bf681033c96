//! The images that a list names: a path a line, or a column of a table.

use super::find::{Found, Place, id};
use crate::error::advise;
use crate::numbers::count;
use crate::plain_file;
use crate::text::unguard;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Component, Path, PathBuf};
use unicode_normalization::UnicodeNormalization;

/// The files that `list` names, in its order, as often as it names them; relative paths begin at `root`. A `.csv` or `.tsv`
/// file has a path a row, in the first of [`COLUMNS`] that it has; any other a path a line.
pub fn in_list(list: &Path, root: &Path) -> Result<Found> {
    let text = read(list)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let extension = list.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let mut found = Found::default();
    let ids = match extension.as_deref() {
        Some("csv") => column(list, text, b',', &mut found.notes)?,
        Some("tsv") => column(list, text, b'\t', &mut found.notes)?,
        _ => text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
    };
    if ids.is_empty() {
        return Err(advise(format!("the list `{}` names no images", list.display()), "write a path a line"));
    }
    for id in ids {
        let path = root.join(&id);
        match check(list, &id, root, &path) {
            Ok(()) => found.places.push(Place { id, path }),
            Err(error) => found.faults.push((id.replace(['\n', '\r'], " "), error)),
        }
    }
    found.notes.extend(named_again(&found.places));
    Ok(found)
}

/// Of images that are named more than once, perhaps in another spelling.
fn named_again(places: &[Place]) -> Option<String> {
    let mut seen: HashMap<PathBuf, &str> = HashMap::new();
    let mut again = Vec::new();
    for Place { id, path } in places {
        match seen.entry(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            Entry::Occupied(before) => again.push((id.as_str(), *before.get())),
            Entry::Vacant(new) => _ = new.insert(id),
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

/// What the column of the paths may be called: the first that there is, wherever it stands. Of `File Path` the plain form counts.
const COLUMNS: [&str; 11] =
    ["path", "image_path", "file_path", "filepath", "filename", "file_name", "file", "image", "img", "images", "stimulus"];

fn column(list: &Path, text: &str, delimiter: u8, notes: &mut Vec<String>) -> Result<Vec<String>> {
    let broken = || format!("cannot read the list `{}`", list.display());
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let header = reader.headers().with_context(broken)?.clone();
    let plain = |name: &str| name.trim().to_lowercase().replace([' ', '-'], "_");
    let named = |wanted: &&str| header.iter().position(|name| plain(name) == **wanted);
    let candidates: Vec<usize> = COLUMNS.iter().filter_map(named).collect();
    let Some(&at) = candidates.first() else {
        let columns = header.iter().collect::<Vec<_>>().join(", ");
        let hint = match columns.contains(';') {
            true => "its columns are apart by semicolons: save it with commas",
            false => "call the column `path` in the first line",
        };
        return Err(advise(format!("`{}` has no column of paths; its columns are {columns}", list.display()), hint));
    };
    if header.iter().filter(|name| plain(name) == plain(&header[at])).count() > 1 {
        let problem = format!("`{}` has two columns `{}`", list.display(), &header[at]);
        return Err(advise(problem, "call the one of the paths `path`, and the other something else"));
    }
    if candidates.len() > 1 {
        let others: Vec<_> = candidates[1..].iter().map(|&other| format!("`{}`", &header[other])).collect();
        notes.push(format!("paths are those in the column `{}`, and not in {}", &header[at], others.join(", ")));
    }
    let paths = reader.records().map(|record| Ok(unguard(record?.get(at).unwrap_or_default()).to_owned()));
    paths.collect::<Result<_, csv::Error>>().with_context(broken)
}
