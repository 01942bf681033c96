//! The images of a run: found, ordered and checked before any work, and the same list ever after.

use super::decode::{self, Format};
use crate::advice::advise;
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The images under a folder.
#[derive(Debug, Clone)]
pub struct ImageList {
    root: PathBuf,
    /// The path of each image relative to the root, `/` between folders: the stimulus ID, and the order of all rows.
    pub ids: Vec<String>,
    /// How many files each format has.
    pub formats: BTreeMap<Format, usize>,
    /// How many hidden files and folders were left out.
    pub hidden: usize,
}

impl ImageList {
    /// All images under `root`, ordered by the bytes of their relative paths.
    ///
    /// Hidden files and folders are left out and counted. Any other file that is not an image is an error, and so is an
    /// image whose header cannot be read: nothing is skipped silently.
    pub fn find(root: &Path) -> Result<ImageList> {
        if !root.is_dir() {
            let problem = if root.exists() { "is not a folder" } else { "does not exist" };
            return Err(advise(format!("`{}` {problem}", root.display()), "`--images` takes a folder of JPEG and PNG files"));
        }
        let mut list = ImageList { root: root.to_owned(), ids: Vec::new(), formats: BTreeMap::new(), hidden: 0 };
        let mut walk = WalkDir::new(root).follow_links(true).min_depth(1).into_iter();
        while let Some(file) = walk.next() {
            let file = file.map_err(|error| cannot_list(root, &error))?;
            if file.file_name().as_encoded_bytes().starts_with(b".") {
                list.hidden += 1;
                if file.file_type().is_dir() {
                    walk.skip_current_dir();
                }
            } else if file.file_type().is_file() {
                list.ids.push(id(root, file.path())?);
            } else if !file.file_type().is_dir() {
                return Err(advise(
                    format!("`{}` is no file that can be read (a pipe, socket or device)", file.path().display()),
                    "take it out of the folder; nothing is left out by itself",
                ));
            }
        }
        if list.ids.is_empty() {
            return Err(advise(
                format!("there are no images in `{}`", root.display()),
                "give the folder that holds the JPEG or PNG files; its sub-folders are searched too",
            ));
        }
        list.ids.sort_unstable();
        list.check_headers()?;
        Ok(list)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none; [`ImageList::find`] never returns such a list.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where image `i` lies.
    pub fn path(&self, i: usize) -> PathBuf {
        self.root.join(&self.ids[i])
    }

    /// The text of `images.txt`: one ID a line.
    pub fn text(&self) -> String {
        self.ids.iter().flat_map(|id| [id, "\n"]).collect()
    }

    /// The SHA-256 of [`ImageList::text`].
    pub fn sha256(&self) -> String {
        format!("{:x}", Sha256::digest(self.text()))
    }

    /// "48 images in 6 folders: 46 JPEG, 2 PNG".
    pub fn summary(&self) -> String {
        let folders: std::collections::BTreeSet<_> = self.ids.iter().filter_map(|id| Some(id.rsplit_once('/')?.0)).collect();
        let formats: Vec<_> = self.formats.iter().map(|(format, count)| format!("{count} {format}")).collect();
        let mut summary = match folders.len() {
            0 => format!("{}: {}", self.len(), formats.join(", ")),
            1 => format!("{} in 1 folder: {}", self.len(), formats.join(", ")),
            folders => format!("{} in {folders} folders: {}", self.len(), formats.join(", ")),
        };
        if self.hidden > 0 {
            summary += &format!(" ({} hidden left out)", self.hidden);
        }
        summary
    }

    fn check_headers(&mut self) -> Result<()> {
        for i in 0..self.len() {
            let format = decode::check_header(&self.path(i))?;
            *self.formats.entry(format).or_default() += 1;
        }
        Ok(())
    }
}

fn cannot_list(root: &Path, error: &walkdir::Error) -> anyhow::Error {
    let path = error.path().unwrap_or(root).display();
    let reason = match error.loop_ancestor() {
        Some(ancestor) => format!("it is a link back to `{}`", ancestor.display()),
        None => error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
    };
    advise(format!("cannot read `{path}`: {reason}"), "mend it or take it out of the folder; nothing is left out by itself")
}

fn id(root: &Path, path: &Path) -> Result<String> {
    let relative = path.strip_prefix(root).unwrap_or(path);
    match relative.to_str() {
        Some(id) if !id.contains(['\n', '\r']) => Ok(id.to_owned()),
        _ => Err(advise(
            format!("the file name {relative:?} cannot stand in a list of images"),
            "rename it: names must be UTF-8 without line breaks",
        )),
    }
}
