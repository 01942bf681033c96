//! Rows that are made shorter: as they come from the network, when all of a run are there, or those of a run that was made before.

use super::files;
use super::folder::{RunFolder, inside};
use super::make::{Finished, go_on};
use super::rdms;
use super::record::{Record, Reduced, Seconds};
use super::request::RunRdm;
use super::sink::store;
use super::summary;
use crate::atomic_file::{self, partial};
use crate::error::advise;
use crate::hash::{blake3_of_file, sha256};
use crate::images::Origin;
use crate::numbers::{count, count_of};
use crate::observer::Observer;
use crate::output::{StoredRows, unpack};
use crate::plain_file;
use crate::rdm::ids;
use crate::reduce::{Basis, Files, Method, Projection, Reduction, Scores, Srp};
use crate::reduce::{components_file, description_file, fit, mean_file, table_file};
use crate::run::{FILES, LayerRecord, is_run};
use crate::weights::Weights;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
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

/// A run whose components others are projected on.
pub(super) struct FitOn {
    record: Record,
    folder: PathBuf,
    /// Of the components of the layers that are wanted.
    pub(super) hash: String,
}

impl FitOn {
    /// That in `folder`, which has components of the layers with these names.
    pub(super) fn read(folder: &Path, names: &[&str]) -> Result<FitOn> {
        let hint = "make one: thingsvision reduce RUN_DIR --reduce pca --components 100";
        if !is_run(folder) {
            return Err(advise(format!("there is no run in `{}` to take principal components from", folder.display()), hint));
        }
        let record = Record::read(folder)?;
        if !record.complete || record.shard.is_some() {
            return Err(advise(
                format!("the run in `{}` is not whole", folder.display()),
                "finish it with `thingsvision resume`; join shards with `thingsvision merge`",
            ));
        }
        let is_fitted = |reduction: &Reduced| reduction.method == Method::Pca && reduction.fit_on.is_none();
        if !record.reduction.as_ref().is_some_and(is_fitted) {
            return Err(advise(format!("the run in `{}` has no principal components of its own", folder.display()), hint));
        }
        let mut lines = Vec::new();
        for name in names {
            let layer = record.layers.iter().find(|layer| layer.name == *name);
            for file in [mean_file, components_file, table_file].map(|file| file(name)) {
                let hash = layer.and_then(|layer| layer.reduced.as_ref()?.beside.get(&file)).ok_or_else(|| {
                    let there: Vec<String> = record.layers.iter().map(|layer| format!("`{}`", layer.name)).collect();
                    advise(
                        format!("`{}` has no components of `{name}`", folder.display()),
                        format!("it has {}", there.join(", ")),
                    )
                })?;
                if blake3_of_file(&folder.join(&file))? != *hash {
                    return Err(advise(
                        format!("`{}` is not as it was written: its hash differs from the record", folder.join(&file).display()),
                        "it was changed or damaged; make that run again",
                    ));
                }
                lines.push(format!("{file} {hash}"));
            }
        }
        Ok(FitOn { record, folder: folder.to_owned(), hash: sha256(atomic_file::lines(&lines)) })
    }

    /// How many components there are of a layer of which a row has `units` numbers.
    fn components(&self, name: &str, units: usize, wanted: Option<usize>) -> Result<usize> {
        let found = self.record.layers.iter().find(|layer| layer.name == name);
        let (layer, full) = found.and_then(|layer| Some((layer, layer.reduced.as_ref()?))).context("`read` has found it")?;
        let place = self.folder.display();
        let size = |shape: &[usize]| shape.iter().try_fold(1usize, |size, one| size.checked_mul(*one)).filter(|size| *size > 0);
        let Some((there, own)) = size(&layer.shape).zip(size(&full.shape)) else {
            return Err(advise(
                format!(
                    "the record in `{place}` says that rows of `{name}` have the shape {:?}, of {:?}",
                    layer.shape, full.shape
                ),
                "make that run again, or ask who made it",
            ));
        };
        if units != own {
            return Err(advise(
                format!("`{name}` has {} units here, and {} in `{place}`", count(units), count(own)),
                "take the same network, pixels and readout",
            ));
        }
        match wanted {
            Some(wanted) if wanted > there => Err(advise(
                format!("`{place}` has {} components of `{name}`, and {} are wanted", count(there), count(wanted)),
                "take fewer --components, or leave it out for all",
            )),
            wanted => Ok(wanted.unwrap_or(there)),
        }
    }

    /// Fails if its rows are of another network, or of other pixels or readouts, than those of `record`.
    pub(super) fn check(&self, record: &Record) -> Result<()> {
        let differences = record.differences_of_network(&self.folder)?;
        if differences.is_empty() {
            return Ok(());
        }
        Err(advise(
            format!("the components in `{}` are of other features: {differences}", self.folder.display()),
            "take the same network, weights, pixels and readout",
        ))
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
    record.layers.iter().map(of_layer).collect()
}

/// That of a layer, whose components, if it is on such, are in `folder`.
fn projection(reduction: &Reduced, layer: &LayerRecord, folder: Option<&Path>, keep: bool) -> Result<Projection> {
    let full = layer.reduced.as_ref().context("it is not reduced")?;
    let (components, units) = (layer.shape.iter().product(), full.shape.iter().product());
    Ok(match reduction.method {
        Method::Srp => Projection::Srp(Srp::new(reduction.seed.unwrap_or(0), &layer.name, components, units, keep)?),
        Method::Pca => {
            let folder = folder.context("the components of another run have no place")?;
            let basis = Basis::read(folder, &layer.name, Some(components))?;
            ensure!(basis.units() == units, "the components of `{}` are of {} units", layer.name, basis.units());
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
fn reduce_layer(from: &StoredRows, folder: &Path, record: &Record, layer: &LayerRecord, observer: &dyn Observer) -> Result<()> {
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

/// A run that is to be made of one that is there, with shorter rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The folder of the run, which stays as it is
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,

    /// The folder of the new run [default: beside the other, as activations/resnet50.pca-100]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// For srp: the seed of the random matrix [default: that of the run]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// The RDM stored beside each layer: 1 − Pearson's r between the images' rows, or none
    #[arg(long, value_enum, default_value_t)]
    pub rdm: RunRdm,

    /// Replace a run that is already there
    #[arg(long)]
    pub force: bool,

    /// The words of the command line that said this, for the record
    #[arg(skip)]
    #[serde(skip)]
    pub command: Vec<String>,

    // Last, for what follows would get its heading.
    /// How rows become shorter
    #[command(flatten)]
    pub reduction: Reduction,
}

/// Makes a run with shorter rows of one that is there, the same as `extract` makes with the same reduction, and says where it is.
pub fn reduce(request: &Request, observer: &dyn Observer) -> Result<Finished> {
    request.reduction.check()?;
    let Some(method) = request.reduction.method else {
        return Err(advise(
            "it is not said how rows are to be reduced",
            "say it: --reduce pca --components 100, or --reduce srp",
        ));
    };
    let source = whole_run(&request.run)?;
    let record = reduced_record(request, method, &source)?;
    let folder = match &request.out {
        Some(out) => out.clone(),
        None => beside(&request.run, &request.reduction.label())?,
    };
    if is_run(&folder) && !request.force && record.differences(&folder, false)?.is_empty() {
        observer.note(&format!("`{}` is there already, and is what this command would make", folder.display()));
        return Ok(Finished { folders: vec![folder], fault: None, skipped: 0 });
    }
    if inside(&folder, &request.run)? {
        return Err(advise("the new run would lie in the place of the one that it is made of", "name another place with --out"));
    }
    RunFolder::check(&folder, &Origin::Folders(Vec::new()), request.force)?;
    summary::say_reduction(&record, observer);
    let files = FILES.iter().filter_map(|name| Some((*name, plain_file::read_to_string(&request.run.join(name)).ok()?)));
    let files: Vec<(&str, String)> = files.collect();
    let unfinished = RunFolder::begin(&folder, request.force, &record, &files, None)?;
    let place = unfinished.place();
    for (layer, stored) in record.layers.iter().zip(&source.layers) {
        bring((&request.run, &source, stored), (&place, &record, layer), observer)?;
    }
    let rows = ids::read(&place.join(FILES[0]))?;
    let fault = rdms::finish(&place, record, Seconds::default(), &rows, observer)?;
    unfinished.finish()?;
    Ok(Finished { folders: vec![folder], fault, skipped: 0 })
}

/// The record of a run that can be reduced.
fn whole_run(folder: &Path) -> Result<Record> {
    if !is_run(folder) {
        return Err(advise(
            format!("there is no run in `{}`", folder.display()),
            "name the folder that `thingsvision extract` printed",
        ));
    }
    let record = Record::read(folder)?;
    let place = folder.display();
    if !record.complete || record.shard.is_some() {
        return Err(advise(
            format!("the run in `{place}` is not whole"),
            "finish it with `thingsvision resume`; join shards with `thingsvision merge`",
        ));
    }
    if record.reduction.is_some() {
        return Err(advise(format!("the rows of `{place}` are reduced already"), "name the run with the full rows"));
    }
    for (number, layer) in record.layers.iter().enumerate() {
        let units = layer.shape.iter().try_fold(1usize, |units, size| units.checked_mul(*size));
        ensure!(
            units.is_some_and(|units| units > 0),
            "`{}` has rows of the shape {:?}, says the record",
            layer.name,
            layer.shape
        );
        // Of one file for all layers once.
        let is_known = number > 0 && record.layers[number - 1].file == layer.file;
        if !is_known && Some(blake3_of_file(&folder.join(&layer.file))?) != layer.blake3 {
            return Err(advise(
                format!("`{}` is not as it was written: its hash differs from the record", folder.join(&layer.file).display()),
                "it was changed or damaged; make the run again",
            ));
        }
        if !record.format.is_made_at_the_end() {
            StoredRows::open(&folder.join(&layer.file), &layer.name, record.images, &layer.shape, record.dtype)?;
        }
    }
    Ok(record)
}

fn reduced_record(request: &Request, method: Method, source: &Record) -> Result<Record> {
    let asked = &request.reduction;
    let mut record = Record { complete: false, seconds: None, command: request.command.clone(), ..source.clone() };
    let was = |part: &str| source.request.as_ref().map(|request| request[part].clone()).unwrap_or_default();
    let seed = request.seed.unwrap_or_else(|| was("seed").as_u64().unwrap_or(0));
    let is_random = was("weights") == serde_json::to_value(Weights::Random)?;
    if method == Method::Pca && request.seed.is_some() {
        return Err(advise("--seed is of random projections", "leave it out"));
    }
    if is_random && was("seed").as_u64().is_some_and(|own| own != seed) {
        return Err(advise(
            "the run has random weights, and its seed is that of the projection too",
            "leave out --seed, or extract the run with it",
        ));
    }
    let names: Vec<&str> = source.layers.iter().map(|layer| layer.name.as_str()).collect();
    let fit_on = asked.fit_on.as_deref().map(|folder| FitOn::read(folder, &names)).transpose()?;
    fit_on.as_ref().map_or(Ok(()), |fit_on| fit_on.check(source))?;
    let mut shapes: Vec<Vec<usize>> = source.layers.iter().map(|layer| layer.shape.clone()).collect();
    let full = shorten(asked, source.images, fit_on.as_ref(), &names, &mut shapes)?;
    request.rdm.check(asked)?;
    let with_rdm = request.rdm == RunRdm::Correlation;
    record.one_file = false;
    files::check(record.format, record.dtype, &names, &shapes)?;
    let layer = |((layer, shape), full): ((&LayerRecord, &Vec<usize>), Option<Vec<usize>>)| {
        let file = files::name(&layer.name, record.format, record.one_file);
        let stored = LayerRecord::new(&layer.name, shape, file, with_rdm);
        full.map_or(stored.clone(), |full| stored.reduced_from(full))
    };
    record.layers = source.layers.iter().zip(&shapes).zip(full).map(layer).collect();
    let reduced = Reduced::of(asked, source.images, seed, fit_on.map(|fit_on| fit_on.hash));
    record.reduction = reduced.map(|reduced| Reduced { from: source.dtype, ..reduced });
    if let Some(Value::Object(recorded)) = &mut record.request {
        // Paths in it begin where the run was extracted, which may be elsewhere.
        let fit_on = asked.fit_on.as_ref().map(std::path::absolute).transpose()?;
        recorded.insert("reduction".into(), serde_json::to_value(Reduction { fit_on, ..asked.clone() })?);
        recorded.insert("rdm".into(), serde_json::to_value(request.rdm)?);
        recorded.insert("seed".into(), seed.into());
        recorded.insert("one_file".into(), false.into());
    }
    Ok(record)
}

/// `activations/alexnet.pca-100.random-0` of `activations/alexnet.random-0`.
fn beside(run: &Path, label: &str) -> Result<PathBuf> {
    let name = run.canonicalize()?.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let at = name.rfind(".random-").unwrap_or(name.len());
    let place = run.parent().filter(|_| run.file_name().is_some()).unwrap_or(Path::new(".."));
    Ok(place.join(format!("{}{label}{}", &name[..at], &name[at..])))
}

/// Brings the rows of a layer of the run `source` in `folder` to the run in `place`: in full where they are reduced later or never, else
/// reduced.
fn bring(
    (folder, source, stored): (&Path, &Record, &LayerRecord),
    (place, record, layer): (&Path, &Record, &LayerRecord),
    observer: &dyn Observer,
) -> Result<()> {
    let from = folder.join(&stored.file);
    let plain = |to: &Path| unpack(&from, to, &stored.name, source.images, &stored.shape, source.dtype);
    let open = |path: &Path| StoredRows::open(path, &stored.name, source.images, &stored.shape, source.dtype);
    if let Some(full) = layer.reduced.as_ref().filter(|_| !record.reduces_later(layer)) {
        if !source.format.is_made_at_the_end() {
            return reduce_layer(&open(&from)?, place, record, layer, observer);
        }
        let rows = place.join(&full.file);
        plain(&rows)?;
        reduce_layer(&open(&rows)?, place, record, layer, observer)?;
        return Ok(std::fs::remove_file(&rows)?);
    }
    // A layer that is not reduced has the file that it had.
    let to = place.join(layer.reduced.as_ref().map_or(&layer.file, |full| &full.file));
    // What a process that was stopped left: it may be another name of the file that is to be copied.
    for stale in [&to, &partial(&to)] {
        std::fs::remove_file(stale).ok();
    }
    if layer.reduced.is_some() && !source.format.is_npy() {
        return plain(&to);
    }
    if source.one_file {
        let file = files::open_kept(place, record, layer)?;
        open(&from)?.copy_to(&file, 0)?;
        return file.finish();
    }
    // Nobody writes to full rows, so that another name for the file is enough where the disk can give one.
    let linked = layer.reduced.is_some() && std::fs::hard_link(&from, &to).is_ok();
    if !linked {
        std::fs::copy(&from, &to).with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))?;
    }
    Ok(())
}
