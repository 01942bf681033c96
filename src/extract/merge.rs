//! Shards to one run: the same bytes as if one process had made it, RDMs included.

use super::difference::in_words;
use super::files;
use super::folder::RunFolder;
use super::make::Finished;
use super::rdms;
use super::record::{Record, Seconds};
use super::verify::changed_files_of_images;
use crate::error::advise;
use crate::hash::blake3_of_file;
use crate::images::Origin;
use crate::names::by_parts;
use crate::numbers::count;
use crate::observer::Observer;
use crate::output::{RowFile, StoredRows};
use crate::parallel::parallel;
use crate::plain_file;
use crate::run::{FILES, LayerRecord, Shard, is_run, row_names};
use anyhow::{Context, Result};
use serde_json::Value;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A shard that is whole.
struct Part {
    folder: PathBuf,
    shard: Shard,
    record: Record,
    /// Its rows in the whole run.
    rows: Range<usize>,
}

/// Checks that the `shards` are all of one run, joins them, computes the RDMs, and says where the run is. One that is there is
/// replaced if `force` says so.
pub fn merge(shards: &[PathBuf], force: bool, observer: &dyn Observer) -> Result<Finished> {
    let parts = parts(shards)?;
    let folder = whole_folder(&parts[0])?;
    let record = whole_record(&parts);
    observer.note(&format!("{} shards of {}: {} rows", parts.len(), record.model, count(record.images)));
    let files = FILES.iter().filter_map(|name| Some((*name, plain_file::read_to_string(&parts[0].folder.join(name)).ok()?)));
    let files: Vec<(&str, String)> = files.collect();
    if is_run(&folder) && !force {
        return Err(advise(
            format!("there is already a run in `{}`", folder.display()),
            "replace it with --force, or move it away",
        ));
    }
    RunFolder::check(&folder, &Origin::Folders(Vec::new()), force)?;
    let unfinished = RunFolder::begin(&folder, force, &record, &files, None)?;
    let place = unfinished.place();
    let layers: Vec<&LayerRecord> = record.layers.iter().collect();
    let files = files::open(&place, &record, &layers, record.images, false)?;
    parallel(files.len(), &|number| join(&parts, layers[number], &files[number]))?;
    files.into_iter().try_for_each(RowFile::finish)?;
    let rows = row_names(&place)?;
    let (seconds, skipped) = (record.seconds.unwrap_or_default(), record.skipped_images.len());
    let fault = rdms::finish(&place, record, seconds, &rows, observer)?;
    unfinished.finish()?;
    Ok(Finished { folders: vec![folder], fault, skipped })
}

/// The shards in their order: all of one run, each once.
fn parts(folders: &[PathBuf]) -> Result<Vec<Part>> {
    let mut parts = folders.iter().map(|folder| part(folder)).collect::<Result<Vec<_>>>()?;
    parts.sort_by_key(|part| part.rows.start);
    let number = |part: &Part| part.shard.number;
    let of = parts[0].shard.of;
    for part in &parts[1..] {
        let alike = Record { shard: Some(part.shard), ..parts[0].record.clone() };
        let differences = alike.differences(&part.folder, true)?;
        if part.shard.of != of || !differences.is_empty() {
            let of_other = format!("shards of {of}, shards of {}", part.shard.of);
            let why = if differences.is_empty() { of_other } else { in_words(&differences) };
            return Err(advise(
                format!("`{}` and `{}` are not parts of one run: {why}", parts[0].folder.display(), part.folder.display()),
                "name the shards that one command made, each with its own --shard I/K",
            ));
        }
    }
    if let Some(two) = parts.windows(2).find(|two| number(&two[0]) == number(&two[1])) {
        return Err(advise(
            format!("`{}` and `{}` are both shard {}", two[0].folder.display(), two[1].folder.display(), number(&two[0])),
            "name each shard once",
        ));
    }
    let missing: Vec<String> =
        (1..=of).filter(|n| parts.iter().all(|part| number(part) != *n)).map(|n| format!("{n}/{of}")).collect();
    if !missing.is_empty() {
        return Err(advise(
            format!("shards are missing: {}", missing.join(", ")),
            "compute them with --shard, and name all of them",
        ));
    }
    Ok(parts)
}

/// A shard, whole and as it was recorded.
fn part(folder: &Path) -> Result<Part> {
    if !is_run(folder) {
        return Err(advise(
            format!("there is no finished shard in `{}`", folder.display()),
            "name the folders that `thingsvision extract --shard I/K` printed; an unfinished one goes on by the same command",
        ));
    }
    let record = Record::read(folder)?;
    let Some(shard) = record.shard.filter(|_| record.complete) else {
        return Err(advise(format!("`{}` is not a shard, or not finished", folder.display()), "name shards: --shard I/K"));
    };
    let unit = if record.averaged.is_some() { 1 } else { record.batch_size };
    let rows = shard.rows(record.images, unit)?;
    let changed = |file: &str| {
        advise(
            format!("`{}` is not as it was written: its hash differs from the record", folder.join(file).display()),
            "it was changed or damaged; compute this shard again with --force",
        )
    };
    for layer in &record.layers {
        let file = record.file_of(layer);
        if Some(blake3_of_file(&folder.join(&*file))?) != layer.blake3 {
            return Err(changed(&file));
        }
    }
    if let Some(name) = changed_files_of_images(folder, &record).first() {
        return Err(changed(name));
    }
    Ok(Part { folder: folder.to_owned(), shard, record, rows })
}

/// The folder of the shard without its ending.
fn whole_folder(Part { folder, shard, .. }: &Part) -> Result<PathBuf> {
    let absolute = folder.canonicalize()?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ending = shard.ending();
    let whole = name.strip_suffix(&*ending).with_context(|| format!("`{}` does not end in `{ending}`", folder.display()))?;
    let beside = folder.parent().filter(|_| folder.file_name().is_some()).unwrap_or(Path::new("."));
    Ok(beside.join(whole))
}

fn whole_record(parts: &[Part]) -> Record {
    let mut record = parts[0].record.clone();
    let mut words = Vec::new();
    let mut old = record.command.into_iter();
    while let Some(word) = old.next() {
        match word.as_str() {
            "--shard" => drop(old.next()),
            word if word.starts_with("--shard=") => {}
            _ => words.push(word),
        }
    }
    record.command = words;
    if let Some(Value::Object(request)) = &mut record.request {
        request.insert("shard".into(), Value::Null);
    }
    (record.shard, record.complete) = (None, false);
    let mut seconds = Seconds::default();
    let mut damaged: Vec<String> = Vec::new();
    for Part { record, .. } in parts {
        seconds.add(&record.seconds.unwrap_or_default());
        damaged.extend(record.damaged_images.iter().cloned());
    }
    damaged.sort_by(|a, b| by_parts(a, b));
    damaged.dedup();
    record.damaged_images = damaged;
    record.seconds = Some(seconds);
    record.layers.iter_mut().for_each(|layer| (layer.blake3, layer.rdm_blake3) = (None, None));
    record
}

/// Copies the rows of a layer from all shards to their places.
fn join(parts: &[Part], layer: &LayerRecord, to: &RowFile) -> Result<()> {
    for Part { folder, record, rows, .. } in parts {
        let from = record.written(layer);
        let from = StoredRows::open(&folder.join(&*from.file), &layer.name, rows.len(), from.shape, from.dtype)?;
        from.copy_to(to, rows.start)?;
    }
    Ok(())
}
