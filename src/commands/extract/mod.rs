//! `thingsvision extract`

pub mod planned;
mod rdms;
mod runs;
mod stimuli;
mod wanted;

use super::shape;
use crate::cli::Extract;
use crate::printer::{Printer, bytes};
use anyhow::Result;
use runs::{Machine, begin, load};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
pub use stimuli::Stimuli;
use thingsvision::device;
use thingsvision::extract::{Extraction, Layer, Record, Resources, Run, RunFolder, Seconds, Sink};
use thingsvision::images::ImageList;
use thingsvision::registry::Registry;
use thingsvision::weights::Store;
use wanted::{Space, Wanted, choices, resources, wanted};

/// Extracts what is wanted, and prints where it is.
pub fn run(arguments: &Extract, registry: Option<&Path>, store: &Store, printer: Printer) -> Result<()> {
    let registry = Registry::load(registry)?;
    // The names first: a wrong one must not wait for all images to be looked at.
    choices(arguments, &registry)?;
    let stimuli = Stimuli::find(arguments)?;
    let Finished { folders, without_rdm } = extract(arguments, &registry, store, &stimuli, printer)?;
    // Only now, when nothing can be lost by a reader that went away.
    for folder in folders {
        printer.data(&folder.display().to_string())?;
    }
    let skipped = stimuli.images.skipped.len();
    if skipped > 0 {
        printer.note(&format!("left out {} that cannot be read; skipped.txt lists them", count_of(skipped, "file")));
    }
    without_rdm.map_or(Ok(()), Err)
}

/// Runs that are whole.
pub struct Finished {
    /// Of each model.
    pub folders: Vec<PathBuf>,
    /// Why a layer has no RDM, if one has none.
    pub without_rdm: Option<anyhow::Error>,
}

/// Checks everything, then extracts, then computes the RDMs.
pub fn extract(arguments: &Extract, registry: &Registry, store: &Store, stimuli: &Stimuli, printer: Printer) -> Result<Finished> {
    let wanted = wanted(arguments, choices(arguments, registry)?, &stimuli.images)?;
    for wanted in &wanted {
        RunFolder::check(&wanted.folder, &stimuli.images.origin, arguments.force)?;
    }
    let (device, no_cuda) = device::open(arguments.device)?;
    let space = Space::check(arguments, &wanted, stimuli.rows())?;
    let machine = Machine { device, resources: resources(arguments, &wanted, stimuli)? };
    let (models, records) = load(arguments, registry, store, &wanted, &machine, stimuli, printer)?;
    summarise(arguments, &wanted, &records, stimuli, &space, machine.resources, printer);
    if let Some(reason) = no_cuda {
        printer.fact("", &format!("not on CUDA: {reason}"));
    }

    let start = Instant::now();
    let mut unfinished = Vec::new();
    let mut runs = Vec::new();
    for ((wanted, model), record) in wanted.iter().zip(models).zip(&records) {
        let folder = RunFolder::begin(&wanted.folder, arguments.force, record, &stimuli.files()?)?;
        runs.push(begin(arguments, wanted, &folder.place(), model, record, stimuli)?);
        unfinished.push(folder);
    }
    let (seconds, damaged) = run_all(runs, &stimuli.images, machine.resources, printer)?;
    printer.fact("took", &took(&seconds, start.elapsed().as_secs_f64(), stimuli.images.len()));

    if let Some(first) = damaged.first() {
        let count = count_of(damaged.len(), "damaged image");
        printer.fact("", &format!("{count} read as Pillow does, among them `{first}`; run.json lists them"));
    }
    let mut faults = Vec::new();
    for ((mut record, seconds), folder) in records.into_iter().zip(seconds).zip(unfinished) {
        let seconds = Seconds { wall: start.elapsed().as_secs_f64(), ..seconds };
        record.damaged_images = damaged.clone();
        faults.extend(rdms::finish(arguments, &folder.place(), record, seconds, stimuli.row_ids(), printer)?);
        folder.finish()?;
    }
    let folders = wanted.into_iter().map(|wanted| wanted.folder).collect();
    Ok(Finished { folders, without_rdm: faults.into_iter().next() })
}

fn summarise(
    arguments: &Extract,
    wanted: &[Wanted],
    records: &[Record],
    stimuli: &Stimuli,
    space: &Space,
    resources: Resources,
    printer: Printer,
) {
    for (wanted, record) in wanted.iter().zip(records) {
        printer.fact("model", &format!("{}, weights {}", record.model, record.weights.describe()));
        printer.fact("pixels", &record.preprocessing.describe());
        printer.fact("layers", &describe(&wanted.layers, &wanted.shapes));
    }
    printer.fact("images", &stimuli.images.summary());
    if let Some(conditions) = &stimuli.conditions {
        printer.fact("rows", &format!("{}, the mean of each folder", count_of(conditions.ids.len(), "condition")));
    }
    if let Some(first) = stimuli.lost.first() {
        printer.fact("", &format!("no image can be read of {}, among them `{first}`", count_of(stimuli.lost.len(), "condition")));
    }
    stimuli.images.notes().iter().for_each(|note| printer.fact("", note));
    printer.fact("writes", &format!("{} to {} ({} free)", bytes(space.needed), arguments.out.display(), bytes(space.free)));
    let Resources { batch_size, workers, threads } = resources;
    let workers = count_of(workers, "worker");
    let threads = if threads > 1 { format!(" of {threads} threads") } else { String::new() };
    printer.fact("runs on", &format!("{}, {workers}{threads}, batches of {batch_size}", records[0].device));
}

fn describe(layers: &[Layer], shapes: &[Vec<usize>]) -> String {
    match (layers, shapes) {
        ([layer], [sizes]) => format!("{} ({})", layer.name, shape(sizes)),
        _ => format!("{} in one pass, which stops after {}", layers.len(), layers[layers.len() - 1].name),
    }
}

/// Runs all networks over all images; the files of the activations are whole after it. Returns where the time went, and
/// which images are damaged.
fn run_all(runs: Vec<Run>, images: &ImageList, resources: Resources, printer: Printer) -> Result<(Vec<Seconds>, Vec<String>)> {
    let damaged = Mutex::default();
    let bar = printer.progress("extract", images.len());
    let extraction = Extraction { runs: &runs, images, resources, damaged: &damaged, progress: &|images| bar.inc(images as u64) };
    let seconds = extraction.run()?;
    bar.finish_and_clear();
    runs.into_iter().flat_map(|run| run.sinks).try_for_each(Sink::finish)?;
    let damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((seconds, damaged.into_iter().map(|i| images.ids[i].clone()).collect()))
}

fn took(seconds: &[Seconds], wall: f64, images: usize) -> String {
    let sum = |part: fn(&Seconds) -> f64| seconds.iter().map(part).sum::<f64>();
    format!(
        "{wall:.1} s, {:.1} images/s; summed over workers: decoding {:.1} s, network {:.1} s, writing {:.1} s",
        images as f64 / wall,
        seconds[0].decoding,
        sum(|seconds| seconds.network),
        sum(|seconds| seconds.writing)
    )
}

fn count_of(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}
