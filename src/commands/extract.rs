//! `thingsvision extract`

use super::shape;
use crate::cli::{Extract, RdmOption};
use crate::printer::{Printer, bytes, count};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::Device;
use thingsvision::advice::advise;
use thingsvision::extract::{Extraction, Layer, LayerRecord, Record, RunFolder, Seconds, resolve};
use thingsvision::images::ImageList;
use thingsvision::models::Model;
use thingsvision::nn::Plan;
use thingsvision::npy::{self, Matrix, RowFile};
use thingsvision::rdm::Metric;
use thingsvision::registry::{Choice, Registry};
use thingsvision::{device, weights};

/// Checks everything, then extracts, then computes the RDMs.
pub fn run(arguments: &Extract, printer: Printer) -> Result<()> {
    let registry = Registry::builtin()?;
    let choice = registry.choose(&arguments.model)?;
    let (layers, plan) = layers(arguments, &choice)?;
    let shapes: Vec<_> = layers.iter().map(|layer| arguments.readout.shape(&layer.name, &layer.shape)).collect::<Result<_>>()?;
    let images = ImageList::find(&arguments.images)?;
    let folder = folder(arguments, &choice);
    RunFolder::check(&folder, &arguments.images, arguments.force)?;
    let (device, no_cuda) = device::open(arguments.device)?;
    let (state, provenance) = weights::load(&choice, &arguments.weights, arguments.seed)?;
    let model = Model::new(&choice.entry.architecture, state, device)?;

    let workers = workers(arguments, images.len());
    let size = size(arguments, &shapes, images.len());
    let free = free_space(&folder)?;
    printer.fact("model", &format!("{}, weights {}", choice.name(), provenance.describe()));
    printer.fact("images", &images.summary());
    printer.fact("pixels", &format!("as Pillow 13 and torchvision: {}", choice.preprocessing.describe()));
    printer.fact("layers", &describe(&layers, &shapes));
    printer.fact("writes", &format!("{}, {} ({} free)", folder.display(), bytes(size), bytes(free)));
    printer.fact("runs on", &format!("{}, {}, batches of {}", name(device), count_of(workers, "worker"), arguments.batch_size));
    if let Some(reason) = no_cuda {
        printer.fact("", &format!("not on CUDA: {reason}"));
    }
    if size > free {
        return Err(advise(
            format!("the run needs {} and the disk of `{}` has {} free", bytes(size), folder.display(), bytes(free)),
            "take fewer layers, --readout mean, --dtype f16, --rdm none, or another disk with --out",
        ));
    }

    let mut record = Record {
        program: format!("thingsvision {}", env!("CARGO_PKG_VERSION")),
        libtorch: "2.11.0",
        complete: false,
        model: choice.name(),
        weights: provenance,
        preprocessing: choice.preprocessing.clone(),
        readout: arguments.readout,
        dtype: arguments.dtype,
        device: name(device),
        batch_size: arguments.batch_size as usize,
        image_root: std::path::absolute(&arguments.images)?,
        images: images.len(),
        images_sha256: images.sha256(),
        layers: layers.iter().zip(&shapes).map(|(layer, shape)| layer_record(arguments, layer, shape)).collect(),
        seconds: None,
    };
    let start = Instant::now();
    let unfinished = RunFolder::begin(&folder, &record, &images.text())?;
    let files: Vec<_> = record
        .layers
        .iter()
        .map(|layer| RowFile::create(&folder.join(&layer.file), images.len(), &layer.shape, arguments.dtype))
        .collect::<Result<_>>()?;
    let bar = printer.progress("extract", images.len());
    let extraction = Extraction {
        model: &model,
        plan: &plan,
        layers: &layers,
        files: &files,
        images: &images,
        preprocessing: choice.preprocessing,
        readout: arguments.readout,
        dtype: arguments.dtype,
        batch_size: arguments.batch_size as usize,
        workers,
        progress: &|images| bar.inc(images as u64),
    };
    let mut seconds = extraction.run()?;
    bar.finish_and_clear();
    files.into_iter().try_for_each(RowFile::finish)?;
    printer.fact("took", &took(&seconds, start.elapsed().as_secs_f64(), images.len()));

    let rdms = Instant::now();
    let faults = rdms_of(&folder, &mut record.layers, &images)?;
    seconds.rdm = rdms.elapsed().as_secs_f64();
    seconds.wall = start.elapsed().as_secs_f64();
    record.complete = true;
    record.seconds = Some(seconds);
    record.write(&folder)?;
    unfinished.keep();
    let written = record.layers.iter().filter(|layer| layer.rdm.is_some()).count();
    if written > 0 {
        let n = count(images.len());
        printer.fact("RDMs", &format!("{written} of {n} × {n}, 1 − Pearson's r, in {:.1} s", seconds.rdm));
    }
    printer.data(&folder.display().to_string())?;
    faults.map_or(Ok(()), Err)
}

fn layers(arguments: &Extract, choice: &Choice) -> Result<(Vec<Layer>, Plan)> {
    let model = Model::without_weights(&choice.entry.architecture)?;
    let trace = model.trace(choice.preprocessing.crop as i64)?;
    let default = [choice.entry.default_layer.clone()];
    let wanted = if arguments.layers.is_empty() { &default[..] } else { &arguments.layers };
    let layers = resolve(&choice.entry.name, &model.manifest, &trace, wanted)?;
    let calls: Vec<_> = layers.iter().map(|layer| layer.call).collect();
    Ok((layers, Plan::new(&trace, &calls)))
}

/// `activations/alexnet.random-0`.
fn folder(arguments: &Extract, choice: &Choice) -> PathBuf {
    let label = arguments.weights.label(arguments.seed).map(|label| format!(".{label}")).unwrap_or_default();
    arguments.out.join(choice.name() + &label)
}

/// One a core, but no more than there are batches.
fn workers(arguments: &Extract, images: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = arguments.workers.map_or(cores, |workers| workers as usize);
    wanted.min(images.div_ceil(arguments.batch_size as usize))
}

/// What the run will write, in bytes.
fn size(arguments: &Extract, shapes: &[Vec<usize>], images: usize) -> u64 {
    let row: usize = shapes.iter().map(|shape| shape.iter().product::<usize>() * arguments.dtype.bytes()).sum();
    let rdm = if arguments.rdm == RdmOption::None { 0 } else { images * images * 4 };
    (row * images + rdm * shapes.len()) as u64
}

fn free_space(folder: &Path) -> Result<u64> {
    let existing = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    fs4::available_space(existing).with_context(|| format!("cannot tell the free space of `{}`", existing.display()))
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
    }
}

fn took(seconds: &Seconds, wall: f64, images: usize) -> String {
    format!(
        "{wall:.1} s, {:.0} images/s; summed over workers: decoding {:.1} s, network {:.1} s, writing {:.1} s",
        images as f64 / wall,
        seconds.decoding,
        seconds.network,
        seconds.writing
    )
}

/// Computes the RDM of each layer that is to have one. Where there can be none (a constant row) the record says so, and
/// the first such layer and its reason are returned.
fn rdms_of(folder: &Path, layers: &mut [LayerRecord], images: &ImageList) -> Result<Option<anyhow::Error>> {
    let mut without = Vec::new();
    let mut reason = None;
    for layer in layers {
        let Some(rdm) = &layer.rdm else { continue };
        let features = Matrix::open(&folder.join(&layer.file))?;
        match Metric::Correlation.rdm(&features, &|row| format!("`{}`", images.ids[row])) {
            Ok(distances) => npy::write(&folder.join(rdm), &distances.into_dyn())?,
            Err(fault) => {
                reason.get_or_insert(fault);
                without.push(format!("`{}`", layer.name));
                layer.rdm = None;
            }
        }
    }
    Ok(reason.map(|reason| reason.context(format!("the activations are whole, but there is no RDM of {}", without.join(", ")))))
}
