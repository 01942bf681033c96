//! `thingsvision extract`

mod again;
mod join;
pub mod planned;
pub mod rdms;
mod runs;
mod stimuli;
pub mod stop;
mod wanted;

use super::registry_for;
use crate::cli::Extract;
use crate::printer::Printer;
pub use again::{Again, again};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use planned::{State, state};
use runs::{Machine, begin, load};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
pub use stimuli::Stimuli;
use stop::{Interrupted, Stop};
use thingsvision::device;
use thingsvision::error::{Advice, advise};
use thingsvision::extract::{Done, Extraction, Journal, Layer, Record, Resources, Rows, Run, RunFolder, Seconds, Sink, Worked};
use thingsvision::images::ImageList;
use thingsvision::numbers::{bytes, count, count_of, shape};
use thingsvision::registry::Registry;
use thingsvision::run::{Shard, is_run, read_record};
use thingsvision::weights::Store;
use wanted::{Space, Wanted, choices, resources, wanted};

/// Extracts what is wanted, and prints where it is.
pub fn run(arguments: &Extract, registry: Option<&Path>, store: &Store, printer: Printer) -> Result<()> {
    let registry = registry_for(&arguments.models, registry, store, printer)?;
    // The names first: a wrong one must not wait for all images to be looked at.
    choices(arguments, &registry)?;
    if arguments.join && arguments.models.len() > 1 {
        return Err(advise("--join takes one --model", "give each model a command of its own"));
    }
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

/// Checks everything, then extracts, then computes the RDMs. Runs that are there already are not made again.
pub fn extract(arguments: &Extract, registry: &Registry, store: &Store, stimuli: &Stimuli, printer: Printer) -> Result<Finished> {
    let all = wanted(arguments, registry, store, &stimuli.images, printer)?;
    let folders: Vec<PathBuf> = all.iter().map(|wanted| wanted.folder.clone()).collect();
    let (device, no_cuda) = device::open(arguments.device)?;
    let machine = Machine { device, resources: resources(arguments, &all, stimuli)? };
    let mut wanted = Vec::new();
    let mut lacking = None;
    for one in all {
        if is_done(arguments, &one, store, &machine, stimuli)? {
            printer.note(&format!("`{}` is there already, and is what this command would make", one.folder.display()));
            lacking = lacking.or(layer_without_rdm(&one.folder)?);
        } else {
            RunFolder::check(&one.folder, &stimuli.images.origin, arguments.force)?;
            wanted.push(one);
        }
    }
    let without_rdm = if wanted.is_empty() {
        lacking
    } else {
        let runs = Making { arguments, registry, store, stimuli, printer };
        runs.make(wanted, machine, no_cuda)?.or(lacking)
    };
    Ok(Finished { folders, without_rdm })
}

/// Whether the run is there, whole, and the same; one that differs is an error that spells out how.
fn is_done(arguments: &Extract, wanted: &Wanted, store: &Store, machine: &Machine, stimuli: &Stimuli) -> Result<bool> {
    let folder = &wanted.folder;
    // Of a run that is not there nobody needs to know the weights yet.
    if arguments.force || !is_run(folder) {
        return Ok(false);
    }
    match state(arguments, wanted, store, machine, stimuli)? {
        State::Done => Ok(true),
        State::Missing | State::Unfetched => Ok(false),
        State::Changed(differences) => Err(advise(
            format!("there is another run in `{}`: {}", folder.display(), differences.join("; ")),
            "replace it with --force, or keep it and name another place with --out",
        )),
    }
}

/// Why a layer of the run in `folder` has no RDM, if one has none.
fn layer_without_rdm(folder: &Path) -> Result<Option<anyhow::Error>> {
    let layers = read_record(folder)?.layers;
    let found = layers.into_iter().find_map(|layer| Some((layer.name, layer.without_rdm?)));
    Ok(found.map(|(name, reason)| {
        advise(
            format!("the activations are whole, but there is no RDM of `{name}`: {reason}"),
            "make the run anew with --force and --on-constant nan or drop",
        )
    }))
}

/// What the making of runs needs.
struct Making<'a> {
    arguments: &'a Extract,
    registry: &'a Registry,
    store: &'a Store,
    stimuli: &'a Stimuli,
    printer: Printer,
}

impl Making<'_> {
    /// Makes runs, or goes on with them; returns why a layer has no RDM.
    fn make(&self, wanted: Vec<Wanted>, machine: Machine, no_cuda: Option<String>) -> Result<Option<anyhow::Error>> {
        let Making { arguments, registry, store, stimuli, printer } = *self;
        let resources = machine.resources;
        let rows =
            Rows { images: stimuli.images.len(), batch_size: resources.batch_size, conditions: stimuli.conditions.as_ref() };
        let part = rows.of_shard(arguments.shard)?;
        let space = Space::check(arguments, &wanted, part.len())?;
        let (models, records) = load(arguments, registry, store, &wanted, &machine, stimuli, printer)?;
        summarise(arguments, &wanted, &records, stimuli, &space, resources, printer);
        if let Some(reason) = no_cuda {
            printer.fact("", &format!("not on CUDA: {reason}"));
        }
        if arguments.join {
            let (model, record) = models.into_iter().zip(records).next().context("one model is loaded")?;
            return self.join(&wanted[0], model, record, resources, rows);
        }
        let start = Instant::now();
        let mut folders = Vec::new();
        for (wanted, record) in wanted.iter().zip(&records) {
            folders.push(RunFolder::begin(&wanted.folder, arguments.force, record, &stimuli.files()?, Some(&rows))?);
        }
        // What is done in all.
        let mut done = folders[0].done.clone();
        for folder in &folders[1..] {
            done.rows.retain(|row| folder.done.rows.contains(row));
            done.damaged.extend(&folder.done.damaged);
        }
        let batches = rows.batches(&part, &done);
        self.say_part(&rows, &part, &done, &batches);
        let mut runs = Vec::new();
        let mut journals = Vec::new();
        for (((wanted, model), record), folder) in wanted.iter().zip(models).zip(&records).zip(&folders) {
            let keep = !folder.done.rows.is_empty();
            runs.push(begin(wanted, &folder.place(), model, record, stimuli, part.clone(), keep)?);
            journals.push(Journal::open(&folder.place())?);
        }
        let work = Work { images: &stimuli.images, resources, rows, part, batches, done };
        let (seconds, damaged) = work.run(runs, journals, printer)?;
        printer.fact("took", &took(&seconds, start.elapsed().as_secs_f64(), work.images_of_batches()));
        let runs = records.into_iter().zip(seconds).zip(folders).map(|((record, seconds), folder)| (record, seconds, folder));
        self.finish(runs.collect(), damaged, start)
    }

    /// Does what is left when all activations are there; returns why a layer has no RDM.
    fn finish(
        &self,
        runs: Vec<(Record, Seconds, RunFolder)>,
        damaged: BTreeSet<usize>,
        start: Instant,
    ) -> Result<Option<anyhow::Error>> {
        let Making { stimuli, printer, .. } = *self;
        let damaged: Vec<String> = damaged.into_iter().map(|i| stimuli.images.ids[i].clone()).collect();
        if let Some(first) = damaged.first() {
            let count = count_of(damaged.len(), "damaged image");
            printer.fact("", &format!("{count} read as Pillow does, among them `{first}`; run.json lists them"));
        }
        let mut faults = Vec::new();
        for (mut record, seconds, folder) in runs {
            if let Some(interrupted) = Stop::listen().interrupted() {
                return Err(go_on(interrupted, "all images are done, and RDMs are missing"));
            }
            let seconds = Seconds { wall: start.elapsed().as_secs_f64(), ..seconds };
            record.damaged_images = damaged.clone();
            faults.extend(rdms::finish(&folder.place(), record, seconds, stimuli.row_ids(), printer)?);
            folder.finish()?;
        }
        Ok(faults.into_iter().next())
    }

    /// Says which part is made, and what is there already.
    fn say_part(&self, rows: &Rows, part: &Range<usize>, done: &Done, batches: &[usize]) {
        if let Some(Shard { number, of }) = self.arguments.shard {
            let first = &self.stimuli.row_ids()[part.start];
            self.printer.fact("shard", &format!("{number} of {of}: {} rows from `{first}` on", count(part.len())));
        }
        if !done.rows.is_empty() {
            let all = rows.batches(part, &Done::default()).len();
            let kept = count_of(done.rows.len(), "row");
            self.printer.fact("goes on", &format!("{kept} from before; {} of {all} batches are left", batches.len()));
        }
    }
}

/// Why a run was stopped, and how it goes on.
fn go_on(interrupted: Interrupted, state: &str) -> anyhow::Error {
    anyhow::Error::new(interrupted).context(Advice {
        problem: format!("{interrupted}: {state}"),
        hint: "the same command goes on from there, or `thingsvision resume` with the run's folder".into(),
    })
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

/// Images that go through networks.
struct Work<'a> {
    images: &'a ImageList,
    resources: Resources,
    rows: Rows<'a>,
    part: Range<usize>,
    batches: Vec<usize>,
    done: Done,
}

impl Work<'_> {
    fn images_of_batches(&self) -> usize {
        let size = self.resources.batch_size;
        self.batches.iter().map(|batch| self.images.len().min((batch + 1) * size) - batch * size).sum()
    }

    /// Runs all networks over the images; the files of the activations are whole after it. Returns where the time went, and
    /// which images are damaged.
    fn run(&self, runs: Vec<Run>, journals: Vec<Journal>, printer: Printer) -> Result<(Vec<Seconds>, BTreeSet<usize>)> {
        let damaged = Mutex::new(self.done.damaged.clone());
        let bar = printer.progress("extract", self.images_of_batches());
        let worked = self.extract(&runs, journals, &damaged, &bar)?;
        let images = count(bar.position());
        bar.finish_and_clear();
        if let (false, Some(interrupted)) = (worked.whole, Stop::listen().interrupted()) {
            return Err(go_on(interrupted, &format!("{images} images were done and are kept")));
        }
        runs.into_iter().flat_map(|run| run.sinks).try_for_each(Sink::finish)?;
        Ok((worked.seconds, damaged.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    fn extract(
        &self,
        runs: &[Run],
        journals: Vec<Journal>,
        damaged: &Mutex<BTreeSet<usize>>,
        bar: &ProgressBar,
    ) -> Result<Worked> {
        let extraction = Extraction {
            runs,
            images: self.images,
            resources: self.resources,
            rows: self.rows,
            part: self.part.clone(),
            batches: &self.batches,
            damaged,
            progress: &|images| bar.inc(images as u64),
            stop: &Stop::listen().wanted,
        };
        extraction.run(journals)
    }
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
