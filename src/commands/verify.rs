//! `thingsvision verify`: is a run what its record says, and does it come out again?

use super::extract::{Again, Stimuli, again};
use crate::cli::{Cli, Command, Extract, Verify};
use crate::printer::{Printer, columns};
use anyhow::{Context, Result, bail};
use clap::Parser;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use thingsvision::error::{advise, text_of};
use thingsvision::extract::{Record, file_hash, sha256};
use thingsvision::npy::{Dtype, Matrix};
use thingsvision::numbers::count;
use thingsvision::parallel::parallel;
use thingsvision::registry::Registry;
use thingsvision::run::is_run;
use thingsvision::weights::Store;

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    fault: bool,
    text: String,
}

/// Rows that differ by no more than this share of the layer's largest value differ in their last digits: another processor.
const LAST_DIGITS: f64 = 1e-4;

/// Looks at the run, and fails if something is not as it should be.
pub fn run(arguments: &Verify, printer: Printer) -> Result<()> {
    let folder = &arguments.run;
    if !is_run(folder) {
        return Err(advise(
            format!("there is no run in `{}`", folder.display()),
            "name the folder that `thingsvision extract` printed",
        ));
    }
    let record = Record::read(folder)?;
    let mut findings = vec![files_of_images(folder, &record)];
    findings.extend(layers(folder, &record)?);
    if record.complete {
        findings.extend(anew(arguments, &record).unwrap_or_else(|error| vec![fault("again", text_of(&error))]));
    } else {
        findings.push(fault("record", "the run was not finished".into()));
    }
    let faults = findings.iter().filter(|finding| finding.fault).count();
    if arguments.json {
        printer.data(&serde_json::to_string_pretty(&findings)?)?;
    } else {
        let mark = |finding: &Finding| if finding.fault { "wrong" } else { "fine" }.to_owned();
        let row = |finding: &Finding| vec![mark(finding), finding.subject.to_owned(), finding.text.clone()];
        printer.data(&columns(&findings.iter().map(row).collect::<Vec<_>>(), &[]))?;
    }
    match faults {
        0 => Ok(()),
        number => Err(advise(
            format!("{number} of {} checks of `{}` failed", findings.len(), folder.display()),
            "what is wrong is named above; `thingsvision extract` with --force makes the run anew",
        )),
    }
}

fn fine(subject: &'static str, text: String) -> Finding {
    Finding { subject, fault: false, text }
}

fn fault(subject: &'static str, text: String) -> Finding {
    Finding { subject, fault: true, text }
}

/// images.txt and images.sha256 are those of the record.
fn files_of_images(folder: &Path, record: &Record) -> Finding {
    let hash = |name: &str| fs::read_to_string(folder.join(name)).map(|text| sha256(&text)).unwrap_or_default();
    let files = [("images.txt", &record.images_sha256), ("images.sha256", &record.contents_sha256)];
    let changed: Vec<&str> =
        files.into_iter().filter(|(name, expected)| hash(name) != **expected).map(|(name, _)| name).collect();
    match &changed[..] {
        [] => fine("images", format!("{} rows, named in images.txt", count(record.images))),
        changed => fault("images", format!("{} changed since the run", changed.join(" and "))),
    }
}

/// The files of all layers are whole and have their hashes.
fn layers(folder: &Path, record: &Record) -> Result<Vec<Finding>> {
    let check = |number: usize| -> Result<Vec<String>> {
        let layer = &record.layers[number];
        let rdm = layer.rdm.as_ref().filter(|_| record.shard.is_none());
        let files = [(Some(&layer.file), &layer.blake3), (rdm, &layer.rdm_blake3)];
        let faulty = files.into_iter().filter_map(|(file, hash)| Some((file?, hash))).filter_map(|(file, hash)| {
            let found = match file_hash(&folder.join(file)) {
                Ok(found) => found,
                Err(error) => return Some(text_of(&error)),
            };
            match hash {
                Some(hash) if *hash == found => None,
                Some(_) => Some(format!("`{file}` is not as it was written")),
                None => Some(format!("`{file}` has no hash in the record")),
            }
        });
        Ok(faulty.collect())
    };
    let faults = parallel(record.layers.len(), &check)?.concat();
    let count = record.layers.len();
    Ok(match faults.is_empty() {
        true => vec![fine("files", format!("{count} {} as written", if count == 1 { "layer" } else { "layers" }))],
        false => faults.into_iter().map(|text| fault("files", text)).collect(),
    })
}

/// The run as its command makes it now: images, weights, program; and some rows.
fn anew(arguments: &Verify, record: &Record) -> Result<Vec<Finding>> {
    let folder = arguments.run.canonicalize()?;
    let (cli, named, extract) = command(record)?;
    std::env::set_current_dir(&record.directory)
        .with_context(|| format!("the run was made in `{}`, which cannot be entered", record.directory.display()))?;
    let mut registry = Registry::load(cli.registry.as_deref())?;
    let store = Store::open(cli.cache.as_deref(), true)?;
    registry.add_files(&named, |choice| store.path(choice))?;
    let stimuli = match Stimuli::find(&extract) {
        Ok(stimuli) => stimuli,
        Err(error) => return Ok(vec![fault("images", format!("cannot be looked at again: {}", text_of(&error)))]),
    };
    let place = tempfile_beside(&folder)?;
    let chosen = chosen(arguments, record);
    let result = again(&extract, (&registry, &store), &stimuli, &folder, &chosen, &place.0);
    let Again { differences, rows, record: now } = result?;
    let mut findings: Vec<Finding> = differences.into_iter().map(|text| of_difference(&folder, &stimuli, text)).collect();
    if findings.is_empty() {
        findings.push(fine("made by", "the same images, weights, preprocessing and program as now".into()));
    }
    if !rows.is_empty() {
        findings.push(compare(&folder, record, &now, &rows, &place.0)?);
    }
    Ok(findings)
}

/// The command that made the run, the models that it names, and it for the model of this one.
fn command(record: &Record) -> Result<(Cli, Vec<String>, Extract)> {
    if record.command.is_empty() {
        bail!("the record does not say by which command the run was made");
    }
    let mut cli = Cli::try_parse_from(&record.command).map_err(|error| {
        anyhow::anyhow!("the recorded command cannot be read: {}", error.to_string().lines().next().unwrap_or_default())
    })?;
    let Command::Extract(extract) = &mut cli.command else { bail!("the recorded command is no `extract`") };
    let named = extract.models.clone();
    let extract = Extract {
        models: vec![record.model.clone()],
        command: record.command.clone(),
        // The place of the rows that are computed is another one.
        force: true,
        ..std::mem::replace(extract.as_mut(), empty())
    };
    Ok((cli, named, extract))
}

/// Any flags.
fn empty() -> Extract {
    let words = ["thingsvision", "extract", "--model", "alexnet", "--images", "."];
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Extract(extract)) => *extract,
        _ => unreachable!("the words are those of `extract`"),
    }
}

/// A difference in words; of images the first that is another, not there any more, or new.
fn of_difference(folder: &Path, stimuli: &Stimuli, text: String) -> Finding {
    if text.starts_with("program:") || text.starts_with("libtorch:") {
        return fine("made by", text);
    }
    if !text.starts_with("contents sha256:") {
        return fault("made by", text);
    }
    let before = fs::read_to_string(folder.join("images.sha256")).unwrap_or_default();
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
    fault("images", if said.is_empty() { "in another order than in the run".into() } else { said.join("; ") })
}

/// Rows drawn at random, in order.
fn chosen(arguments: &Verify, record: &Record) -> Vec<usize> {
    if record.shard.is_some() {
        return Vec::new();
    }
    let mut rows: Vec<usize> = (0..record.images).collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(arguments.seed));
    rows.truncate(arguments.rows);
    rows.sort_unstable();
    rows
}

/// Compares rows of all layers.
fn compare(folder: &Path, record: &Record, now: &Record, rows: &[usize], place: &Path) -> Result<Finding> {
    let mut worst = 0.0f64;
    for (layer, other) in record.layers.iter().zip(&now.layers) {
        let (stored, computed) = (Matrix::open(&folder.join(&layer.file))?, Matrix::open(&place.join(&other.file))?);
        let values = |matrix: &Matrix, row: usize| {
            let mut values = Vec::with_capacity(matrix.columns);
            matrix.append(row, 0..matrix.columns, &mut values);
            values
        };
        let mut scale = 0.0f64;
        let mut error = 0.0f64;
        for &row in rows {
            for (a, b) in values(&stored, row).into_iter().zip(values(&computed, row)) {
                scale = scale.max(a.abs());
                if a.to_bits() != b.to_bits() {
                    let difference = (a - b).abs();
                    error = if difference.is_nan() { f64::INFINITY } else { error.max(difference) };
                }
            }
        }
        let share = if error == 0.0 { 0.0 } else { error / scale.max(f64::MIN_POSITIVE) };
        let allowed = if record.dtype == Dtype::F16 { 1e-2 } else { LAST_DIGITS };
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

/// A folder for a while.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn tempfile_beside(folder: &Path) -> Result<Place> {
    let mut name = folder.as_os_str().to_owned();
    name.push(format!(".verify-{}", std::process::id()));
    let place = Place(name.into());
    fs::create_dir(&place.0).with_context(|| format!("cannot write beside `{}`", folder.display()))?;
    Ok(place)
}
