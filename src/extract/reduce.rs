//! Rows that are made shorter: as they come from the network, or when all of a run are there.

use super::files;
use super::fit_on::FitOn;
use super::make::go_on;
use super::record::{Record, Reduced};
use super::sink::store;
use crate::atomic_file;
use crate::error::advise;
use crate::hash::blake3_of_file;
use crate::numbers::count_of;
use crate::observer::Observer;
use crate::output::StoredRows;
use crate::parallel::parallel;
use crate::reduce::{Basis, Files, Method, Projection, Reduction, Scores, Srp};
use crate::reduce::{components_file, description_file, fit, mean_file, table_file};
use crate::run::LayerRecord;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::sync::Arc;
use tch::Tensor;

/// Matrices of random projections that are kept in memory, in bytes; those beyond are made anew for each batch.
const KEPT: usize = 1 << 30;

/// Rows that are reduced at a time.
const ROWS: usize = 64;

impl Reduced {
    /// What a run of `rows` rows records of what was asked for; `fit_on` is the hash of another run's components.
    pub(super) fn of(asked: &Reduction, rows: usize, seed: u64, fit_on: Option<String>) -> Option<Reduced> {
        let method = asked.method?;
        Some(Reduced {
            method,
            components: if method == Method::Srp { Some(asked.projected(rows)) } else { asked.components },
            seed: (method == Method::Srp).then_some(seed),
            whiten: asked.whiten,
            rdm_of: asked.rdm_of,
            from: Default::default(),
            fit_on,
            path: asked.fit_on.as_ref().and_then(|path| std::path::absolute(path).ok()),
        })
    }
}

/// Makes the shape of a row that which is left of it, and returns the full one of each layer that is reduced.
pub(super) fn shorten(
    asked: &Reduction,
    rows: usize,
    fit_on: Option<&FitOn>,
    names: &[&str],
    shapes: &mut [Vec<usize>],
) -> Result<Vec<Option<Vec<usize>>>> {
    let mut full = Vec::new();
    for (name, shape) in names.iter().zip(shapes) {
        let units = shape.iter().product();
        let number = match (asked.method, fit_on) {
            (None, _) => None,
            (Some(Method::Srp), _) => Some(asked.projected(rows)).filter(|number| *number < units),
            (Some(Method::Pca), Some(fit_on)) => Some(fit_on.components(name, units, asked.components)?),
            (Some(Method::Pca), None) => Some(asked.principal(rows, units)?),
        };
        full.push(number.map(|number| std::mem::replace(shape, vec![number])));
    }
    let endings = ["unreduced", "pca.mean", "pca.components"];
    let is_file_of = |name: &&str| endings.iter().any(|ending| names.iter().any(|other| *name == format!("{other}.{ending}")));
    match names.iter().find(|name| asked.method.is_some() && is_file_of(name)) {
        Some(name) => Err(advise(
            format!("the rows of `{name}` would be in a file that another layer needs when it is reduced"),
            "reduce them in two runs, with another --out",
        )),
        None => Ok(full),
    }
}

/// What projections take in memory, in bytes.
pub(super) fn memory(asked: &Reduction, full: &[Option<Vec<usize>>], shapes: &[Vec<usize>]) -> usize {
    let sizes = || {
        let units = |shape: &Vec<usize>| shape.iter().product::<usize>();
        full.iter().zip(shapes).filter_map(move |(full, shape)| Some((units(shape), units(full.as_ref()?))))
    };
    match asked.method {
        Some(Method::Srp) if !asked.is_last() => {
            sizes().map(|(components, units)| Srp::size(components, units)).fold(0, usize::saturating_add).min(KEPT)
        }
        Some(Method::Pca) if !asked.is_last() => sizes().map(|(components, units)| components * units * 4).sum(),
        _ => 0,
    }
}

/// How the rows of each layer are made shorter as they come; none of layers that are stored in full, or reduced later.
pub(super) fn projections(record: &Record) -> Result<Vec<Option<Arc<Projection>>>> {
    let mut kept = 0;
    let of_layer = |layer: &LayerRecord| -> Result<Option<Arc<Projection>>> {
        let (Some(reduction), Some(full)) = (&record.reduction, &layer.reduced) else { return Ok(None) };
        if reduction.is_last() {
            return Ok(None);
        }
        kept += Srp::size(layer.shape.iter().product(), full.shape.iter().product());
        projection(reduction, layer, reduction.path.as_deref(), kept <= KEPT).map(|projection| Some(Arc::new(projection)))
    };
    let all: Vec<_> = record.layers.iter().map(of_layer).collect::<Result<_>>()?;
    // Before workers, who all need the same, wait for each other.
    parallel(all.len(), &|layer| {
        if let Some(Projection::Srp(srp)) = all[layer].as_deref() {
            srp.prepare();
        }
        Ok(())
    })?;
    Ok(all)
}

/// That of a layer, whose components, if it is on such, are in `folder`.
fn projection(reduction: &Reduced, layer: &LayerRecord, folder: Option<&Path>, keep: bool) -> Result<Projection> {
    let full = layer.reduced.as_ref().context("it is not reduced")?;
    let components = layer.shape.iter().product();
    Ok(match reduction.method {
        Method::Srp => Projection::Srp(Srp::new(reduction.seed.unwrap_or(0), &layer.name, components, &full.shape, keep)?),
        Method::Pca => {
            let folder = folder.context("the components of another run have no place")?;
            let basis = Basis::read(folder, &layer.name, Some(components))?;
            let fits = basis.units() == full.shape.iter().product::<usize>();
            ensure!(fits, "the components of `{}` are of {} units", layer.name, basis.units());
            Projection::Pca { basis, whiten: reduction.whiten }
        }
    })
}

/// Rows of a layer of the run in `folder` as they are stored, given in full, `[rows, units]`.
pub(super) fn rows(folder: &Path, record: &Record, layer: &LayerRecord, full: &[f64]) -> Result<Vec<f64>> {
    let (reduction, shape) = record.reduction.as_ref().zip(layer.reduced.as_ref()).context("it is not reduced")?;
    let values: Vec<f32> = full.iter().map(|value| *value as f32).collect();
    let rows = Tensor::f_from_slice(&values)?.f_view([-1, shape.shape.iter().product::<usize>() as i64])?;
    let own = if reduction.fit_on.is_some() { reduction.path.as_deref() } else { Some(folder) };
    let reduced = projection(reduction, layer, own, false)?.apply(&rows, &mut Vec::new())?;
    Ok(Vec::<f32>::try_from(&reduced.f_view(-1)?)?.into_iter().map(f64::from).collect())
}

/// Reduces the rows of all layers of the run in `folder` that are there in full, and says how. What is reduced already stays.
pub(super) fn finish(folder: &Path, record: &mut Record, observer: &dyn Observer) -> Result<()> {
    let Some(reduction) = record.reduction.clone() else { return Ok(()) };
    let rows = record.images;
    for number in 0..record.layers.len() {
        let layer = record.layers[number].clone();
        let Some(full) = &layer.reduced else { continue };
        let (written, is_later) = (record.written(&layer), record.reduces_later(&layer));
        if is_later && !record.is_beyond_rows(&layer, folder) {
            if let Some(reason) = observer.stopped() {
                return Err(go_on(reason, "all images are done, and rows are being reduced"));
            }
            let from = folder.join(&*written.file);
            let from = StoredRows::open(&from, &layer.name, rows, written.shape, written.dtype)?;
            reduce_layer(&from, folder, record, &layer, observer)?;
        }
        if is_later {
            std::fs::remove_file(folder.join(&*written.file)).ok();
        }
        let mut beside = Vec::new();
        match reduction.method {
            Method::Srp => {
                let file = description_file(&layer.name);
                let components = layer.shape.iter().product();
                let text = Srp::describe(reduction.seed.unwrap_or(0), &layer.name, full, components)?;
                atomic_file::write(&folder.join(&file), text.as_bytes())?;
                beside.push(file);
            }
            Method::Pca if reduction.fit_on.is_none() => {
                beside.extend([mean_file, components_file, table_file].map(|file| file(&layer.name)));
            }
            Method::Pca => {}
        }
        let hashes = beside.into_iter().map(|file| Ok((file.clone(), blake3_of_file(&folder.join(&file))?)));
        let hashes = hashes.collect::<Result<_>>()?;
        record.layers[number].reduced.iter_mut().for_each(|reduced| reduced.beside.clone_from(&hashes));
    }
    Ok(())
}

/// Writes the reduced rows of a layer, of which `from` are the full ones, to the run in `folder`.
pub(super) fn reduce_layer(
    from: &StoredRows,
    folder: &Path,
    record: &Record,
    layer: &LayerRecord,
    observer: &dyn Observer,
) -> Result<()> {
    let reduction = record.reduction.as_ref().context("it is not reduced")?;
    let path = |file: String| folder.join(file);
    let components = layer.shape.iter().product();
    let file = files::open_kept(folder, record, layer)?;
    if reduction.method == Method::Pca && reduction.fit_on.is_none() {
        let [mean, basis, table] = [mean_file, components_file, table_file].map(|file| path(file(&layer.name)));
        let files = Files { mean: &mean, components: &basis, table: &table };
        let scores = fit(from, &layer.name, components, reduction.whiten, &files)?;
        say(&layer.name, &scores, observer);
        let values = Tensor::f_from_slice(&scores.values)?.f_view([from.rows as i64, components as i64])?;
        store(&file, record.dtype, 0, &values, &mut Vec::new()).with_context(|| format!("layer `{}`", layer.name))?;
        return file.finish();
    }
    let projection = projection(reduction, layer, reduction.path.as_deref(), true)?;
    let (mut room, mut bytes, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for first in (0..from.rows).step_by(ROWS) {
        values.clear();
        let part = first..from.rows.min(first + ROWS);
        part.clone().try_for_each(|row| from.append(row, 0..from.units, &mut bytes, &mut values))?;
        let rows = Tensor::f_from_slice(&values)?.f_view([part.len() as i64, from.units as i64])?;
        let reduced = projection.apply(&rows, &mut room)?;
        store(&file, record.dtype, first, &reduced, &mut room).with_context(|| format!("layer `{}`", layer.name))?;
    }
    file.finish()
}

fn say(layer: &str, scores: &Scores, observer: &dyn Observer) {
    if scores.empty > 0 {
        let empty = count_of(scores.empty, "component");
        observer.fact("", &format!("without variance, and 0: the last {empty} of `{layer}`"));
    }
    if let Some(residual) = scores.residual {
        observer.fact("", &format!("components of `{layer}` are exact to {residual:.0e} of their variance only"));
    }
}
