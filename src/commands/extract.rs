//! `thingsvision extract`

use super::shape;
use crate::cli::{Extract, RdmOption};
use crate::printer::{Printer, bytes, count};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tch::Device;
use thingsvision::advice::advise;
use thingsvision::extract::{Extraction, Layer, LayerRecord, Record, Run, RunFolder, Seconds, resolve};
use thingsvision::images::ImageList;
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
    let wanted = wanted(arguments, &registry)?;
    let images = ImageList::find(&arguments.images)?;
    for wanted in &wanted {
        RunFolder::check(&wanted.folder, &arguments.images, arguments.force)?;
    }
    let (device, no_cuda) = device::open(arguments.device)?;
    let space = Space::check(arguments, &wanted, images.len())?;
    let workers = workers(arguments, &wanted, images.len())?;
    let (models, records) = load(arguments, &registry, store, &wanted, device, &images, printer)?;
    summarise(arguments, &wanted, &records, &images, &space, workers, printer);
    if let Some(reason) = no_cuda {
        printer.fact("", &format!("not on CUDA: {reason}"));
    }

    let start = Instant::now();
    let mut unfinished = Vec::new();
    let mut runs = Vec::new();
    for ((wanted, model), record) in wanted.iter().zip(models).zip(&records) {
        let folder = RunFolder::begin(&wanted.folder, arguments.force, record, &images.text())?;
        runs.push(begin(arguments, wanted, &folder.place(), model, record)?);
        unfinished.push(folder);
    }
    let (seconds, damaged) = run_all(arguments, runs, &images, workers, printer)?;
    printer.fact("took", &took(&seconds, start.elapsed().as_secs_f64(), images.len()));

    if let Some(first) = damaged.first() {
        let count = count_of(damaged.len(), "damaged image");
        printer.fact("", &format!("{count} read as Pillow does, among them `{first}`; run.json lists them"));
    }
    let mut faults = Vec::new();
    for ((mut record, seconds), folder) in records.into_iter().zip(seconds).zip(unfinished) {
        let seconds = Seconds { wall: start.elapsed().as_secs_f64(), ..seconds };
        record.damaged_images = damaged.clone();
        faults.extend(finish(arguments, &folder.place(), record, seconds, &images, printer)?);
        folder.finish()?;
    }
    // Only now, when nothing can be lost by a reader that went away.
    for wanted in &wanted {
        printer.data(&wanted.folder.display().to_string())?;
    }
    faults.into_iter().next().map_or(Ok(()), Err)
}

fn summarise(
    arguments: &Extract,
    wanted: &[Wanted],
    records: &[Record],
    images: &ImageList,
    space: &Space,
    workers: usize,
    printer: Printer,
) {
    for (wanted, record) in wanted.iter().zip(records) {
        printer.fact("model", &format!("{}, weights {}", record.model, record.weights.describe()));
        printer.fact("pixels", &format!("as Pillow 13 and torchvision: {}", record.preprocessing.describe()));
        printer.fact("layers", &describe(&wanted.layers, &wanted.shapes));
    }
    let workers = count_of(workers, "worker");
    printer.fact("images", &images.summary());
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
    runs.into_iter().flat_map(|run| run.files).try_for_each(RowFile::finish)?;
    let damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((seconds, damaged.into_iter().map(|i| images.ids[i].clone()).collect()))
}

/// Computes the RDMs of a run and completes its record. Returns why a layer has none.
fn finish(
    arguments: &Extract,
    folder: &Path,
    mut record: Record,
    seconds: Seconds,
    images: &ImageList,
    printer: Printer,
) -> Result<Option<anyhow::Error>> {
    let start = Instant::now();
    let without = rdms_of(arguments, folder, &mut record.layers, images);
    let rdm = start.elapsed().as_secs_f64();
    let written = record.layers.iter().filter(|layer| layer.rdm.is_some()).count();
    if written > 0 {
        let n = count(images.len());
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

fn wanted<'a>(arguments: &Extract, registry: &'a Registry) -> Result<Vec<Wanted<'a>>> {
    let wanted = arguments.models.iter().map(|name| {
        let choice = registry.choose(name)?;
        let network = Model::without_weights(&choice.entry.architecture)?;
        let trace = network.trace(choice.preprocessing.crop as i64)?;
        let default = [choice.entry.default_layer.clone()];
        let (names, readout) = match arguments.layers.as_slice() {
            [] => (&default[..], choice.entry.default_readout),
            layers => (layers, Readout::None),
        };
        let readout = arguments.readout.unwrap_or(readout);
        let layers = resolve(&choice.entry.name, &network.manifest, &trace, names)?;
        let calls: Vec<_> = layers.iter().map(|layer| layer.call).collect();
        let shapes = layers.iter().map(|layer| readout.shape(&layer.name, &layer.shape)).collect::<Result<_>>()?;
        let folder = folder(arguments, &choice);
        let (bytes_per_image, parameters) = (extract::per_image(&trace), network.manifest.parameters() as usize);
        Ok(Wanted { choice, plan: Plan::new(&trace, &calls), layers, readout, shapes, folder, bytes_per_image, parameters })
    });
    let wanted: Vec<Wanted> = wanted.collect::<Result<_>>()?;
    for (i, one) in wanted.iter().enumerate() {
        if wanted[..i].iter().any(|other| other.folder == one.folder) {
            return Err(advise(format!("`{}` is asked for twice", one.choice.name()), "name each model once"));
        }
    }
    Ok(wanted)
}

/// `activations/alexnet.random-0`.
fn folder(arguments: &Extract, choice: &Choice) -> PathBuf {
    let tags: Vec<_> = choice.entry.weights.iter().map(|weights| weights.tag.as_str()).collect();
    let label = arguments.weights.label(arguments.seed, &tags).map(|label| format!(".{label}")).unwrap_or_default();
    arguments.out.join(choice.name() + &label)
}

/// One a core, but no more than there are batches, or memory for.
fn workers(arguments: &Extract, wanted: &[Wanted], images: usize) -> Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = arguments.workers.map_or(cores, |workers| workers as usize);
    let batch = arguments.batch_size as usize;
    let each = wanted.iter().map(|wanted| wanted.bytes_per_image).max().unwrap_or(0);
    let weights = wanted.iter().map(|wanted| wanted.parameters * 4).sum();
    extract::workers(asked.min(images.div_ceil(batch)), each.saturating_mul(batch), weights)
}

/// In bytes.
struct Space {
    needed: u64,
    free: u64,
}

impl Space {
    /// Fails if the disk has no room for all runs.
    fn check(arguments: &Extract, wanted: &[Wanted], images: usize) -> Result<Space> {
        let out = &arguments.out;
        let existing = out.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        let free = fs4::available_space(existing);
        let free = free.with_context(|| format!("cannot tell the free space of `{}`", existing.display()))?;
        let needed = wanted.iter().map(|wanted| size(arguments, &wanted.shapes, images)).sum();
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
fn size(arguments: &Extract, shapes: &[Vec<usize>], images: usize) -> u64 {
    let row: usize = shapes.iter().map(|shape| shape.iter().product::<usize>() * arguments.dtype.bytes()).sum();
    let rdm = if arguments.rdm == RdmOption::None { 0 } else { images * images * 4 };
    (row * images + rdm * shapes.len()) as u64
}

fn load(
    arguments: &Extract,
    registry: &Registry,
    store: &Store,
    wanted: &[Wanted],
    device: Device,
    images: &ImageList,
    printer: Printer,
) -> Result<(Vec<Model>, Vec<Record>)> {
    let mut models = Vec::new();
    let mut records = Vec::new();
    for Wanted { choice, layers, readout, shapes, .. } in wanted {
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
            preprocessing: choice.preprocessing.clone(),
            readout: *readout,
            dtype: arguments.dtype,
            device: name(device),
            batch_size: arguments.batch_size as usize,
            image_root: std::path::absolute(&arguments.images)?,
            images: images.len(),
            images_sha256: images.sha256(),
            damaged_images: Vec::new(),
            layers: layers.iter().zip(shapes).map(|(layer, shape)| layer_record(arguments, layer, shape)).collect(),
            seconds: None,
        });
    }
    Ok((models, records))
}

fn begin(arguments: &Extract, wanted: &Wanted, place: &Path, model: Model, record: &Record) -> Result<Run> {
    let create = |layer: &LayerRecord| RowFile::create(&place.join(&layer.file), record.images, &layer.shape, arguments.dtype);
    Ok(Run {
        model,
        plan: wanted.plan.clone(),
        layers: wanted.layers.clone(),
        files: record.layers.iter().map(create).collect::<Result<_>>()?,
        preprocessing: wanted.choice.preprocessing.clone(),
        readout: wanted.readout,
        dtype: arguments.dtype,
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
fn rdms_of(arguments: &Extract, folder: &Path, layers: &mut [LayerRecord], images: &ImageList) -> Option<anyhow::Error> {
    let mut without = Vec::new();
    let mut reason = None;
    for layer in layers {
        let Some(rdm) = &layer.rdm else { continue };
        let write = || -> Result<()> {
            let features = Matrix::open(&folder.join(&layer.file))?;
            let name = |row: usize| format!("`{}`", images.ids[row]);
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
