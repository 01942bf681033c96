//! What a request comes to on this machine: every name, file, shape and folder resolved once, before anything is written.

use super::difference::Difference;
use super::files;
use super::fit_on::FitOn;
use super::folder::RunFolder;
use super::layers::{Layer, resolve};
use super::part::Rows;
use super::record::{Record, Reduced};
use super::reduce;
use super::request::{Request, RunRdm};
use super::resources::{Demand, Resources, per_image};
use super::shown::{Shown, Texts};
use super::sources::Sources;
use super::stimuli::Stimuli;
use crate::atomic_file::{free_space, lines, partial};
use crate::confine::Landlock;
use crate::device;
use crate::error::advise;
use crate::hash::sha256;
use crate::libtorch;
use crate::models::{Model, UnfitSize};
use crate::nn::{self, Interpolation, Trace};
use crate::numbers::bytes;
use crate::readout::{Places, Readout, Tokens};
use crate::reduce::{Method, Projection};
use crate::registry::Choice;
use crate::run::{LayerRecord, is_run, read_record};
use crate::weights::{Located, Provenance, outline};
use anyhow::Result;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Kind};

/// The runs of a request, each of one model, that have not begun.
pub struct Plan<'a> {
    /// What was asked for.
    pub request: &'a Request,
    pub(super) sources: &'a Sources,
    /// The images.
    pub stimuli: &'a Stimuli,
    /// One for each model.
    pub runs: Vec<PlannedRun<'a>>,
    pub(super) device: Device,
    /// Why that is not CUDA though there is a driver.
    pub(super) no_cuda: Option<String>,
    /// Of weights and activations.
    pub(super) kind: Kind,
    pub(super) resources: Resources,
    /// The rows that are made.
    pub(super) part: Range<usize>,
}

/// A model, and what is wanted of it.
pub struct PlannedRun<'a> {
    /// The model.
    pub choice: Choice<'a>,
    /// Its weights.
    pub weights: Located<'a>,
    /// The layers that are not there because the weights have no classifier, and why.
    pub(super) absent: Option<(Vec<String>, String)>,
    /// Where the run goes.
    pub folder: PathBuf,
    /// What is kept, in the order in which the network computes it.
    pub layers: Vec<Layer>,
    /// The shape of a row of each layer, after the readout and as it is stored.
    pub shapes: Vec<Vec<usize>>,
    /// The shape of a row after the readout, of each layer that is reduced after it.
    pub(super) full: Vec<Option<Vec<usize>>>,
    /// If rows are projected on the components of another run: that.
    pub(super) fit_on: Option<FitOn>,
    /// Multiplications for each image, up to the last layer.
    pub multiplications: f64,
    /// The network that was followed in a dry run: of a built-in one without weights.
    pub(super) outline: Model,
    /// What the network is shown.
    pub(super) shown: Shown,
    /// Of texts, how that came about.
    pub(super) texts: Option<Texts>,
    pub(super) calls: nn::Plan,
    pub(super) readout: Readout,
    /// Which tokens are special, if that is known.
    tokens: Option<Tokens>,
    /// What an image takes in a pass.
    bytes_per_image: usize,
    /// Of learnt positions.
    interpolation: Option<Interpolation>,
    /// The modules whose convolutions have a form with fewer multiplications, and the bytes of weights in it.
    winograd: (Vec<String>, usize),
}

/// A network that is ready, and the beginning of the record of its run.
pub(super) struct Loaded<'p, 'a> {
    pub(super) planned: &'p PlannedRun<'a>,
    pub(super) model: Model,
    pub(super) record: Record,
    /// How rows are made shorter as they come, of each layer.
    pub(super) projections: Vec<Option<Arc<Projection>>>,
}

/// What is in the place of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// All that it would write.
    Done,
    /// Nothing that counts.
    Missing,
    /// Nothing, and the weights have to be fetched.
    Unfetched,
    /// A run that differs in this.
    Changed(Vec<Difference>),
}

impl<'a> Plan<'a> {
    /// Resolves `request` with networks from `sources`, for `stimuli`.
    pub fn new(request: &'a Request, sources: &'a Sources, stimuli: &'a Stimuli) -> Result<Plan<'a>> {
        Plan::of(request, sources, sources.choices(request)?, stimuli)
    }

    /// The same, of its models as `sources` have resolved them.
    pub(super) fn of(
        request: &'a Request,
        sources: &'a Sources,
        choices: Vec<(Choice<'a>, PathBuf)>,
        stimuli: &'a Stimuli,
    ) -> Result<Plan<'a>> {
        let runs: Vec<PlannedRun> = choices
            .into_iter()
            .map(|(choice, folder)| PlannedRun::new(request, sources, stimuli, choice, folder))
            .collect::<Result<_>>()?;
        let (device, no_cuda) = device::open(request.device)?;
        let kind = request.precision.prepare(device)?;
        let resources = resources(request, &runs, stimuli, device == Device::Cpu && kind != Kind::Float)?;
        let mut plan = Plan { request, sources, stimuli, runs, device, no_cuda, kind, resources, part: 0..0 };
        plan.part = plan.rows().of_shard(request.shard)?;
        Ok(plan)
    }

    /// How images make rows.
    pub(super) fn rows(&self) -> Rows<'a> {
        let conditions = self.stimuli.conditions.as_ref();
        Rows { images: self.stimuli.images.len(), batch_size: self.resources.batch_size, conditions }
    }

    /// Fails if a run would lie among the images.
    pub(crate) fn check_places(&self) -> Result<()> {
        self.runs.iter().try_for_each(|run| RunFolder::check_place(&run.folder, &self.stimuli.images.origin))
    }

    /// What is in the place of a run.
    pub fn state(&self, run: &PlannedRun) -> Result<State> {
        let Some(weights) = run.weights.provenance()? else { return Ok(State::Unfetched) };
        if !is_run(&run.folder) || !read_record(&run.folder)?.complete {
            return Ok(State::Missing);
        }
        let differences = self.record(run, weights).differences(&run.folder, false)?;
        Ok(if differences.is_empty() { State::Done } else { State::Changed(differences) })
    }

    /// What a run will write, in bytes.
    pub fn size(&self, run: &PlannedRun) -> u64 {
        let units = |shape: &Vec<usize>| shape.iter().product::<usize>();
        let (rows, values) = (self.part.len(), run.shapes.iter().map(units).sum::<usize>());
        let rdm = if self.request.rdm == RunRdm::None { 0 } else { rows * rows * 4 };
        // Full rows that are reduced later, and principal components.
        let full = || run.full.iter().flatten().map(units);
        let reduction = &self.request.reduction;
        let later = if reduction.is_last() { full().sum::<usize>() * rows * 4 } else { 0 };
        let components = if reduction.method == Some(Method::Pca) {
            run.shapes.iter().zip(&run.full).filter_map(|(shape, full)| Some(units(shape) * units(full.as_ref()?) * 4)).sum()
        } else {
            0
        };
        let (format, dtype) = (self.request.format, self.request.dtype);
        // Of a form that is made at the end, NumPy's files are there until theirs are, layer by layer.
        let beside = match format.is_made_at_the_end() {
            true => rows * dtype.bytes() * run.shapes.iter().map(units).max().unwrap_or(0),
            false => 0,
        };
        (format.size(rows * values, dtype) + beside + rdm * run.shapes.len() + later + components) as u64
    }

    /// Whether modules of a run are computed together.
    fn has_kernels(&self, run: &PlannedRun) -> bool {
        !run.is_exact(self.request) && self.device == Device::Cpu && self.kind == Kind::Float && nn::can_fuse()
    }

    /// The beginning of the record of a run with weights of this provenance.
    pub(super) fn record(&self, run: &PlannedRun, weights: Provenance) -> Record {
        let Plan { request, stimuli, .. } = *self;
        let with_rdm = request.rdm == RunRdm::Correlation;
        let directory = request.directory.clone().or_else(|| std::env::current_dir().ok());
        let layer = |((layer, shape), full): ((&Layer, &Vec<usize>), &Option<Vec<usize>>)| {
            let file = files::name(&layer.name, request.format, request.one_file);
            let stored = LayerRecord::new(&layer.name, shape, file, with_rdm);
            full.as_ref().map_or(stored.clone(), |full| stored.reduced_from(full.clone()))
        };
        Record {
            program: concat!("thingsvision ", env!("CARGO_PKG_VERSION")).to_owned(),
            libtorch: libtorch::version().to_owned(),
            complete: false,
            command: request.command.clone(),
            // Of names that are not UTF-8 nothing is recorded, and the run cannot be resumed but by its command.
            request: serde_json::to_value(request).ok(),
            directory: directory.filter(|directory| directory.to_str().is_some()).unwrap_or_default(),
            shard: request.shard,
            model: run.choice.name(),
            weights,
            architecture: (!run.choice.is_exported()).then(|| format!("{:?}", run.choice.with_classes())),
            activation: run.choice.activation,
            preprocessing: run.shown.preprocessing().cloned(),
            texts: run.texts.clone(),
            positions: run.interpolation,
            readout: run.readout,
            tokens: run.tokens,
            dtype: request.dtype,
            format: request.format,
            one_file: request.one_file,
            alignment: None,
            reduction: Reduced::of(
                &request.reduction,
                stimuli.rows(),
                request.seed,
                run.fit_on.as_ref().map(|fit_on| fit_on.hash.clone()),
            ),
            device: device::name(self.device),
            batch_size: self.resources.batch_size,
            precision: request.precision,
            exact: run.is_exact(request),
            winograd: if self.has_kernels(run) { run.winograd.0.clone() } else { Vec::new() },
            landlock: run.choice.is_exported().then(Landlock::here),
            image_origin: stimuli.images.origin.clone(),
            exif_orientation: stimuli.images.reading.upright,
            max_pixels: stimuli.images.reading.max_pixels,
            skip_unreadable: request.skip_unreadable,
            images: stimuli.rows(),
            images_sha256: sha256(lines(stimuli.row_ids())),
            contents_sha256: sha256(&stimuli.checksums),
            averaged: stimuli.averaged(),
            conditions_sha256: stimuli.conditions_sha256.clone(),
            skipped_images: stimuli.images.skipped.clone(),
            other_files: stimuli.images.others.clone(),
            damaged_images: Vec::new(),
            on_constant: request.on_constant,
            layers: run.layers.iter().zip(&run.shapes).zip(&run.full).map(layer).collect(),
            seconds: None,
        }
    }
}

impl<'a> PlannedRun<'a> {
    fn new(
        request: &Request,
        sources: &Sources,
        stimuli: &Stimuli,
        choice: Choice<'a>,
        folder: PathBuf,
    ) -> Result<PlannedRun<'a>> {
        let (shown, texts) = Shown::of(request, sources, stimuli, &choice)?;
        let size = shown.size();
        let weights = Located::find(&sources.registry, &sources.store, choice, &request.weights, request.seed)?;
        let choice = weights.choice();
        let outline = outline(&choice)?;
        let mut trace = outline.trace(size).map_err(|error| too_small_or_large(&choice, size, error))?;
        weights.mark(outline.manifest(), &mut trace);
        let absent = weights.absent(outline.manifest(), &trace);
        let default = [choice.entry.default_layer.clone()];
        let (names, readout) = match request.layers.as_slice() {
            [] => (&default[..], choice.entry.default_readout),
            layers => (layers, Readout::None),
        };
        let readout = if texts.is_some() { Readout::Eot } else { readout };
        let readout = request.readout.unwrap_or(readout);
        let mut layers = resolve(&asked(&choice), outline.manifest(), &trace, names)?;
        if request.tokens.is_some() && !readout.reads_tokens() {
            return Err(advise(
                "--tokens is of no effect on a readout that does not tell tokens apart",
                "leave it out, or take --readout cls, patches or cls+patches",
            ));
        }
        let tokens = request.tokens.or(choice.entry.tokens);
        layers.iter_mut().for_each(|layer| layer.places = Places { tokens, of_texts: texts.is_some(), ..layer.places });
        if request.tokens.is_none() && readout.reads_tokens() && texts.is_none() {
            check_tokens(&layers, &trace)?;
        }
        let shape = |layer: &Layer| readout.shape(&layer.name, &layer.shape, layer.places);
        let mut shapes: Vec<Vec<usize>> = layers.iter().map(shape).collect::<Result<_>>()?;
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        let fit_on = request.reduction.fit_on.as_deref().map(|folder| FitOn::read(folder, &names)).transpose()?;
        let full = reduce::shorten(&request.reduction, stimuli.rows(), fit_on.as_ref(), &names, &mut shapes)?;
        check_rdm(request.rdm, &layers, &shapes)?;
        files::check(request.format, request.dtype, &names, &shapes)?;
        let calls: Vec<_> = layers.iter().map(|layer| layer.call).collect();
        let last = calls.iter().max().map_or(0, |last| last + 1);
        Ok(PlannedRun {
            weights,
            absent,
            multiplications: outline.manifest().multiplications(&trace.calls[..last]),
            calls: nn::Plan::new(&trace, &calls),
            bytes_per_image: per_image(&trace),
            interpolation: trace.interpolation,
            winograd: outline.manifest().winograd(&trace.calls[..last]),
            choice,
            folder,
            layers,
            shapes,
            full,
            fit_on,
            outline,
            shown,
            texts,
            readout,
            tokens,
        })
    }

    /// Whether each module is computed by itself, in PyTorch's order of operations: an exported network always is.
    fn is_exact(&self, request: &Request) -> bool {
        request.exact || self.choice.is_exported()
    }
}

/// Fails if a layer of which an RDM is wanted gives a single number.
fn check_rdm(rdm: RunRdm, layers: &[Layer], shapes: &[Vec<usize>]) -> Result<()> {
    match layers.iter().zip(shapes).find(|(_, shape)| shape.is_empty() && rdm != RunRdm::None) {
        Some((layer, _)) => Err(advise(
            format!("`{}` gives one number for each image, which has no RDM", layer.name),
            "extract it without: --rdm none",
        )),
        None => Ok(()),
    }
}

/// Fails if a layer has as many tokens less than others as are special: it is one where they have not come in yet.
fn check_tokens(layers: &[Layer], trace: &Trace) -> Result<()> {
    for Layer { name, shape, places, .. } in layers {
        let (&[number, _], Some(tokens)) = (&shape[..], places.tokens.filter(|tokens| tokens.number() > 0)) else { continue };
        let with = number + tokens.number();
        if trace.calls.iter().any(|call| call.shape.len() == 3 && call.shape[1] == with as i64) {
            return Err(advise(
                format!("`{name}` has {number} tokens where other layers have {with}: those of `{tokens}` are not among them"),
                "give it a run of its own with --tokens none, or take --readout none",
            ));
        }
    }
    Ok(())
}

/// Why a network could not be traced, if it was to see another size than it was made for.
pub fn too_small_or_large(choice: &Choice, [height, width]: [usize; 2], error: anyhow::Error) -> anyhow::Error {
    let Some(own) = choice.preprocessing.filter(|own| own.shown_always() != Some([height, width])) else { return error };
    let own = own.describe();
    let sizes = match error.downcast_ref::<UnfitSize>() {
        Some(sizes) => sizes.to_string(),
        None => "many networks take this size only".to_owned(),
    };
    advise(
        format!("`{}` cannot take images of {width} × {height} pixels", choice.entry.name),
        format!("its own preprocessing is: {own}; {sizes}"),
    )
}

/// The name of a model as a user may give it again to `thingsvision layers`.
fn asked(choice: &Choice) -> String {
    if choice.architecture.context().is_some() {
        return format!("{} --texts", choice.name());
    }
    let file = choice.weights.file.as_ref().filter(|_| choice.is_exported() && choice.entry.aliases.len() == 1);
    file.map_or_else(|| choice.name(), |file| file.display().to_string())
}

/// How the work is divided; `coarse` if in numbers of less than 32 bits, whose kernels look at the size of a batch.
fn resources(request: &Request, runs: &[PlannedRun], stimuli: &Stimuli, coarse: bool) -> Result<Resources> {
    let row = |run: &PlannedRun| run.shapes.iter().map(|shape| shape.iter().product::<usize>() * size_of::<f64>()).sum::<usize>();
    let sums = stimuli.conditions.as_ref().map_or(0, |conditions| conditions.most_open() * runs.iter().map(row).sum::<usize>());
    let parameters = |run: &PlannedRun| run.outline.manifest().parameters() as usize;
    let transformed = |run: &PlannedRun| if run.is_exact(request) { 0 } else { run.winograd.1 };
    let projections = |run: &PlannedRun| reduce::memory(&request.reduction, &run.full, &run.shapes);
    let weights =
        |run: &PlannedRun| parameters(run).saturating_mul(4).saturating_add(transformed(run)).saturating_add(projections(run));
    let demand = Demand {
        images: stimuli.images.len(),
        per_image: runs.iter().map(|run| run.bytes_per_image).max().unwrap_or(0),
        beside: runs.iter().map(weights).fold(sums, usize::saturating_add),
        exact: request.exact || coarse,
        rows_stand_alone: !coarse && runs.iter().all(|run| run.outline.rows_stand_alone() && !run.is_exact(request)),
        batch_size: request.batch_size.map(|size| size as usize),
        workers: request.workers.map(|workers| workers as usize),
    };
    demand.meet()
}

/// In bytes.
pub(super) struct Space {
    pub(super) needed: u64,
    pub(super) free: u64,
}

impl Space {
    /// Fails if the disk has no room for all runs.
    pub(super) fn check(plan: &Plan, runs: &[PlannedRun]) -> Result<Space> {
        let out = &plan.request.out;
        let free = free_space(out)?;
        // What an unfinished run takes already is not needed again.
        let of_run = |run: &PlannedRun| plan.size(run).saturating_sub(occupied(&partial(&run.folder)));
        let needed = runs.iter().map(of_run).sum();
        if needed > free {
            return Err(advise(
                format!("{} are to be written, and the disk of `{}` has {} free", bytes(needed), out.display(), bytes(free)),
                "take fewer layers, --readout mean, --dtype f16, --rdm none, or another disk with --out",
            ));
        }
        Ok(Space { needed, free })
    }
}

/// What the files in a folder take of the disk.
fn occupied(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}
