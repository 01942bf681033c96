//! What is about to be written: it must not be what it reads, nor a format under another's name.

use super::{ids, times};
use crate::arrays;
use crate::atomic_file::is_same;
use crate::error::advise;
use crate::observer::Observer;
use crate::run::{LayerRecord, is_run, read_record};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The file of an RDM, and those beside it that say what it is of.
pub fn with_beside(file: &Path) -> Vec<PathBuf> {
    vec![file.to_owned(), ids::beside(file), times::beside(file)]
}

/// What is read of `path`: a file (perhaps `FILE:NAME`), the IDs and times beside it, and the record of the run that it lies in; of
/// a run all its files.
pub fn read_of(path: &Path) -> Vec<PathBuf> {
    let file = arrays::split(path).0;
    let in_run = |folder: &Path| [folder.join("run.json"), folder.join("images.txt")];
    match std::fs::read_dir(&file) {
        Ok(files) => files.filter_map(|file| Some(file.ok()?.path())).collect(),
        Err(_) => with_beside(&file).into_iter().chain(in_run(file.parent().unwrap_or(Path::new("")))).collect(),
    }
}

/// Fails if one of `outputs` is one of `inputs`.
pub fn check(outputs: &[PathBuf], inputs: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    for input in inputs {
        if outputs.iter().any(|output| is_same(&input, output)) {
            return Err(advise(
                format!("`{}` would be overwritten, and it is one of the files that are read", input.display()),
                "give what is written another name",
            ));
        }
    }
    Ok(())
}

/// Fails if an RDM cannot be written to `output`, or if that or the IDs or times beside it are read.
pub fn check_rdm(output: &Path, inputs: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    check_folder(output)?;
    check(&with_beside(output), inputs)
}

/// Fails if `output` is called as a folder.
pub fn check_name(output: &Path, hint: &str) -> Result<()> {
    if output.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(advise(format!("`{}` is the name of a folder", output.display()), hint));
    }
    Ok(())
}

/// `PREFIX.ENDING` of each ending.
pub fn with_endings<const N: usize>(prefix: &Path, endings: [&str; N]) -> [PathBuf; N] {
    endings.map(|ending| {
        let mut path = prefix.as_os_str().to_owned();
        path.push(format!(".{ending}"));
        PathBuf::from(path)
    })
}

/// Makes the folder that files are to lie in.
pub fn make_folder(prefix: &Path) -> Result<()> {
    let folder = prefix.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))
}

/// Fails if `output` lies in no folder, or is one.
pub fn check_folder(output: &Path) -> Result<()> {
    check_name(output, "name a file in it")?;
    match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(advise(format!("there is no folder `{}`", folder.display()), format!("make it: mkdir -p {}", folder.display())))
        }
        _ => Ok(()),
    }
}

/// Fails if `output` is an RDM that a run has computed and recorded: it would not be what the record says any more.
pub fn check_run(output: &Path) -> Result<()> {
    let folder = output.parent().unwrap_or(Path::new(""));
    let is_its_own =
        |layer: LayerRecord| layer.rdm.is_some_and(|rdm| output.file_name().is_some_and(|name| name == rdm.as_str()));
    if output.is_file() && is_run(folder) && read_record(folder)?.layers.into_iter().any(is_its_own) {
        return Err(advise(
            format!("`{}` is the RDM that the run has made, and would be overwritten", output.display()),
            "give the new one a name of its own with --out",
        ));
    }
    Ok(())
}

/// Fails unless `output` is called `.npy`, which is what is written.
pub fn check_npy(output: &Path, hint: &str) -> Result<()> {
    if arrays::kind(output) == "npy" {
        return Ok(());
    }
    Err(advise(format!("`{}` would be a NumPy file under another name", output.display()), format!("end the name in .npy{hint}")))
}

/// Fails if another file differs from `input` in its ending alone, for the RDM of both would be called the same.
pub fn check_alone(input: &Path) -> Result<()> {
    match siblings(input).find(|path| path.is_file() && !is_same(path, input) && holds_numbers(path)) {
        Some(other) => Err(advise(
            format!("the RDM of `{}` and that of `{}` would have the same name", input.display(), other.display()),
            "give it a name of its own: --out NAME.npy",
        )),
        None => Ok(()),
    }
}

/// Whether it may be a file of an array, and no table of labels.
fn holds_numbers(path: &Path) -> bool {
    !matches!(arrays::kind(path).as_str(), "csv" | "tsv" | "txt") || arrays::read(path).is_ok()
}

/// Files of arrays that are called as `path` but for the ending.
fn siblings(path: &Path) -> impl Iterator<Item = PathBuf> {
    ["npy", "npz", "csv", "tsv", "txt", "mat", "h5", "hdf5"].into_iter().map(|ending| arrays::with_ending(path, ending))
}

/// Fails if IDs or times of `output` would take the place of those of another file: `x.npy` and `x.csv` have one `x.ids.txt`.
pub fn check_beside(output: &Path, ids: Option<&[String]>, times: Option<&[f64]>) -> Result<()> {
    let is_other = |path: &PathBuf| path.is_file() && !is_same(path, output) && holds_numbers(path);
    let Some(sibling) = siblings(output).find(is_other) else { return Ok(()) };
    let [of_ids, of_times] = [ids::beside(output), times::beside(output)];
    let same_ids = || ids.is_some_and(|ids| ids::read(&of_ids).is_ok_and(|own| own == ids));
    let same_times = || times.is_some_and(|times| times::read(&of_times).is_ok_and(|own| own == times));
    let faults = [
        (of_ids.is_file() && !same_ids(), &of_ids, "names the stimuli"),
        (of_times.is_file() && !same_times(), &of_times, "has the times"),
    ];
    match faults.into_iter().find(|(is_fault, ..)| *is_fault) {
        None => Ok(()),
        Some((_, beside, what)) => Err(advise(
            format!("`{}` {what} of `{}`, and would those of `{}` too", beside.display(), sibling.display(), output.display()),
            "give what is written another name",
        )),
    }
}

/// Writes the IDs and times of `output` beside it, or removes those of what was there before.
pub fn write_beside(output: &Path, ids: Option<&[String]>, times: Option<&[f64]>, observer: &dyn Observer) -> Result<()> {
    if ids::write(output, ids)? {
        observer.note(&format!("removed `{}`, which named the stimuli of what was there before", ids::beside(output).display()));
    }
    if times::write(output, times)? {
        observer.note(&format!("removed `{}`, the times of what was there before", times::beside(output).display()));
    }
    Ok(())
}
