//! The targets of an analysis, as they are named on the command line: `[NAME=]FILE[,FILE…]`, or a glob for files.

use super::stem;
use crate::cli::Rsa;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use thingsvision::advice::advise;
use thingsvision::arrays;
use thingsvision::rdm::Rdms;

/// A target, with one file or more.
pub struct Wanted {
    pub name: String,
    pub kind: &'static str,
    pub files: Vec<(PathBuf, Rdms)>,
}

/// Reads all targets.
pub fn read(arguments: &Rsa) -> Result<Vec<Wanted>> {
    let behavior = arguments.behavior.iter().map(|text| ("behavior", text));
    let fmri = arguments.fmri.iter().map(|text| ("fmri", text));
    let all: Vec<_> = behavior.chain(fmri).map(|(kind, text)| Ok((kind, parse(text)?))).collect::<Result<_>>()?;
    let names = distinct_names(&all);
    let read = |((kind, (_, files)), name): ((&'static str, (Option<String>, Vec<PathBuf>)), String)| {
        let files = files.into_iter().map(|file| Ok((file.clone(), Rdms::read(&file)?))).collect::<Result<_>>()?;
        Ok(Wanted { name, kind, files })
    };
    all.into_iter().zip(names).map(read).collect()
}

/// The name, if one was given, and the files.
fn parse(text: &str) -> Result<(Option<String>, Vec<PathBuf>)> {
    let exists = |text: &str| arrays::split(Path::new(text)).0.exists();
    let (name, files) = match text.split_once('=') {
        Some((name, files)) if !exists(text) => (Some(name.to_owned()), files),
        _ => (None, text),
    };
    if exists(files) {
        return Ok((name, vec![files.into()]));
    }
    let mut found = Vec::new();
    for file in files.split(',') {
        found.extend(matching(file)?);
    }
    Ok((name, found))
}

/// The file, or those that the glob matches, in the order of their names.
fn matching(file: &str) -> Result<Vec<PathBuf>> {
    if !file.contains(['*', '?', '[']) {
        return Ok(vec![file.into()]);
    }
    let files: Vec<PathBuf> = glob::glob(file).with_context(|| format!("`{file}` is no glob"))?.collect::<Result<_, _>>()?;
    if files.is_empty() {
        return Err(advise(
            format!("no file matches `{file}`"),
            "put globs in quotes; relative paths begin at the current folder",
        ));
    }
    Ok(files)
}

/// The given names, or those of the (first) files, or their paths where two would have the same name.
fn distinct_names(targets: &[(&'static str, (Option<String>, Vec<PathBuf>))]) -> Vec<String> {
    let short = |(_, (name, files)): &(&str, (Option<String>, Vec<PathBuf>))| name.clone().unwrap_or_else(|| stem(&files[0]));
    let names: Vec<String> = targets.iter().map(short).collect();
    let alone = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
    let path = |(_, (_, files)): &(&str, (Option<String>, Vec<PathBuf>))| files[0].display().to_string();
    targets.iter().zip(&names).map(|(target, name)| if alone(name) { name.clone() } else { path(target) }).collect()
}
