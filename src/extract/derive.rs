//! A run that is made of one that is there: with shorter rows, or with transformed ones.

use super::folder::{RunFolder, inside};
use super::make::Finished;
use super::rdms;
use super::record::{Record, Seconds};
use crate::error::advise;
use crate::hash::blake3_of_file;
use crate::images::Origin;
use crate::observer::Observer;
use crate::output::StoredRows;
use crate::plain_file;
use crate::run::{FILES, is_run, row_names};
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// The record of a run of which another can be made: it is whole, and its rows are as they were extracted.
pub(super) fn whole_run(folder: &Path) -> Result<Record> {
    if !is_run(folder) {
        return Err(advise(
            format!("there is no run in `{}`", folder.display()),
            "name the folder that `thingsvision extract` printed",
        ));
    }
    let record = Record::read(folder)?;
    let place = folder.display();
    if !record.complete || record.shard.is_some() {
        return Err(advise(
            format!("the run in `{place}` is not whole"),
            "finish it with `thingsvision resume`; join shards with `thingsvision merge`",
        ));
    }
    if record.reduction.is_some() {
        return Err(advise(format!("the rows of `{place}` are reduced already"), "name the run with the full rows"));
    }
    if record.alignment.is_some() {
        return Err(advise(format!("the rows of `{place}` are aligned already"), "name the run that it was made of"));
    }
    for (number, layer) in record.layers.iter().enumerate() {
        let units = layer.shape.iter().try_fold(1usize, |units, size| units.checked_mul(*size));
        ensure!(
            units.is_some_and(|units| units > 0),
            "`{}` has rows of the shape {:?}, says the record",
            layer.name,
            layer.shape
        );
        // Of one file for all layers once.
        let is_known = number > 0 && record.layers[number - 1].file == layer.file;
        if !is_known && Some(blake3_of_file(&folder.join(&layer.file))?) != layer.blake3 {
            return Err(advise(
                format!("`{}` is not as it was written: its hash differs from the record", folder.join(&layer.file).display()),
                "it was changed or damaged; make the run again",
            ));
        }
        if !record.format.is_made_at_the_end() {
            StoredRows::open(&folder.join(&layer.file), &layer.name, record.images, &layer.shape, record.dtype)?;
        }
    }
    Ok(record)
}

/// `activations/alexnet.pca-100.random-0` of `activations/alexnet.random-0`.
fn beside(run: &Path, label: &str) -> Result<PathBuf> {
    let name = run.canonicalize()?.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let at = name.rfind(".random-").unwrap_or(name.len());
    let place = run.parent().filter(|_| run.file_name().is_some()).unwrap_or(Path::new(".."));
    Ok(place.join(format!("{}{label}{}", &name[..at], &name[at..])))
}

/// Where a run that is made of that in `source` is to be: in `out`, or beside it with `label` in its name.
pub(super) struct Target<'a> {
    pub(super) source: &'a Path,
    pub(super) out: Option<&'a Path>,
    pub(super) label: String,
    /// Whether another run there is replaced.
    pub(super) force: bool,
}

/// Makes the run of `record`, of whose layers `bring` writes the rows to a place, and says where it is.
pub(super) fn derive(
    target: &Target,
    record: Record,
    say: &dyn Fn(&Record),
    bring: &dyn Fn(&Path, &Record) -> Result<()>,
    observer: &dyn Observer,
) -> Result<Finished> {
    let Target { source, force, .. } = *target;
    let folder = match target.out {
        Some(out) => out.to_owned(),
        None => beside(source, &target.label)?,
    };
    if is_run(&folder) && !force && record.differences(&folder, false)?.is_empty() {
        observer.note(&format!("`{}` is there already, and is what this command would make", folder.display()));
        return Ok(Finished { folders: vec![folder], fault: None, skipped: 0 });
    }
    if inside(&folder, source)? {
        return Err(advise("the new run would lie in the place of the one that it is made of", "name another place with --out"));
    }
    RunFolder::check(&folder, &Origin::Folders(Vec::new()), force)?;
    say(&record);
    let files = FILES.iter().filter_map(|name| Some((*name, plain_file::read_to_string(&source.join(name)).ok()?)));
    let files: Vec<(&str, String)> = files.collect();
    let unfinished = RunFolder::begin(&folder, force, &record, &files, None)?;
    let place = unfinished.place();
    bring(&place, &record)?;
    let rows = row_names(&place)?;
    let fault = rdms::finish(&place, record, Seconds::default(), &rows, observer)?;
    unfinished.finish()?;
    Ok(Finished { folders: vec![folder], fault, skipped: 0 })
}
