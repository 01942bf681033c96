//! Images that a list does not call by their paths: those of THINGS, whose lists have names of files and of folders that their
//! archives lack, and those of BIDS, whose tables have IDs.

use super::claims::is_something_else;
use super::list_table::Names;
use crate::error::advise;
use anyhow::Result;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Folders that paths in lists of THINGS begin with, and that its archives do not have: `images` in those of the images and of their
/// memorability, the others in THINGS-MEG's.
const OF_THINGS: [&str; 4] = ["images", "images_meg", "images_test_meg", "images_catch_meg"];

/// The folder in which a list's images are.
pub struct Folder<'a> {
    root: &'a Path,
    names: Names,
    /// The files in it and its sub-folders by what they may be called.
    called: OnceCell<HashMap<String, Vec<String>>>,
}

impl<'a> Folder<'a> {
    pub fn new(root: &'a Path, names: Names) -> Folder<'a> {
        Folder { root, names, called: OnceCell::new() }
    }

    /// The path in the folder of the image that a list calls `name`: that itself, if it is one or nothing is found. Fails if it can be
    /// that of two.
    pub fn path(&self, name: &str) -> Result<String> {
        if name.trim().is_empty() {
            return Ok(name.to_owned());
        }
        let is_id = self.names == Names::StimulusIds;
        let shorter = if is_id { name } else { self.without_things(name) };
        if let Some(path) = [name, shorter].into_iter().find(|path| !is_id && self.root.join(path).is_file()) {
            return Ok(path.to_owned());
        }
        match &self.files(shorter)[..] {
            [] => Ok(name.to_owned()),
            [one] => Ok(one.clone()),
            [one, other, ..] => Err(advise(
                format!("`{name}` can be two images in `{}`: `{one}` or `{other}`", self.root.display()),
                "write in the list which is meant, by its path",
            )),
        }
    }

    /// Without a folder of THINGS that is not there.
    fn without_things<'n>(&self, name: &'n str) -> &'n str {
        let is_lacking = |folder: &str| OF_THINGS.contains(&folder) && !self.root.join(folder).exists();
        let goes_up = name.split('/').any(|part| part == "..");
        name.split_once('/').filter(|(folder, _)| !goes_up && is_lacking(folder)).map_or(name, |(_, rest)| rest)
    }

    /// Those that may be called `name`; none if it is a path.
    fn files(&self, name: &str) -> Vec<String> {
        if name.contains('/') {
            return Vec::new();
        }
        let files = self.called.get_or_init(|| called(self.root, self.names)).get(name);
        let is_image = |path: &&String| self.names != Names::StimulusIds || !is_something_else(&self.root.join(path));
        files.into_iter().flatten().filter(is_image).cloned().collect()
    }
}

/// All files that are not hidden, by what they may be called.
fn called(root: &Path, names: Names) -> HashMap<String, Vec<String>> {
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let is_shown = |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(is_shown);
    let mut called: HashMap<String, Vec<String>> = HashMap::new();
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()) {
        let path = entry.path().strip_prefix(root).ok().and_then(Path::to_str);
        for name in path.map(|path| names_of(path, names)).unwrap_or_default() {
            called.entry(name).or_default().extend(path.map(str::to_owned));
        }
    }
    called
}

/// What the file at `path` may be called: `cat.png` by its name, or by an ID, `cat`, as may `stim-cat_image.png`.
fn names_of(path: &str, names: Names) -> Vec<String> {
    let path = PathBuf::from(path);
    let text = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).unwrap_or_default().to_owned();
    let (name, stem) = (text(path.file_name()), text(path.file_stem()));
    if names != Names::StimulusIds {
        return vec![name];
    }
    let mut ids = vec![name, stem.clone()];
    if let Some(label) = stem.strip_prefix("stim-") {
        let label = label.split('_').next().unwrap_or_default();
        ids.extend([label.to_owned(), format!("stim-{label}")]);
    }
    ids.sort();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_image_is_found_by_its_name_or_refused_with_both() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["dog/dog_01b.jpg", "cat/cat_01b.jpg", "bat/x.jpg", "owl/x.jpg", ".hidden/y.jpg", "top.jpg", "owl/top.jpg"] {
            fs::create_dir_all(folder.path().join(file).parent().unwrap()).unwrap();
            fs::write(folder.path().join(file), "").unwrap();
        }
        let images = Folder::new(folder.path(), Names::Paths);
        for (name, path) in [
            ("dog/dog_01b.jpg", "dog/dog_01b.jpg"),
            ("dog_01b.jpg", "dog/dog_01b.jpg"),
            ("images/dog/dog_01b.jpg", "dog/dog_01b.jpg"),
            ("images_test_meg/cat_01b.jpg", "cat/cat_01b.jpg"),
            ("top.jpg", "top.jpg"),
            ("session1/dog_01b.jpg", "session1/dog_01b.jpg"),
            ("y.jpg", "y.jpg"),
            ("images/../dog/no.jpg", "images/../dog/no.jpg"),
            ("", ""),
        ] {
            assert_eq!(images.path(name).unwrap(), path);
        }
        let problem = images.path("x.jpg").unwrap_err().to_string();
        assert!(problem.ends_with("`bat/x.jpg` or `owl/x.jpg`"), "{problem}");
    }

    #[test]
    fn a_stimulus_is_called_by_its_file() {
        assert_eq!(names_of("a/stim-nsd02951_part-1_image.png", Names::Paths), ["stim-nsd02951_part-1_image.png"]);
        let ids = names_of("stim-nsd02951_image.png", Names::StimulusIds);
        assert_eq!(ids, ["nsd02951", "stim-nsd02951", "stim-nsd02951_image", "stim-nsd02951_image.png"]);
        assert_eq!(names_of("a/cat_2.png", Names::StimulusIds), ["cat_2", "cat_2.png"]);
    }
}
