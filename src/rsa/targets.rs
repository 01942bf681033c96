//! The targets of a request: `[NAME=]FILE[,FILE…]`, or a glob for files; and its controls, a file each.

use super::analysis::model_name;
use super::candidates::run_and_layer;
use super::request::Request;
use crate::arrays;
use crate::error::advise;
use crate::rdm::{Movie, Rdms};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// A target that was read.
pub(crate) struct NamedTarget {
    pub(crate) name: String,
    /// `behavior`, `fmri`, `meg` or `eeg`.
    pub(crate) kind: &'static str,
    /// Of a frame of a movie, in ms; if its times are not known, as frames are counted.
    pub(crate) time: Option<f64>,
    pub(crate) is_counted: bool,
    /// One or more, each with the RDM of a subject or of several.
    pub(crate) files: Vec<(PathBuf, Rdms)>,
}

/// A control that was read.
pub(crate) struct NamedControl {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Of one subject.
    pub(crate) rdm: Rdms,
}

/// A target as it was asked for.
pub(crate) struct Named {
    pub(crate) name: Option<String>,
    kind: &'static str,
    pub(crate) files: Vec<PathBuf>,
}

pub(crate) fn read_targets(request: &Request) -> Result<Vec<NamedTarget>> {
    let behavior = request.behavior.iter().map(|text| Named::parse(text, "behavior"));
    let fmri = request.fmri.iter().map(|text| Named::parse(text, "fmri"));
    let meg = request.meg.iter().map(|text| Named::parse(text, "meg"));
    let eeg = request.eeg.iter().map(|text| Named::parse(text, "eeg"));
    let all: Vec<Named> = behavior.chain(fmri).chain(meg).chain(eeg).collect::<Result<_>>()?;
    let names = distinct_names(&all);
    let mut targets = Vec::new();
    for (named, name) in all.into_iter().zip(names) {
        match named.kind {
            "meg" | "eeg" => {
                let is_same = |other: &NamedTarget| (&other.name, other.kind) == (&name, named.kind);
                if targets.iter().any(is_same) {
                    return Err(advise(format!("the movie `{name}` is given twice"), "leave one out, or name it: NAME=MOVIE"));
                }
                targets.extend(named.read_movie(&name)?);
            }
            _ => targets.push(named.read(name)?),
        }
    }
    Ok(targets)
}

pub(crate) fn read_controls(request: &Request) -> Result<Vec<NamedControl>> {
    request.control.iter().map(|text| NamedControl::read(text, "--control")).collect()
}

impl NamedControl {
    /// `[NAME=]FILE`, as it was given to `flag`.
    pub(super) fn read(text: &str, flag: &str) -> Result<NamedControl> {
        let named = Named::parse(text, "control")?;
        let [path] = &named.files[..] else {
            return Err(advise(
                format!("`{text}` is {} files, and {flag} takes one RDM", named.files.len()),
                format!("repeat {flag} for each, or average them: thingsvision rdm average"),
            ));
        };
        if path.is_dir() {
            return Err(advise(
                format!("`{}` is a folder, and {flag} takes one RDM", path.display()),
                format!("name that of a layer: {}", path.join("LAYER.rdm.npy").display()),
            ));
        }
        let rdm = Rdms::read(path)?;
        if rdm.subjects.len() > 1 {
            return Err(advise(
                format!("`{}` holds {} RDMs, and {flag} takes one", path.display(), rdm.subjects.len()),
                "average them: thingsvision rdm average",
            ));
        }
        let (model, layer) = run_and_layer(path)?;
        Ok(NamedControl { name: named.name.unwrap_or_else(|| model_name(&model, &layer)), path: path.clone(), rdm })
    }
}

impl Named {
    /// `[NAME=]FILE[,FILE…]`, or a glob for files.
    pub(crate) fn parse(text: &str, kind: &'static str) -> Result<Named> {
        let exists = |text: &str| arrays::split(Path::new(text)).0.exists();
        let (name, files) = match text.split_once('=') {
            Some((name, files)) if !exists(text) => (Some(name.to_owned()).filter(|name| !name.is_empty()), files),
            _ => (None, text),
        };
        if exists(files) {
            return Ok(Named { name, kind, files: vec![files.into()] });
        }
        let found: Vec<Vec<PathBuf>> = files.split(',').map(arrays::matching).collect::<Result<_>>()?;
        Ok(Named { name, kind, files: found.concat() })
    }

    /// The given name, or that of the file; of several files that of the first and how many others there are.
    fn short(&self) -> String {
        let others = self.files.len() - 1;
        let of_files = || stem(&self.files[0]) + &if others > 0 { format!("+{others}") } else { String::new() };
        self.name.clone().unwrap_or_else(of_files)
    }

    fn read(self, name: String) -> Result<NamedTarget> {
        let read = |file: PathBuf| Rdms::read(&file).map(|rdms| (file, rdms));
        Ok(NamedTarget {
            name,
            kind: self.kind,
            time: None,
            is_counted: false,
            files: self.files.into_iter().map(read).collect::<Result<_>>()?,
        })
    }

    /// A target for each time: the subjects of all files, whose times must be the same.
    fn read_movie(self, name: &str) -> Result<Vec<NamedTarget>> {
        let kind = self.kind;
        let mut targets: Vec<NamedTarget> = Vec::new();
        let mut first: Option<(PathBuf, Option<Vec<f64>>)> = None;
        for path in self.files {
            let Movie { times, frames } = Movie::read(&path)?;
            let (of, own) = first.get_or_insert_with(|| (path.clone(), times.clone()));
            if *own != times || (!targets.is_empty() && targets.len() != frames.len()) {
                let problem = match (&own, &times) {
                    (Some(_), None) => format!("`{}` has no .times.txt, but `{}` has one", path.display(), of.display()),
                    (None, Some(_)) => format!("`{}` has a .times.txt, but `{}` has none", path.display(), of.display()),
                    _ => format!("`{}` has other times than `{}`", path.display(), of.display()),
                };
                return Err(advise(problem, "subjects need RDMs at the same times; those beside a file are in its .times.txt"));
            }
            for (number, frame) in frames.into_iter().enumerate() {
                if targets.len() == number {
                    let time = times.as_ref().map_or(number as f64, |times| times[number]);
                    targets.push(NamedTarget {
                        name: name.to_owned(),
                        kind,
                        time: Some(time),
                        is_counted: times.is_none(),
                        files: Vec::new(),
                    });
                }
                targets[number].files.push((path.clone(), frame));
            }
        }
        Ok(targets)
    }
}

/// A file's name without folder and endings, `.rdm.npy` counted as one.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let endings = [".npy", ".npz", ".csv", ".tsv", ".mat", ".hdf5", ".h5"];
    let name = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    name.strip_suffix(".rdm").unwrap_or(name).to_owned()
}

/// The short names, or the paths where two would have the same name.
fn distinct_names(targets: &[Named]) -> Vec<String> {
    let name = |target: &Named| (target.kind, target.short());
    let alone = |target: &Named| targets.iter().filter(|other| name(other) == name(target)).count() == 1;
    let path = |target: &Named| target.files[0].display().to_string();
    targets.iter().map(|target| if alone(target) { target.short() } else { path(target) }).collect()
}
