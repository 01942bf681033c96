//! The images of a run: found, ordered and checked before any work, and the same list ever after.

use super::claims::{is_one_image, is_something_else};
use super::conditions::{AverageBy, Column};
use super::decode::{self, Header};
use super::find::{self, Found, Place};
use super::formats::{FORMATS, Reading};
use super::indices;
use super::listed::in_list;
use super::look::Look;
use super::preprocess::{MOST_SHOWN, Preprocessing};
use super::rgb::{Rgb, Window};
use super::stack::{self, Stack};
use crate::error::{advise, did_you_mean, hint_of, text_of};
use crate::hash::sha256;
use crate::names::by_parts;
use crate::numbers::{count, count_of};
use crate::parallel::parallel;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which images a user asks for.
#[derive(Debug, Clone, Default)]
pub struct Selection<'a> {
    /// Folders, or one stack; with a list, the folder that its paths begin at.
    pub images: &'a [PathBuf],
    /// A list of paths.
    pub list: Option<&'a Path>,
    /// The data set of an HDF5 stack.
    pub dataset: Option<&'a str>,
    /// Whether the channels of a stack's pictures stand before rows and columns.
    pub channels_first: bool,
    /// Which images of a stack.
    pub indices: Option<&'a str>,
    /// How files are read.
    pub reading: Reading,
    /// Whether files that cannot be read are left out.
    pub skip_unreadable: bool,
    /// What images are averaged by; that may be a column of the list.
    pub average_by: Option<&'a AverageBy>,
}

/// Where the images of a run come from, for its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Folders(Vec<PathBuf>),
    File(PathBuf),
    List {
        file: PathBuf,
        root: PathBuf,
    },
    Stack {
        file: PathBuf,
        dataset: Option<String>,
    },
    /// Not images, but the texts in a file.
    Texts(PathBuf),
}

/// A file that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The ID that its row would have had.
    pub id: String,
    pub reason: String,
}

/// The images of a run in the order of their rows.
#[derive(Debug)]
pub struct ImageList {
    /// The stimulus ID of each: the path in its folder (with `/`), the path as the list has it, or the number in the stack.
    pub ids: Vec<String>,
    pub(crate) origin: Origin,
    pub(crate) reading: Reading,
    /// The files that were left out because they cannot be read.
    pub(crate) skipped: Vec<Skipped>,
    /// How many hidden files and folders were left out.
    pub(crate) hidden: usize,
    /// The files in folders that neither are images nor claim to be.
    pub(crate) others: Vec<String>,
    /// What is to be said of the list that names them.
    pub(super) said: Vec<String>,
    /// The column of the list that they are averaged by, if there is one.
    pub(crate) column: Option<Column>,
    /// What is not shown of each, once that was [looked](ImageList::look) at.
    pub(super) looks: Vec<Look>,
    /// The SHA-256 of every image, if they must stay what they are.
    expected: Option<Vec<String>>,
    pub(super) pixels: Pixels,
}

#[derive(Debug)]
pub(super) enum Pixels {
    Files {
        paths: Vec<PathBuf>,
        headers: Vec<Header>,
    },
    Stack {
        stack: Stack,
        indices: Vec<usize>,
    },
    /// Texts have none.
    Texts(Vec<String>),
}

impl ImageList {
    /// The images that are wanted, all of which can be read as far as their headers say. Hidden files and folders are left
    /// out and counted, and so are files in folders that neither are images nor claim to be. Any other file that is no image, or
    /// cannot be read, is an error, unless such files are to be left out: then every image is decoded once to be sure.
    pub fn find(wanted: &Selection) -> Result<ImageList> {
        if let (Some(by @ AverageBy::Column(_)), None) = (wanted.average_by, wanted.list) {
            return Err(no_list(by));
        }
        let must_be_stack = wanted.dataset.is_some() || wanted.indices.is_some() || wanted.channels_first;
        if let ([one], None) = (wanted.images, wanted.list)
            && (stack::is_stack(one) || must_be_stack && !one.is_dir())
        {
            return ImageList::of_stack(one, wanted);
        }
        if must_be_stack {
            return Err(advise(
                "--dataset, --indices and --channels-first are for a stack of images in one file",
                "name the .npy or .hdf5 file with --images; choose among files with an --image-list",
            ));
        }
        match (wanted.list, wanted.images) {
            (None, [one]) if is_one_image(one) => {
                ImageList::of_files(find::one_file(one)?, Origin::File(std::path::absolute(one)?), wanted)
            }
            (None, folders) => {
                let found = find::in_folders(folders)?;
                let origin = Origin::Folders(folders.iter().map(|folder| folder.canonicalize()).collect::<Result<_, _>>()?);
                ImageList::of_files(found, origin, wanted)
            }
            (Some(list), [] | [_]) => {
                let (found, root) = in_list(list, wanted.images.first().map(PathBuf::as_path), wanted.average_by)?;
                let origin = Origin::List { file: std::path::absolute(list)?, root: std::path::absolute(root)? };
                ImageList::of_files(found, origin, wanted)
            }
            (Some(_), _) => Err(advise(
                "with --image-list one folder at most can be named",
                "its paths begin in the folder that --images names",
            )),
        }
    }

    fn of_stack(path: &Path, wanted: &Selection) -> Result<ImageList> {
        let stack = Stack::open(path, wanted.dataset, wanted.channels_first)?;
        wanted.reading.check_size((stack.width, stack.height))?;
        let indices = match wanted.indices {
            Some(text) => indices::parse(text, stack.len)?,
            None => indices::all(stack.len)?,
        };
        let ids = indices.iter().map(usize::to_string).collect();
        let origin = Origin::Stack { file: std::path::absolute(path)?, dataset: stack.dataset.clone() };
        Ok(ImageList::of(ids, origin, wanted.reading, Pixels::Stack { stack, indices }))
    }

    fn of_files(found: Found, origin: Origin, wanted: &Selection) -> Result<ImageList> {
        let Found { places, mut faults, hidden, notes, column } = found;
        let checks = check_all(&places, &wanted.reading, wanted.skip_unreadable);
        let (mut ids, mut paths, mut headers, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut conditions = Vec::new();
        let may_hold_others = matches!(origin, Origin::Folders(_));
        for (Place { id, path, condition }, check) in places.into_iter().zip(checks) {
            match check {
                Ok(header) => {
                    ids.push(id);
                    paths.push(path);
                    headers.push(header);
                    conditions.push(condition);
                }
                Err(_) if may_hold_others && is_something_else(&path) => others.push(id),
                Err(error) => faults.push((id, error)),
            }
        }
        let bad = faults.len();
        if bad > 0 && !wanted.skip_unreadable {
            return Err(with_number(faults.swap_remove(0).1, bad));
        }
        let skipped = faults.into_iter().map(|(id, error)| Skipped { id, reason: text_of(&error) });
        let mut skipped: Vec<Skipped> = skipped.collect();
        skipped.sort_by(|a, b| by_parts(&a.id, &b.id));
        if ids.is_empty() {
            let problem = match (skipped.first(), others.first()) {
                (Some(Skipped { reason, .. }), _) => format!("none of the {bad} files can be read: {reason}"),
                (None, other) => format!(
                    "there are no images, but {}, such as `{}`",
                    count_of(others.len(), "other file"),
                    other.map_or("", String::as_str)
                ),
            };
            return Err(advise(problem, format!("give {FORMATS} files")));
        }
        Ok(ImageList {
            skipped,
            hidden,
            others,
            said: notes,
            column: column.map(|(name, all)| Column::new(name, conditions, all)),
            ..ImageList::of(ids, origin, wanted.reading, Pixels::Files { paths, headers })
        })
    }

    /// Texts instead of images, with their IDs, of the file at `path`.
    pub fn of_texts(path: PathBuf, ids: Vec<String>, texts: Vec<String>) -> ImageList {
        ImageList::of(ids, Origin::Texts(path), Reading::default(), Pixels::Texts(texts))
    }

    /// Of which nothing was left out, and nothing is to be said.
    fn of(ids: Vec<String>, origin: Origin, reading: Reading, pixels: Pixels) -> ImageList {
        ImageList {
            ids,
            origin,
            reading,
            skipped: Vec::new(),
            hidden: 0,
            others: Vec::new(),
            said: Vec::new(),
            column: None,
            looks: Vec::new(),
            expected: None,
            pixels,
        }
    }

    /// The texts, if these are no images.
    pub fn texts(&self) -> Option<&[String]> {
        if let Pixels::Texts(texts) = &self.pixels { Some(texts) } else { None }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none; [`ImageList::find`] never returns such a list.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Decodes of image `i` what `looked_at` names, given width and height, or more.
    pub fn decode(&self, i: usize, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
        match &self.pixels {
            Pixels::Files { paths, .. } => {
                let bytes = decode::read(&paths[i])?;
                if self.expected.as_ref().is_some_and(|expected| expected[i] != sha256(&bytes)) {
                    return Err(advise(
                        format!("`{}` is not the file any more that it was when the run began", self.ids[i]),
                        "an image was replaced during the run: leave the images alone, and give the same command again",
                    ));
                }
                decode::decode_read(&paths[i], &bytes, &self.reading, looked_at)
            }
            Pixels::Stack { stack, indices } => stack.image(indices[i]),
            Pixels::Texts(_) => bail!("the text `{}` is no image", self.ids[i]),
        }
    }

    /// The SHA-256 of every image: of its file, or in a stack of its bytes `[rows, columns, 3]`.
    pub fn sha256(&self) -> Result<Vec<String>> {
        parallel(self.len(), &|i| match &self.pixels {
            Pixels::Files { paths, .. } => Ok(sha256(decode::read(&paths[i])?)),
            Pixels::Stack { stack, indices } => Ok(sha256(stack.image(indices[i])?.bytes())),
            Pixels::Texts(texts) => Ok(sha256(&texts[i])),
        })
    }

    /// The [hash](ImageList::sha256) of every image; what is not shown of them is looked at, for [notes](ImageList::notes).
    pub(crate) fn look(&mut self) -> Result<Vec<String>> {
        let Pixels::Files { paths, .. } = &self.pixels else { return self.sha256() };
        let looked = parallel(self.len(), &|i| {
            let bytes = decode::read(&paths[i])?;
            Ok((sha256(&bytes), Look::at(&bytes, &self.reading)))
        })?;
        let (hashes, looks) = looked.into_iter().unzip();
        self.looks = looks;
        Ok(hashes)
    }

    /// From now on it is an error if an image has another [hash](ImageList::sha256) when it is decoded.
    pub fn expect(&mut self, hashes: Vec<String>) {
        self.expected = Some(hashes);
    }

    /// Fails if an image cannot be decoded.
    pub fn decode_all(&self) -> Result<()> {
        if self.texts().is_some() {
            return Ok(());
        }
        parallel(self.len(), &|i| self.decode(i, &|_, _| Window::whole(1, 1)).map(drop)).map(drop)
    }

    /// The height and width that `preprocessing` makes of every image; fails if it depends on the image.
    pub fn shown(&self, preprocessing: &Preprocessing) -> Result<[usize; 2]> {
        let shown = |i| {
            let (width, height) = self.size(i);
            preprocessing.shown(width, height)
        };
        let first = shown(0);
        if preprocessing.shown_always().is_some() {
            return Ok(first);
        }
        if first.iter().any(|side| *side > MOST_SHOWN) {
            return Err(advise(
                format!("without a crop `{}` becomes {} × {} pixels", self.ids[0], first[1], first[0]),
                format!("networks are shown at most {MOST_SHOWN} pixels a side: crop, --squash, or take a smaller --resize"),
            ));
        }
        let Some(other) = (1..self.len()).find(|&i| shown(i) != first) else { return Ok(first) };
        let text = |i: usize| format!("`{}` becomes {} × {}", self.ids[i], shown(i)[1], shown(i)[0]);
        Err(advise(
            format!("without a crop the images differ in size: {}, {}", text(0), text(other)),
            "images go through the network together: crop them, or bring them to one size with --squash",
        ))
    }

    /// What has to be read for the images: the folders that they lie in, and files that are links. A stack is open.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        let Pixels::Files { paths, .. } = &self.pixels else { return Vec::new() };
        let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
        // A folder may be called nothing, and be the one that we are in.
        let folders = folders.into_iter().map(|folder| if folder == "" { Path::new(".") } else { folder });
        folders.chain(paths.iter().map(PathBuf::as_path).filter(|path| path.is_symlink())).map(Path::to_owned).collect()
    }

    /// Width and height of image `i` in pixels.
    pub(super) fn size(&self, i: usize) -> (usize, usize) {
        match &self.pixels {
            Pixels::Files { headers, .. } => headers[i].size,
            Pixels::Stack { stack, .. } => (stack.width, stack.height),
            Pixels::Texts(_) => (0, 0),
        }
    }
}

fn no_list(by: &AverageBy) -> anyhow::Error {
    let hint = did_you_mean(&by.to_string(), ["folder"]);
    advise(
        format!("images are to be averaged by the column `{by}`, and no list names them"),
        format!("{hint}`--average-by` takes `folder`, or a column of the .csv or .tsv that `--image-list` names"),
    )
}

/// Reads all headers, on all cores; `whole` files, to be sure that they can be decoded.
fn check_all(places: &[Place], reading: &Reading, whole: bool) -> Vec<Result<Header>> {
    let check = |place: &Place| {
        let header = decode::check_header(&place.path, reading)?;
        if whole {
            decode::decode(&place.path, reading, &|_, _| Window::whole(1, 1))?;
        }
        Ok(header)
    };
    parallel(places.len(), &|i| Ok(check(&places[i]))).expect("the items themselves are the results")
}

/// The error of the first bad file says how many more there are.
fn with_number(error: anyhow::Error, faults: usize) -> anyhow::Error {
    if faults < 2 {
        return error;
    }
    let problem = format!("{} (the first of {} files that cannot be read)", text_of(&error), count(faults));
    advise(problem, hint_of(&error).unwrap_or_default())
}
