//! From what is wanted to runs: networks with their weights, records, and files to write to.

use super::stimuli::Stimuli;
use super::wanted::{Wanted, is_exact};
use crate::cli::{Extract, RdmOption};
use crate::printer::Printer;
use anyhow::Result;
use std::ops::Range;
use std::path::Path;
use tch::Device;
use thingsvision::atomic_file;
use thingsvision::device;
use thingsvision::extract::{self, Averaged, Layer, Record, Resources, Run, Sink};
use thingsvision::models::Model;
use thingsvision::npy::RowFile;
use thingsvision::registry::Registry;
use thingsvision::run::LayerRecord;
use thingsvision::weights::{self, Provenance, Store};

/// Where networks run, and how the work is divided there.
pub struct Machine {
    pub device: Device,
    pub resources: Resources,
}

/// The networks and the beginnings of their records.
pub fn load(
    arguments: &Extract,
    registry: &Registry,
    store: &Store,
    wanted: &[Wanted],
    machine: &Machine,
    stimuli: &Stimuli,
    printer: Printer,
) -> Result<(Vec<Model>, Vec<Record>)> {
    let kind = arguments.precision.prepare(machine.device)?;
    let mut models = Vec::new();
    let mut records = Vec::new();
    for wanted in wanted {
        let choice = &wanted.choice;
        let bar = printer.download(&choice.name());
        let mut progress = |arrived, total| bar.at(arrived, total);
        let source = (&arguments.weights, arguments.seed);
        let on = (machine.device, kind);
        let (model, provenance) = weights::network(registry, store, choice, source, on, &wanted.outline, &mut progress)?;
        bar.finish();
        if choice.is_exported() && machine.device != Device::Cpu {
            // The first run there compiles the network, which workers have no stack for.
            model.trace(wanted.shown)?;
        }
        models.push(if arguments.exact { model.exact() } else { model });
        records.push(record(arguments, wanted, machine, stimuli, provenance));
    }
    Ok((models, records))
}

/// The beginning of the record of a run with weights of this provenance.
pub fn record(arguments: &Extract, wanted: &Wanted, machine: &Machine, stimuli: &Stimuli, weights: Provenance) -> Record {
    let Wanted { choice, preprocessing, layers, readout, tokens, shapes, .. } = wanted;
    Record {
        program: format!("thingsvision {}", env!("CARGO_PKG_VERSION")),
        libtorch: device::LIBTORCH_VERSION.to_owned(),
        complete: false,
        command: arguments.command.clone(),
        directory: std::env::current_dir().unwrap_or_default(),
        shard: arguments.shard,
        model: choice.name(),
        weights,
        preprocessing: preprocessing.clone(),
        readout: *readout,
        tokens: *tokens,
        dtype: arguments.dtype,
        device: name(machine.device),
        batch_size: machine.resources.batch_size,
        precision: arguments.precision,
        exact: is_exact(arguments, choice),
        image_origin: stimuli.images.origin.clone(),
        exif_orientation: stimuli.images.reading.upright,
        max_pixels: stimuli.images.reading.max_pixels,
        skip_unreadable: arguments.images.skip_unreadable,
        images: stimuli.rows(),
        images_sha256: extract::sha256(&atomic_file::lines(stimuli.row_ids())),
        contents_sha256: extract::sha256(&stimuli.checksums),
        averaged: stimuli.conditions.as_ref().map(|_| Averaged { by: "folder".into(), images: stimuli.images.len() }),
        skipped_images: stimuli.images.skipped.clone(),
        damaged_images: Vec::new(),
        on_constant: arguments.on_constant,
        layers: layers.iter().zip(shapes).map(|(layer, shape)| layer_record(arguments, layer, shape)).collect(),
        seconds: None,
    }
}

/// The files of the `part` of a run in `place`, and all that goes to them; `keep` what is there.
pub fn begin<'a>(
    wanted: &Wanted,
    place: &Path,
    model: Model,
    record: &Record,
    stimuli: &'a Stimuli,
    part: Range<usize>,
    keep: bool,
) -> Result<Run<'a>> {
    let sink = |layer: &LayerRecord| -> Result<Sink> {
        let file = RowFile::open(&place.join(&layer.file), part.len(), &layer.shape, record.dtype, keep)?;
        Ok(Sink::new(file, record.dtype, stimuli.conditions.as_ref(), part.clone()))
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

fn layer_record(arguments: &Extract, layer: &Layer, shape: &[usize]) -> LayerRecord {
    LayerRecord {
        name: layer.name.clone(),
        shape: shape.to_vec(),
        file: format!("{}.npy", layer.name),
        // Of a part there is none.
        rdm: (arguments.rdm == RdmOption::Correlation).then(|| format!("{}.rdm.npy", layer.name)),
        blake3: None,
        rdm_blake3: None,
        without_rdm: None,
    }
}

fn name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".into(),
    }
}
