//! `thingsvision extract`

use super::shape;
use crate::cli::{AverageBy, Extract, RdmOption};
use crate::printer::{Printer, bytes, count};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tch::Device;
use thingsvision::advice::advise;
use thingsvision::extract::{Averaged, Extraction, Layer, LayerRecord, Record, Run, RunFolder, Seconds, Sink, resolve};
use thingsvision::images::{Conditions, ImageList, Preprocessing, Reading, Wanted as WantedImages};
use thingsvision::models::Model;
use thingsvision::nn::Plan;
use thingsvision::npy::{self, Matrix, RowFile};
use thingsvision::rdm::Metric;
use thingsvision::readout::Readout;
use thingsvision::registry::{Choice, Registry};
use thingsvision::weights::Store;
use thingsvision::{device, extract, weights};

/// Checks everything, then extracts, then computes the RDMs.
pub fn run(arguments: &Extract, registry: Option<&Path>, store: &Store, printer: Printer) -> Result<()> {
    let registry = Registry::load(registry)?;
    let choices = choices(arguments, &registry)?;
    let stimuli = Stimuli::find(arguments)?;
    let wanted = wanted(arguments, choices, &stimuli.images)?;
    for wanted in &wanted {
        RunFolder::check(&wanted.folder, &stimuli.images.origin, arguments.force)?;
    }
    let (device, no_cuda) = device::open(arguments.device)?;
    let space = Space::check(arguments, &wanted, stimuli.rows())?;
    let workers = workers(arguments, &wanted, &stimuli)?;
    let (models, records) = load(arguments, &registry, store, &wanted, device, &stimuli, printer)?;
    summarise(arguments, &wanted, &records, &stimuli, &space, workers, printer);
    if let Some(reason) = no_cuda {
        printer.fact("", &format!("not on CUDA: {reason}"));
    }

    let start = Instant::now();
    let mut unfinished = Vec::new();
    let mut runs = Vec::new();
    for ((wanted, model), record) in wanted.iter().zip(models).zip(&records) {
        let folder = RunFolder::begin(&wanted.folder, arguments.force, record, &stimuli.files()?)?;
        runs.push(begin(arguments, wanted, &folder.place(), model, record, &stimuli)?);
        unfinished.push(folder);
    }
    let (seconds, damaged) = run_all(arguments, runs, &stimuli.images, workers, printer)?;
    printer.fact("took", &took(&seconds, start.elapsed().as_secs_f64(), stimuli.images.len()));

    if let Some(first) = damaged.first() {
        let count = count_of(damaged.len(), "damaged image");
        printer.fact("", &format!("{count} read as Pillow does, among them `{first}`; run.json lists them"));
    }
    let mut faults = Vec::new();
    for ((mut record, seconds), folder) in records.into_iter().zip(seconds).zip(unfinished) {
        let seconds = Seconds { wall: start.elapsed().as_secs_f64(), ..seconds };
        record.damaged_images = damaged.clone();
        faults.extend(finish(arguments, &folder.place(), record, seconds, stimuli.row_ids(), printer)?);
        folder.finish()?;
    }
    // Only now, when nothing can be lost by a reader that went away.
    for wanted in &wanted {
        printer.data(&wanted.folder.display().to_string())?;
    }
    let skipped = stimuli.images.skipped.len();
    if skipped > 0 {
        printer.note(&format!("left out {} that cannot be read; skipped.txt lists them", count_of(skipped, "file")));
    }
    faults.into_iter().next().map_or(Ok(()), Err)
}

/// The images, and what rows they make.
struct Stimuli {
    images: ImageList,
    /// If a row is the mean of several images.
    conditions: Option<Conditions>,
}

impl Stimuli {
    fn find(arguments: &Extract) -> Result<Stimuli> {
        let images = &arguments.images;
        let reading = Reading { max_pixels: images.max_pixels, upright: images.exif_orientation };
        let images = ImageList::find(&WantedImages {
            images: &images.images,
            list: images.image_list.as_deref(),
            dataset: images.dataset.as_deref(),
            indices: images.indices.as_deref(),
            reading,
            skip_unreadable: images.skip_unreadable,
        })?;
        let conditions = match arguments.average_by {
            Some(AverageBy::Folder) => Some(Conditions::by_folder(&images.ids)?),
            None => None,
        };
        Ok(Stimuli { images, conditions })
    }

    /// The name of each row, for messages and images.txt.
    fn row_ids(&self) -> &[String] {
        self.conditions.as_ref().map_or(&self.images.ids, |conditions| &conditions.ids)
    }

    fn rows(&self) -> usize {
        self.row_ids().len()
    }

    /// What stands beside the layers in the folder of a run.
    fn files(&self) -> Result<Vec<(&'static str, String)>> {
        let mut files = vec![("images.txt", extract::lines(self.row_ids()))];
        if let Some(conditions) = &self.conditions {
            files.push(("conditions.csv", conditions.csv(&self.images.ids)?));
        }
        if !self.images.skipped.is_empty() {
            let lines: Vec<_> = self.images.skipped.iter().map(|skipped| format!("{}\t{}", skipped.id, skipped.reason)).collect();
            files.push(("skipped.txt", extract::lines(&lines)));
        }
        Ok(files)
    }
}

fn summarise(
    arguments: &Extract,
    wanted: &[Wanted],
    records: &[Record],
    stimuli: &Stimuli,
    space: &Space,
    workers: usize,
    printer: Printer,
) {
    for (wanted, record) in wanted.iter().zip(records) {
        printer.fact("model", &format!("{}, weights {}", record.model, record.weights.describe()));
        printer.fact("pixels", &record.preprocessing.describe());
        printer.fact("layers", &describe(&wanted.layers, &wanted.shapes));
    }
    let workers = count_of(workers, "worker");
    printer.fact("images", &stimuli.images.summary());
    if let Some(conditions) = &stimuli.conditions {
        printer.fact("rows", &format!("{}, the mean of each folder", count_of(conditions.ids.len(), "condition")));
    }
    stimuli.images.notes().iter().for_each(|note| printer.fact("", note));
    printer.fact("writes", &format!("{} to {} ({} free)", bytes(space.needed), arguments.out.display(), bytes(space.free)));
    printer.fact("runs on", &format!("{}, {workers}, batches of {}", records[0].device, arguments.batch_size));
}

/// Runs all networks over all images; the files of the activations are whole after it. Returns where the time went, and
/// which images are damaged.
fn run_all(
    arguments: &Extract,
    runs: Vec<Run>,
    images: &ImageList,
    workers: usize,
    printer: Printer,
) -> Result<(Vec<Seconds>, Vec<String>)> {
    let damaged = Mutex::default();
    let bar = printer.progress("extract", images.len());
    let extraction = Extraction {
        runs: &runs,
        images,
        batch_size: arguments.batch_size as usize,
        workers,
        damaged: &damaged,
        progress: &|images| bar.inc(images as u64),
    };
    let seconds = extraction.run()?;
    bar.finish_and_clear();
    runs.into_iter().flat_map(|run| run.sinks).try_for_each(Sink::finish)?;
    let damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((seconds, damaged.into_iter().map(|i| images.ids[i].clone()).collect()))
}

/// Computes the RDMs of a run and completes its record. Returns why a layer has none.
fn finish(
    arguments: &Extract,
    folder: &Path,
    mut record: Record,
    seconds: Seconds,
    rows: &[String],
    printer: Printer,
) -> Result<Option<anyhow::Error>> {
    let start = Instant::now();
    let without = rdms_of(arguments, folder, &mut record.layers, rows);
    let rdm = start.elapsed().as_secs_f64();
    let written = record.layers.iter().filter(|layer| layer.rdm.is_some()).count();
    if written > 0 {
        let n = count(rows.len());
        printer.fact("RDMs", &format!("{written} of {n} × {n}, 1 − Pearson's r, in {rdm:.1} s"));
    }
    record.complete = true;
    record.seconds = Some(Seconds { rdm, wall: seconds.wall + rdm, ..seconds });
    record.write(folder)?;
    Ok(without)
}

/// A model and what is wanted of it.
struct Wanted<'a> {
    choice: Choice<'a>,
    preprocessing: Preprocessing,
    /// Height and width of what the network is shown.
    shown: [usize; 2],
    layers: Vec<Layer>,
    plan: Plan,
    readout: Readout,
    /// The shape of a row of each layer, after the readout.
    shapes: Vec<Vec<usize>>,
    folder: PathBuf,
    /// What an image takes in a pass.
    bytes_per_image: usize,
    parameters: usize,
}

/// The models by their names, each once.
fn choices<'a>(arguments: &Extract, registry: &'a Registry) -> Result<Vec<Choice<'a>>> {
    let choices: Vec<_> = arguments.models.iter().map(|name| registry.choose(name)).collect::<Result<_>>()?;
    for (i, choice) in choices.iter().enumerate() {
        if choices[..i].iter().any(|other| folder(arguments, other) == folder(arguments, choice)) {
            return Err(advise(format!("`{}` is asked for twice", choice.name()), "name each model once"));
        }
    }
    Ok(choices)
}

fn wanted<'a>(arguments: &Extract, choices: Vec<Choice<'a>>, images: &ImageList) -> Result<Vec<Wanted<'a>>> {
    let wanted = choices.into_iter().map(|choice| {
        let preprocessing = arguments.pixels.preprocessing(choice.preprocessing);
        let shown = images.shown(&preprocessing)?;
        let network = Model::without_weights(&choice.entry.architecture)?;
        let trace = network.trace(shown).map_err(|error| too_small_or_large(&choice, shown, error))?;
        let default = [choice.entry.default_layer.clone()];
        let (names, readout) = match arguments.layers.as_slice() {
            [] => (&default[..], choice.entry.default_readout),
            layers => (layers, Readout::None),
        };
        let readout = arguments.readout.unwrap_or(readout);
        let layers = resolve(&choice.entry.name, &network.manifest, &trace, names)?;
        let calls: Vec<_> = layers.iter().map(|layer| layer.call).collect();
        let shapes = layers.iter().map(|layer| readout.shape(&layer.name, &layer.shape)).collect::<Result<_>>()?;
        let (bytes_per_image, parameters) = (extract::per_image(&trace), network.manifest.parameters() as usize);
        let (folder, plan) = (folder(arguments, &choice), Plan::new(&trace, &calls));
        Ok(Wanted { choice, preprocessing, shown, plan, layers, readout, shapes, folder, bytes_per_image, parameters })
    });
    wanted.collect()
}

/// Why a network could not be traced, if it was to see another size than it was made for.
fn too_small_or_large(choice: &Choice, [height, width]: [usize; 2], error: anyhow::Error) -> anyhow::Error {
    if choice.preprocessing.shown_always() == Some([height, width]) {
        return error;
    }
    let own = choice.preprocessing.describe();
    advise(
        format!("`{}` cannot take images of {width} × {height} pixels", choice.entry.name),
        format!("its own preprocessing is: {own}; many networks take this size only"),
    )
}

/// `activations/alexnet.random-0`.
fn folder(arguments: &Extract, choice: &Choice) -> PathBuf {
    let tags: Vec<_> = choice.entry.weights.iter().map(|weights| weights.tag.as_str()).collect();
    let label = arguments.weights.label(arguments.seed, &tags).map(|label| format!(".{label}")).unwrap_or_default();
    arguments.out.join(choice.name() + &label)
}

/// One a core, but no more than there are batches, or memory for.
fn workers(arguments: &Extract, wanted: &[Wanted], stimuli: &Stimuli) -> Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = arguments.workers.map_or(cores, |workers| workers as usize);
    let batch = arguments.batch_size as usize;
    let each = wanted.iter().map(|wanted| wanted.bytes_per_image).max().unwrap_or(0);
    let weights: usize = wanted.iter().map(|wanted| wanted.parameters * 4).sum();
    let row =
        |wanted: &Wanted| wanted.shapes.iter().map(|shape| shape.iter().product::<usize>() * size_of::<f64>()).sum::<usize>();
    let sums = stimuli.conditions.as_ref().map_or(0, |conditions| conditions.most_open() * wanted.iter().map(row).sum::<usize>());
    extract::workers(asked.min(stimuli.images.len().div_ceil(batch)), each.saturating_mul(batch), weights.saturating_add(sums))
}

/// In bytes.
struct Space {
    needed: u64,
    free: u64,
}

impl Space {
    /// Fails if the disk has no room for all runs.
    fn check(arguments: &Extract, wanted: &[Wanted], rows: usize) -> Result<Space> {
        let out = &arguments.out;
        let existing = out.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        let free = fs4::available_space(existing);
        let free = free.with_context(|| format!("cannot tell the free space of `{}`", existing.display()))?;
        let needed = wanted.iter().map(|wanted| size(arguments, &wanted.shapes, rows)).sum();
        if needed > free {
            return Err(advise(
                format!("{} are to be written, and the disk of `{}` has {} free", bytes(needed), out.display(), bytes(free)),
                "take fewer layers, --readout mean, --dtype f16, --rdm none, or another disk with --out",
            ));
        }
        Ok(Space { needed, free })
    }
}

/// What a run will write, in bytes.
fn size(arguments: &Extract, shapes: &[Vec<usize>], rows: usize) -> u64 {
    let row: usize = shapes.iter().map(|shape| shape.iter().product::<usize>() * arguments.dtype.bytes()).sum();
    let rdm = if arguments.rdm == RdmOption::None { 0 } else { rows * rows * 4 };
    (row * rows + rdm * shapes.len()) as u64
}

fn load(
    arguments: &Extract,
    registry: &Registry,
    store: &Store,
    wanted: &[Wanted],
    device: Device,
    stimuli: &Stimuli,
    printer: Printer,
) -> Result<(Vec<Model>, Vec<Record>)> {
    let mut models = Vec::new();
    let mut records = Vec::new();
    for Wanted { choice, preprocessing, layers, readout, shapes, .. } in wanted {
        let bar = printer.download(&choice.name());
        let mut progress = |arrived, total| bar.at(arrived, total);
        let (state, provenance) = weights::load(registry, store, choice, &arguments.weights, arguments.seed, &mut progress)?;
        bar.finish();
        models.push(Model::new(&choice.entry.architecture, state, device)?);
        records.push(Record {
            program: format!("thingsvision {}", env!("CARGO_PKG_VERSION")),
            libtorch: device::LIBTORCH_VERSION,
            complete: false,
            model: choice.name(),
            weights: provenance,
            preprocessing: preprocessing.clone(),
            readout: *readout,
            dtype: arguments.dtype,
            device: name(device),
            batch_size: arguments.batch_size as usize,
            image_origin: stimuli.images.origin.clone(),
            exif_orientation: stimuli.images.reading.upright,
            images: stimuli.rows(),
            images_sha256: extract::sha256(stimuli.row_ids()),
            averaged: stimuli.conditions.as_ref().map(|_| Averaged { by: "folder", images: stimuli.images.len() }),
            skipped_images: stimuli.images.skipped.clone(),
            damaged_images: Vec::new(),
            layers: layers.iter().zip(shapes).map(|(layer, shape)| layer_record(arguments, layer, shape)).collect(),
            seconds: None,
        });
    }
    Ok((models, records))
}

fn begin<'a>(
    arguments: &Extract,
    wanted: &Wanted,
    place: &Path,
    model: Model,
    record: &Record,
    stimuli: &'a Stimuli,
) -> Result<Run<'a>> {
    let sink = |layer: &LayerRecord| -> Result<Sink> {
        let file = RowFile::create(&place.join(&layer.file), record.images, &layer.shape, arguments.dtype)?;
        Ok(Sink::new(file, arguments.dtype, stimuli.conditions.as_ref()))
    };
    Ok(Run {
        model,
        plan: wanted.plan.clone(),
        layers: wanted.layers.clone(),
        sinks: record.layers.iter().map(sink).collect::<Result<_>>()?,
        preprocessing: wanted.preprocessing.clone(),
        shown: wanted.shown,
        readout: wanted.readout,
    })
}

fn describe(layers: &[Layer], shapes: &[Vec<usize>]) -> String {
    match (layers, shapes) {
        ([layer], [sizes]) => format!("{} ({})", layer.name, shape(sizes)),
        _ => format!("{} in one pass, which stops after {}", layers.len(), layers[layers.len() - 1].name),
    }
}

fn name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".into(),
    }
}

fn count_of(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

fn layer_record(arguments: &Extract, layer: &Layer, shape: &[usize]) -> LayerRecord {
    LayerRecord {
        name: layer.name.clone(),
        shape: shape.to_vec(),
        file: format!("{}.npy", layer.name),
        rdm: (arguments.rdm == RdmOption::Correlation).then(|| format!("{}.rdm.npy", layer.name)),
        without_rdm: None,
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

/// Computes the RDM of each layer that is to have one. Where there can be none (a constant row, a full disk) the record
/// says so, and the reason is returned: the activations are whole all the same.
fn rdms_of(arguments: &Extract, folder: &Path, layers: &mut [LayerRecord], rows: &[String]) -> Option<anyhow::Error> {
    let mut without = Vec::new();
    let mut reason = None;
    for layer in layers {
        let Some(rdm) = &layer.rdm else { continue };
        let write = || -> Result<()> {
            let features = Matrix::open(&folder.join(&layer.file))?;
            let name = |row: usize| format!("`{}`", rows[row]);
            npy::write(&folder.join(rdm), &Metric::Correlation.rdm(&features, arguments.on_constant, &name)?.into_dyn())
        };
        if let Err(fault) = write() {
            layer.without_rdm = Some(fault.to_string());
            reason.get_or_insert(fault);
            without.push(format!("`{}`", layer.name));
            layer.rdm = None;
        }
    }
    let problem = format!("the activations are whole, but there is no RDM of {}", without.join(", "));
    reason.map(|reason| reason.context(problem))
}
