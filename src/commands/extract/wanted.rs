//! What is wanted of each model, and whether this machine has room for it.

use super::stimuli::Stimuli;
use crate::cli::{Extract, RdmOption};
use crate::printer::Printer;
use anyhow::Result;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use thingsvision::atomic_file;
use thingsvision::error::advise;
use thingsvision::extract::{self, Demand, Layer, Resources, resolve};
use thingsvision::images::{ImageList, Preprocessing};
use thingsvision::models::Model;
use thingsvision::nn::{Plan, Trace, rows_stand_alone};
use thingsvision::numbers::bytes;
use thingsvision::readout::{Readout, Tokens};
use thingsvision::registry::{Choice, Registry};
use thingsvision::run::Shard;
use thingsvision::weights::{self, Store, Weights};

/// A model and what is wanted of it.
pub struct Wanted<'a> {
    pub choice: Choice<'a>,
    /// The network that was followed in a dry run: of a built-in one without weights.
    pub outline: Model,
    pub preprocessing: Preprocessing,
    /// Height and width of what the network is shown.
    pub shown: [usize; 2],
    pub layers: Vec<Layer>,
    pub plan: Plan,
    pub readout: Readout,
    /// Which tokens are special, if that is known.
    pub tokens: Option<Tokens>,
    /// The shape of a row of each layer, after the readout.
    pub shapes: Vec<Vec<usize>>,
    pub folder: PathBuf,
    /// What an image takes in a pass.
    pub bytes_per_image: usize,
    pub parameters: usize,
    /// For each image, up to the last layer.
    pub multiplications: f64,
}

/// The models by their names, each once.
pub fn choices<'a>(arguments: &Extract, registry: &'a Registry) -> Result<Vec<Choice<'a>>> {
    let choices: Vec<_> = arguments.models.iter().map(|name| registry.choose(name)).collect::<Result<_>>()?;
    for (i, choice) in choices.iter().enumerate() {
        if choice.is_exported() && arguments.weights != Weights::Pretrained {
            return Err(advise(
                format!("`{}` is an exported network, and has the weights that are in its file", choice.name()),
                "leave --weights out; examples/export_model.py exports networks with other weights (--random, --checkpoint)",
            ));
        }
        if choices[..i].iter().any(|other| folder(arguments, other) == folder(arguments, choice)) {
            return Err(advise(format!("`{}` is asked for twice", choice.name()), "name each model once"));
        }
    }
    Ok(choices)
}

/// The networks of `registry` that are asked for; exported ones are fetched if need be.
pub fn wanted<'a>(
    arguments: &Extract,
    registry: &'a Registry,
    store: &Store,
    images: &ImageList,
    printer: Printer,
) -> Result<Vec<Wanted<'a>>> {
    let wanted = choices(arguments, registry)?.into_iter().map(|choice| {
        let preprocessing = arguments.pixels.preprocessing(registry, &choice)?;
        let shown = images.shown(&preprocessing)?;
        let bar = printer.download(&choice.name());
        let outline = weights::outline(store, &choice, &mut |arrived, total| bar.at(arrived, total))?;
        bar.finish();
        let trace = outline.trace(shown).map_err(|error| too_small_or_large(&choice, shown, error))?;
        let default = [choice.entry.default_layer.clone()];
        let (names, readout) = match arguments.layers.as_slice() {
            [] => (&default[..], choice.entry.default_readout),
            layers => (layers, Readout::None),
        };
        let readout = arguments.readout.unwrap_or(readout);
        let mut layers = resolve(&asked(&choice), outline.manifest(), &trace, names)?;
        let tokens = arguments.tokens.or(choice.entry.tokens);
        layers.iter_mut().for_each(|layer| layer.places.tokens = tokens);
        if arguments.tokens.is_none() && readout.reads_tokens() {
            check_tokens(&layers, &trace)?;
        }
        let calls: Vec<_> = layers.iter().map(|layer| layer.call).collect();
        let shapes: Vec<Vec<usize>> =
            layers.iter().map(|layer| readout.shape(&layer.name, &layer.shape, layer.places)).collect::<Result<_>>()?;
        let number = layers.iter().zip(&shapes).find(|(_, shape)| shape.is_empty() && arguments.rdm != RdmOption::None);
        if let Some((layer, _)) = number {
            return Err(advise(
                format!("`{}` gives one number for each image, which has no RDM", layer.name),
                "extract it without: --rdm none",
            ));
        }
        let (bytes_per_image, parameters) = (extract::per_image(&trace), outline.manifest().parameters() as usize);
        let (folder, plan) = (folder(arguments, &choice), Plan::new(&trace, &calls));
        let last = calls.iter().max().map_or(0, |last| last + 1);
        let multiplications = outline.manifest().multiplications(&trace.calls[..last]);
        Ok(Wanted {
            choice,
            outline,
            preprocessing,
            shown,
            plan,
            layers,
            readout,
            tokens,
            shapes,
            folder,
            bytes_per_image,
            parameters,
            multiplications,
        })
    });
    wanted.collect()
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
fn too_small_or_large(choice: &Choice, [height, width]: [usize; 2], error: anyhow::Error) -> anyhow::Error {
    let Some(own) = choice.preprocessing.filter(|own| own.shown_always() != Some([height, width])) else { return error };
    let own = own.describe();
    advise(
        format!("`{}` cannot take images of {width} × {height} pixels", choice.entry.name),
        format!("its own preprocessing is: {own}; many networks take this size only"),
    )
}

/// Whether each module is computed by itself, in PyTorch's order of operations: an exported network always is.
pub fn is_exact(arguments: &Extract, choice: &Choice) -> bool {
    arguments.exact || choice.is_exported()
}

/// The name of a model as a user may give it again.
fn asked(choice: &Choice) -> String {
    let file = choice.weights.file.as_ref().filter(|_| choice.is_exported() && choice.entry.aliases.len() == 1);
    file.map_or_else(|| choice.name(), |file| file.display().to_string())
}

/// `activations/alexnet.random-0`.
fn folder(arguments: &Extract, choice: &Choice) -> PathBuf {
    let tags: Vec<_> = choice.entry.weights.iter().map(|weights| weights.tag.as_str()).collect();
    let label = arguments.weights.label(arguments.seed, &tags).map(|label| format!(".{label}")).unwrap_or_default();
    let shard = arguments.shard.map(|Shard { number, of }| format!(".shard-{number}-of-{of}")).unwrap_or_default();
    arguments.out.join(choice.name() + &label + &shard)
}

/// How the work is divided.
pub fn resources(arguments: &Extract, wanted: &[Wanted], stimuli: &Stimuli) -> Result<Resources> {
    let row =
        |wanted: &Wanted| wanted.shapes.iter().map(|shape| shape.iter().product::<usize>() * size_of::<f64>()).sum::<usize>();
    let sums = stimuli.conditions.as_ref().map_or(0, |conditions| conditions.most_open() * wanted.iter().map(row).sum::<usize>());
    let demand = Demand {
        images: stimuli.images.len(),
        per_image: wanted.iter().map(|wanted| wanted.bytes_per_image).max().unwrap_or(0),
        beside: wanted.iter().map(|wanted| wanted.parameters * 4).sum::<usize>().saturating_add(sums),
        exact: wanted.iter().any(|wanted| is_exact(arguments, &wanted.choice)),
        rows_stand_alone: rows_stand_alone(),
        batch_size: arguments.batch_size.map(|size| size as usize),
        workers: arguments.workers.map(|workers| workers as usize),
    };
    demand.meet()
}

/// In bytes.
pub struct Space {
    pub needed: u64,
    pub free: u64,
}

impl Space {
    /// Fails if the disk has no room for all runs.
    pub fn check(arguments: &Extract, wanted: &[Wanted], rows: usize) -> Result<Space> {
        let out = &arguments.out;
        let free = atomic_file::free_space(out)?;
        // What an unfinished run takes already is not needed again.
        let of_run = |wanted: &Wanted| {
            size(arguments, &wanted.shapes, rows).saturating_sub(occupied(&atomic_file::partial(&wanted.folder)))
        };
        let needed = wanted.iter().map(of_run).sum();
        if needed > free {
            return Err(advise(
                format!("{} are to be written, and the disk of `{}` has {} free", bytes(needed), out.display(), bytes(free)),
                "take fewer layers, --readout mean, --dtype f16, --rdm none, or another disk with --out",
            ));
        }
        Ok(Space { needed, free })
    }
}

/// What the files in a folder take of the disk, in bytes.
fn occupied(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

/// What a run will write, in bytes.
pub fn size(arguments: &Extract, shapes: &[Vec<usize>], rows: usize) -> u64 {
    let row: usize = shapes.iter().map(|shape| shape.iter().product::<usize>() * arguments.dtype.bytes()).sum();
    let rdm = if arguments.rdm == RdmOption::None { 0 } else { rows * rows * 4 };
    (row * rows + rdm * shapes.len()) as u64
}
