//! Is a run what its record says, and does it come out again?

use super::difference::Difference;
use super::journal::{Done, Journal};
use super::make::Work;
use super::plan::{Plan, PlannedRun};
use super::record::ReadCommand;
use super::record::Record;
use super::reduce;
use super::request::Request;
use super::sources::Sources;
use super::stimuli::Stimuli;
use crate::error::{advise, text_of};
use crate::hash::{blake3_of_file, sha256_of_file};
use crate::npy::Matrix;
use crate::numbers::{count, count_of};
use crate::observer::{Observer, ProgressOnly, Stopped};
use crate::output::{self, Dtype};
use crate::parallel::parallel;
use crate::plain_file;
use crate::run::{is_run, row_count};
use crate::weights::Store;
use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
pub struct Check {
    /// In a word.
    pub subject: &'static str,
    /// Whether it is not as it should be.
    pub fault: bool,
    /// In a sentence.
    pub text: String,
}

/// Rows that differ by no more than this share of the layer's largest value differ in their last digits: another processor.
const LAST_DIGITS: f64 = 1e-4;

/// Looks at the files of the run in `folder`, at its images, and at some rows computed anew, drawn by `seed`; networks come from `places` where these say so.
pub fn verify(
    folder: &Path,
    (rows, seed): (usize, u64),
    (places, read_command): (&Request, ReadCommand),
    observer: &dyn Observer,
) -> Result<Vec<Check>> {
    if !is_run(folder) {
        return Err(advise(
            format!("there is no run in `{}`", folder.display()),
            "name the folder that `thingsvision extract` printed",
        ));
    }
    let record = Record::read(folder)?;
    let mut checks = vec![files_of_images(folder, &record)];
    checks.extend(layers(folder, &record)?);
    if !record.complete {
        checks.push(fault("record", "the run was not finished".into()));
        return Ok(checks);
    }
    let chosen = drawn(folder, &record, rows, seed);
    match anew(folder, &record, &chosen, (places, read_command), &ProgressOnly(observer)) {
        Ok(more) => checks.extend(more),
        Err(error) if error.is::<Stopped>() => return Err(error),
        Err(error) => checks.push(fault("again", text_of(&error))),
    }
    Ok(checks)
}

fn fine(subject: &'static str, text: String) -> Check {
    Check { subject, fault: false, text }
}

fn fault(subject: &'static str, text: String) -> Check {
    Check { subject, fault: true, text }
}

/// images.txt, images.sha256 and, if a list says the conditions, conditions.csv are those of the record.
fn files_of_images(folder: &Path, record: &Record) -> Check {
    match &changed_files_of_images(folder, record)[..] {
        [] => fine("images", format!("{} rows, named in images.txt", count(record.images))),
        changed => fault("images", format!("{} changed since the run", changed.join(" and "))),
    }
}

/// Which of them are not those of the record.
pub(super) fn changed_files_of_images(folder: &Path, record: &Record) -> Vec<&'static str> {
    let hash = |name: &str| sha256_of_file(&folder.join(name)).unwrap_or_default();
    let files = [("images.txt", &record.images_sha256), ("images.sha256", &record.contents_sha256)];
    let conditions = record.conditions_sha256.iter().map(|hash| ("conditions.csv", hash));
    files.into_iter().chain(conditions).filter(|(name, expected)| hash(name) != **expected).map(|(name, _)| name).collect()
}

/// The files of all layers are whole and have their hashes.
fn layers(folder: &Path, record: &Record) -> Result<Vec<Check>> {
    let check = |file: &str, hash: &Option<String>| match (blake3_of_file(&folder.join(file)), hash) {
        (Err(error), _) => Some(text_of(&error)),
        (Ok(found), Some(hash)) if found == *hash => None,
        (Ok(_), Some(_)) => Some(format!("`{file}` is not as it was written")),
        (Ok(_), None) => Some(format!("`{file}` has no hash in the record")),
    };
    let mut files = Vec::new();
    for layer in &record.layers {
        let rdm = layer.rdm.as_ref().filter(|_| record.shard.is_none());
        files.push((record.file_of(layer).into_owned(), layer.blake3.clone()));
        files.extend(rdm.map(|rdm| (rdm.clone(), layer.rdm_blake3.clone())));
        let beside = layer.reduced.iter().flat_map(|reduced| &reduced.beside);
        files.extend(beside.map(|(file, hash)| (file.clone(), Some(hash.clone()))));
    }
    // All layers may be in one file.
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    let offsets = record.layers.iter().filter(|layer| layer.offset.is_some()).filter_map(|layer| {
        let shape = [&[record.images], &layer.shape[..]].concat();
        let found = output::start(&folder.join(&layer.file), &layer.name, &shape, record.dtype).ok()?;
        (found != layer.offset).then(|| format!("the numbers of `{}` do not begin at the `offset` in the record", layer.file))
    });
    let faults: Vec<String> = parallel(files.len(), &|number| Ok(check(&files[number].0, &files[number].1)))?
        .into_iter()
        .flatten()
        .chain(offsets)
        .collect();
    Ok(match faults.is_empty() {
        true => vec![fine("files", format!("{} as written", count_of(record.layers.len(), "layer")))],
        false => faults.into_iter().map(|text| fault("files", text)).collect(),
    })
}

/// Rows drawn at random, in order.
fn drawn(folder: &Path, record: &Record, number: usize, seed: u64) -> Vec<usize> {
    // A record may claim any number.
    let all = if record.shard.is_some() { 0 } else { row_count(folder).unwrap_or(0).min(record.images) };
    let mut rows: Vec<usize> = (0..all).collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    rows.truncate(number);
    rows.sort_unstable();
    rows
}

/// The run as its request makes it now: images, weights, program; and the rows `chosen`.
fn anew(
    folder: &Path,
    record: &Record,
    chosen: &[usize],
    (places, read_command): (&Request, ReadCommand),
    observer: &dyn Observer,
) -> Result<Vec<Check>> {
    let Some(request) = record.request(places, read_command)? else {
        bail!("the record does not say by which command the run was made");
    };
    let request = Request { offline: true, ..request };
    let sources = Sources::open_as_they_are(&request)?;
    let request = Request { models: vec![record.model.clone()], ..request };
    let stimuli = match Stimuli::find(&request) {
        Ok(stimuli) => stimuli,
        Err(error) => return Ok(vec![fault("images", format!("cannot be looked at again: {}", text_of(&error)))]),
    };
    let plan = Plan::new(&request, &sources, &stimuli)?;
    let planned = plan.runs.first().context("one model is planned")?;
    let weights = planned.weights.provenance()?.context("the weights of the run are not on this machine")?;
    let mut now = plan.record(planned, weights);
    if let Some(aligned) = &record.alignment {
        now = aligned.expected(now, record);
    }
    let differences = now.differences(folder, false)?;
    let mut checks: Vec<Check> = differences.iter().map(|difference| of_difference(folder, &stimuli, difference)).collect();
    if checks.is_empty() {
        checks.push(fine("made by", "the same images, weights, preprocessing and program as now".into()));
    }
    // Another program is to give the same rows; other images or weights are not.
    let only_program = differences.iter().all(|difference| matches!(difference, Difference::Program(_)));
    if only_program && !chosen.is_empty() {
        let place = Place::beside(folder)?;
        recompute(&plan, planned, chosen, &place.0, observer)?;
        checks.push(compare(folder, record, &now, chosen, &place.0, &sources.store)?);
    }
    Ok(checks)
}

/// A difference; of images the first that is another, not there any more, or new.
fn of_difference(folder: &Path, stimuli: &Stimuli, difference: &Difference) -> Check {
    match difference {
        Difference::Program(_) => fine("made by", difference.to_string()),
        Difference::Contents(_) => fault("images", changed_images(folder, stimuli)),
        Difference::Setting(_) | Difference::Gone(_) | Difference::Changed(_) => fault("made by", difference.to_string()),
    }
}

fn changed_images(folder: &Path, stimuli: &Stimuli) -> String {
    let before = plain_file::read_to_string(&folder.join("images.sha256")).unwrap_or_default();
    let by_name = |lines: &str| -> BTreeMap<String, String> {
        let parts = lines.lines().filter_map(|line| line.split_once("  "));
        parts.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect()
    };
    let (before, now) = (by_name(&before), by_name(&stimuli.checksums));
    let names = |all: &BTreeMap<String, String>, is_it: &dyn Fn(&String, &String) -> bool| -> Vec<String> {
        all.iter().filter(|(name, hash)| is_it(name, hash)).map(|(name, _)| name.clone()).collect()
    };
    let kinds = [
        ("changed since the run", names(&now, &|name, hash| before.get(name).is_some_and(|was| was != hash))),
        ("not there any more", names(&before, &|name, _| !now.contains_key(name))),
        ("new", names(&now, &|name, _| !before.contains_key(name))),
    ];
    let of_kind = |(what, names): &(&str, Vec<String>)| {
        names.first().map(|first| format!("{} {what}, the first is `{first}`", count(names.len())))
    };
    let said: Vec<_> = kinds.iter().filter_map(of_kind).collect();
    if said.is_empty() { "in another order than in the run".into() } else { said.join("; ") }
}

/// Computes the rows `chosen` of a run into files of its layers in `place`, in the same batches; all other rows there are 0.
fn recompute(plan: &Plan, run: &PlannedRun, chosen: &[usize], place: &Path, observer: &dyn Observer) -> Result<()> {
    let (rows, part) = (plan.rows(), 0..plan.stimuli.rows());
    let others = Done { rows: part.clone().filter(|row| !chosen.contains(row)).collect(), ..Done::default() };
    let batches = rows.batches(&part, &others);
    let mut loaded = plan.load(run)?;
    loaded.record = loaded.record.with_plain_files();
    let run = plan.files(&loaded, place, part.clone(), false)?;
    Work { plan, rows, part, batches, done: Done::default() }.run(vec![run], vec![Journal::open(place)?], observer)?;
    observer.stopped().map_or(Ok(()), |reason| Err(Stopped(reason).into()))
}

/// Compares rows of all layers.
fn compare(folder: &Path, record: &Record, now: &Record, rows: &[usize], place: &Path, store: &Store) -> Result<Check> {
    let mut worst = 0.0f64;
    let now = &now.with_plain_files();
    for (layer, other) in record.layers.iter().zip(&now.layers) {
        let stored = values(&record.features(layer, folder)?, rows);
        let mut computed = values(&Matrix::open(&place.join(&*now.written(other).file))?, rows);
        if now.reduces_later(other) {
            computed = reduce::rows(folder, now, other, &computed)?;
        }
        if let Some(aligned) = &record.alignment {
            computed = aligned.rows(store, &computed)?;
        }
        let share = largest_difference(&stored, &computed);
        let is_rough =
            record.dtype == Dtype::F16 || record.reduction.as_ref().is_some_and(|reduction| reduction.from == Dtype::F16);
        let allowed = if is_rough { 1e-2 } else { LAST_DIGITS };
        if share > allowed {
            let text = format!("`{}` differs by {share:.1e} of its largest value in {} rows", layer.name, rows.len());
            return Ok(fault("again", text));
        }
        worst = worst.max(share);
    }
    let number = count(rows.len());
    Ok(match worst {
        0.0 => fine("again", format!("{number} rows of every layer come out the same, to the bit")),
        worst => fine("again", format!("{number} rows of every layer come out the same but for the last digits ({worst:.1e})")),
    })
}

/// The values of some rows.
fn values(matrix: &Matrix, rows: &[usize]) -> Vec<f64> {
    rows.iter().flat_map(|row| matrix.row(*row)).collect()
}

/// As a share of the largest value.
fn largest_difference(stored: &[f64], computed: &[f64]) -> f64 {
    let (mut scale, mut largest) = (0.0f64, 0.0f64);
    for (a, b) in stored.iter().zip(computed) {
        scale = scale.max(a.abs());
        if a.to_bits() != b.to_bits() {
            let difference = (a - b).abs();
            largest = if difference.is_nan() { f64::INFINITY } else { largest.max(difference) };
        }
    }
    if largest == 0.0 { 0.0 } else { largest / scale.max(f64::MIN_POSITIVE) }
}

/// A folder for a while.
struct Place(PathBuf);

impl Place {
    fn beside(folder: &Path) -> Result<Place> {
        let mut name = folder.canonicalize()?.into_os_string();
        name.push(format!(".verify-{}", std::process::id()));
        let place = Place(name.into());
        fs::create_dir(&place.0).with_context(|| format!("cannot write beside `{}`", folder.display()))?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
