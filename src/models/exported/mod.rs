//! Networks that PyTorch exported (TorchScript), with every submodule as a layer: `examples/export_model.py` makes the files.
//!
//! A file's modules and their calls are what `torch.jit` kept of the Python network: a scripted file has all, a traced one lacks
//! modules without operations (`Identity`, `StochasticDepth`), which are listed and never called.

mod archive;
mod card;
mod dry_run;
mod operators;

pub use card::Card;

use super::model::Network;
use crate::error::advise;
use crate::nn::{Call, Keep, Manifest, ModuleEntry, ModuleId, Plan, TensorEntry, Trace, Way};
use crate::torchscript::{Output, Script, ScriptTensor, on_large_stack};
use anyhow::{Context, Result, anyhow, ensure};
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// A network from a file.
pub struct Exported {
    script: Script,
    manifest: Manifest,
    /// By number in the script, the number of the module in the manifest: one that has several names may be several there.
    numbers: Vec<usize>,
    /// By number in the manifest and by call, the places of the tensors that the module gives, from [`Card::elements`].
    places: Vec<Vec<Vec<String>>>,
    path: PathBuf,
    /// Of the file, before it was opened.
    identity: Identity,
    like: (Kind, Device),
}

/// Inode, size, and when it was changed last.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> Result<Identity> {
    let file = std::fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

impl Exported {
    /// Opens the file at `path`, and brings its network to `device` with numbers of this kind.
    pub fn open(path: &Path, like: (Kind, Device)) -> Result<Exported> {
        if like.1.is_cuda() {
            // What CUDA does first, it does before rights are given up.
            drop(Tensor::f_zeros([1], like)?);
        }
        on_large_stack(&[path.to_owned()], || {
            let identity = identity(path)?;
            // Refuses files of another kind.
            let mut card = Card::read(path)?;
            let traced = !card.exported.starts_with("scripted");
            let mut script = archive::open(path)?;
            let (manifest, numbers) = manifest(&script, traced, card.aliases)?;
            let places = manifest.modules.iter().map(|module| card.elements.remove(&module.name).unwrap_or_default()).collect();
            script.prepare(like.1, like.0, traced).map_err(|error| archive::explain(path, error))?;
            Ok(Exported { script, manifest, numbers, places, path: path.to_owned(), identity, like })
        })
    }

    /// What messages call a module.
    fn name_of(&self, module: usize) -> &str {
        match self.manifest.modules[module].name.as_str() {
            "" => "output",
            name => name,
        }
    }

    /// Runs the network as [`Script::run`] does, with modules by their numbers in the manifest and tensors at PyTorch's places;
    /// `see` is told also which call of the module it is.
    fn run_script(&self, images: &Tensor, wanted: Option<&[bool]>, see: &mut dyn FnMut(Output, usize) -> bool) -> Result<()> {
        let wanted: Option<Vec<_>> = wanted.map(|wanted| self.numbers.iter().map(|&module| wanted[module]).collect());
        let mut begun = vec![0; self.places.len()];
        self.script.run(images, wanted.as_deref(), &mut |output| {
            let module = self.numbers[output.module];
            begun[module] += usize::from(output.begins);
            let (call, calls) = (begun[module] - 1, &self.places[module]);
            let Some(places) = calls.get(call).or(calls.last()).filter(|_| output.tensor.is_some()) else {
                return see(Output { module, ..output }, call);
            };
            let number = if output.element.is_empty() { Ok(0) } else { output.element.parse::<usize>() };
            match number.ok().and_then(|number| places.get(number)) {
                Some(place) => see(Output { module, element: place, ..output }, call),
                // The trace added it to a call that gives nothing else, or something else.
                None if output.begins => see(Output { module, element: "", tensor: None, ..output }, call),
                None => true,
            }
        })
    }
}

/// The manifest, and by number in the script that of the module in it.
fn manifest(script: &Script, is_traced: bool, aliases: HashMap<String, String>) -> Result<(Manifest, Vec<usize>)> {
    let (mut modules, mut known) = (Vec::new(), HashMap::new());
    let number = |(name, class): (String, String)| {
        let name = aliases.get(&name).cloned().unwrap_or(name);
        *known.entry(name.clone()).or_insert_with(|| {
            modules.push(ModuleEntry { name, class });
            modules.len() - 1
        })
    };
    let numbers = script.modules()?.into_iter().map(number).collect();
    // Each once, as in `parameters()`, though modules may share them.
    let mut seen = HashSet::new();
    let is_new = |parameter: &ScriptTensor| parameter.is_parameter && seen.insert(parameter.tensor.data_ptr());
    let entry = |ScriptTensor { key, tensor, .. }| TensorEntry { key, shape: tensor.size(), kind: tensor.kind() };
    // Of the buffers nothing is asked.
    let tensors = script.tensors()?.into_iter().filter(is_new).map(entry).collect();
    Ok((Manifest { modules, tensors, aliases, is_traced }, numbers))
}

impl Network for Exported {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Runs three images, for nobody knows the shapes otherwise.
    fn trace(&self, size: [usize; 2]) -> Result<Trace> {
        on_large_stack(&[], || dry_run::trace(self, size).map_err(|error| archive::explain(&self.path, error)))
    }

    fn run(&self, plan: &Plan, images: &Tensor, _: Way, keep: &mut Keep) -> Result<()> {
        let (inputs, taps): (Vec<_>, Vec<_>) = plan.taps().partition(|(call, ..)| call.module == ModuleId::INPUT);
        inputs.into_iter().try_for_each(|(_, _, slot)| keep(slot, images))?;
        if taps.is_empty() {
            return Ok(());
        }
        let mut wanted = vec![false; self.manifest.modules.len()];
        taps.iter().for_each(|(call, ..)| wanted[call.module.0] = true);
        let mut left: Vec<_> = taps.iter().collect();
        let mut fault = None;
        let mut see = |output: Output, number: usize| {
            let Some(tensor) = &output.tensor else { return true };
            let is_it = |(call, execution, _): &&(&Call, usize, usize)| {
                call.module.0 == output.module && *execution == number && call.element == output.element
            };
            // Two tensors may have one name: then each is of a call of its own.
            let Some((call, ..)) = left.iter().copied().find(is_it) else { return true };
            let (these, others) = left.iter().copied().partition(|(other, ..)| std::ptr::eq(*other, *call));
            left = others;
            let kept = batch_first(tensor, call, images.size()[0])
                .with_context(|| format!("`{}` of `{}`", self.name_of(output.module), self.path.display()))
                .and_then(|activation| Vec::into_iter(these).try_for_each(|(_, _, slot)| keep(*slot, &activation)));
            fault = kept.err();
            fault.is_none() && !left.is_empty()
        };
        let run = self.run_script(images, Some(&wanted), &mut see);
        if let Some(fault) = fault {
            return Err(fault);
        }
        run.map_err(|error| archive::explain(&self.path, error))?;
        ensure!(
            left.is_empty(),
            "modules were called less often than with other images: what `{}` computes depends on the image",
            self.path.display()
        );
        Ok(())
    }

    fn can_fuse(&self) -> bool {
        false
    }

    fn check_file(&self) -> Result<()> {
        if identity(&self.path)? == self.identity {
            return Ok(());
        }
        Err(advise(
            format!("`{}` was replaced or changed after it was opened", self.path.display()),
            "start again, and leave the file alone meanwhile",
        ))
    }
}

/// `tensor` for `images` images as `call` says: `[N, …]`.
fn batch_first(tensor: &Tensor, call: &Call, images: i64) -> Result<Tensor> {
    let mut shape = call.shape.clone();
    shape[0] = images;
    let moved = if tensor.dim() > call.axis { tensor.f_movedim_int(call.axis as i64, 0)? } else { tensor.shallow_clone() };
    moved.f_reshape(&shape).map_err(|_| {
        anyhow!("its output has the shape {:?}, and in the dry run one for {:?} of each image", tensor.size(), &call.shape[1..])
    })
}
