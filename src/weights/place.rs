//! The tensors of a file that are a network's: which set of them, and their values.

use super::Checkpoint;
use super::fit::{Fit, Index, Source, matches, shortened};
use crate::error::advise;
use crate::nn::StateDict;
use crate::registry::{Choice, Registry};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Sets that an error names.
const MOST_NAMED: usize = 8;
/// Other networks that a hint names.
const MOST_HINTED: usize = 3;

/// The one set of tensors in a file that fits `choice`, or of several the one that `key` picks.
pub(super) fn fitting(registry: &Registry, choice: &Choice, path: &Path, file: &Checkpoint, key: Option<&str>) -> Result<Fit> {
    let tensors = file.tensors()?;
    let index = Index::new(&tensors);
    // What the key names comes first: of very many sets not all are looked at.
    let under_key = key.map(|key| index.fits(choice.architecture, Some(key))).transpose()?;
    let fits = match under_key {
        Some(Ok(fits)) => Ok(fits),
        None => index.fits(choice.architecture, None)?,
        // Then what is wrong under the key is said, if there is something.
        Some(Err(faults)) => index.fits(choice.architecture, None)?.map_err(|_| faults),
    };
    let fits = match fits {
        Ok(fits) => fits,
        Err(faults) => {
            let problem = format!("the weights in `{}` do not fit `{}`: {faults}", path.display(), choice.name());
            return Err(advise(problem, what_fits(registry, &index, choice)?));
        }
    };
    let fits = distinct(file, path, fits)?;
    let picked = match key {
        None => fits,
        Some(key) => picked(fits, key, path, choice)?,
    };
    match <[Fit; 1]>::try_from(picked) {
        Ok([fit]) => Ok(fit),
        Err(several) => Err(advise(
            format!(
                "`{}` holds {} sets of weights that fit `{}`: {}",
                path.display(),
                several.len(),
                choice.name(),
                named(&several)
            ),
            format!("say which: --weights '{}#{}'", path.display(), shortened(several[0].key())),
        )),
    }
}

/// Those that `key` means best.
fn picked(fits: Vec<Fit>, key: &str, path: &Path, choice: &Choice) -> Result<Vec<Fit>> {
    let best = fits.iter().map(|fit| matches(key, fit.key())).max().unwrap_or(0);
    if best == 0 {
        return Err(advise(
            format!("nothing under `{}` in `{}` fits `{}`", shortened(key), path.display(), choice.name()),
            format!("what fits is {}", named(&fits)),
        ));
    }
    Ok(fits.into_iter().filter(|fit| matches(key, fit.key()) == best).collect())
}

/// `` `#model`, `#model_ema` ``
fn named(fits: &[Fit]) -> String {
    let name = |fit: &Fit| match fit.key() {
        "" => "`#` (not below anything)".to_owned(),
        key => format!("`#{}`", shortened(key)),
    };
    let more = if fits.len() > MOST_NAMED { ", …" } else { "" };
    fits.iter().take(MOST_NAMED).map(name).collect::<Vec<_>>().join(", ") + more
}

/// `fits` without those that are others under a second name.
fn distinct(file: &Checkpoint, path: &Path, fits: Vec<Fit>) -> Result<Vec<Fit>> {
    let mut kept: Vec<Fit> = Vec::new();
    for fit in fits {
        let mut is_new = true;
        for other in &kept {
            is_new &= !are_same(file, &fit, other).with_context(|| format!("cannot read weights from `{}`", path.display()))?;
        }
        if is_new {
            kept.push(fit);
        }
    }
    Ok(kept)
}

fn are_same(file: &Checkpoint, fit: &Fit, other: &Fit) -> Result<bool> {
    if fit.sources.len() != other.sources.len() {
        return Ok(false);
    }
    for (key, source) in &fit.sources {
        let Some(same) = other.sources.get(key).filter(|same| same.names.len() == source.names.len()) else { return Ok(false) };
        for (one, other) in source.names.iter().zip(&same.names) {
            if one != other && !file.are_same(one, other)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The networks that the file fits best, which is in their own keys, then with its classes, then in the same family; or what it must
/// hold.
fn what_fits(registry: &Registry, index: &Index, choice: &Choice) -> Result<String> {
    let mut fitting: Vec<([bool; 3], String)> = Vec::new();
    for (name, architecture) in registry.architectures() {
        if index.may_fit(architecture)?
            && let Ok(fits) = index.fits(architecture, None)?
        {
            let has_other_keys = fits.iter().all(|fit| !fit.layout.is_empty());
            let has_other_classes = fits.iter().all(|fit| fit.classes.is_some() || !fit.absent.is_empty());
            let is_other_family = architecture.family_name() != choice.architecture.family_name();
            fitting.push(([has_other_keys, has_other_classes, is_other_family], format!("`{name}`")));
        }
    }
    let best = fitting.iter().map(|(order, _)| *order).min();
    let best = fitting.into_iter().filter(|(order, _)| Some(*order) == best);
    let mut fitting: Vec<String> = best.map(|(_, name)| name).collect();
    if fitting.is_empty() {
        let source = if choice.entry.source.is_empty() { String::new() } else { format!(" ({})", choice.entry.source) };
        return Ok(format!("it must hold the weights of `{}`{source}", choice.name()));
    }
    let more = if fitting.len() > MOST_HINTED { " and others" } else { "" };
    fitting.truncate(MOST_HINTED);
    Ok(format!("the file fits {}{more}", fitting.join(", ")))
}

/// The tensors of `fit`, and for absent ones, which nothing may compute with, such without a value.
pub(super) fn read(choice: &Choice, path: &Path, file: &Checkpoint, fit: &Fit) -> Result<StateDict> {
    let read = |name: &str| file.read(name).with_context(|| format!("cannot read weights from `{}`", path.display()));
    for name in &fit.zeros {
        if read(name)?.f_any()?.f_int64_value(&[])? != 0 {
            let problem = format!("`{}` in `{}` is not 0 throughout", shortened(name), path.display());
            return Err(advise(
                problem,
                format!("`{}` has nothing that could hold it: export the network instead", choice.name()),
            ));
        }
    }
    let mut weights = StateDict::new();
    // Published files may have a classifier that the network is listed without.
    let manifest = choice.architecture().manifest()?;
    let keys: HashSet<&str> = manifest.tensors.iter().map(|entry| entry.key.as_str()).collect();
    for (key, Source { names, shape, transposed }) in fit.sources.iter().filter(|(key, _)| keys.contains(key.as_str())) {
        let mut parts = Vec::new();
        for name in names {
            let tensor = read(name)?;
            if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
                let problem = format!("`{}` in `{}` has values that are not finite", shortened(name), path.display());
                return Err(advise(problem, "the file is damaged, or the training that made it failed"));
            }
            let tensor = match shape {
                Some(shape) if tensor.size() != *shape => tensor.f_reshape(shape)?,
                _ => tensor,
            };
            parts.push(if *transposed { tensor.f_tr()?.f_contiguous()? } else { tensor });
        }
        let tensor = match <[Tensor; 1]>::try_from(parts) {
            Ok([tensor]) => tensor,
            Err(parts) => Tensor::f_cat(&parts, 0)?,
        };
        weights.insert(key.clone(), tensor);
    }
    if !fit.absent.is_empty() {
        for entry in manifest.tensors.iter().filter(|entry| fit.absent.contains_key(&entry.key)) {
            let nothing = Tensor::f_full([] as [i64; 0], f64::NAN, (Kind::Float, Device::Cpu))?;
            weights.insert(entry.key.clone(), nothing.f_expand(&entry.shape, false)?);
        }
    }
    Ok(weights)
}
