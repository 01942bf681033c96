//! The end of a run: its RDMs, and the record of a whole run.

use super::files;
use super::record::{Record, Seconds};
use super::reduce;
use crate::error::advise;
use crate::npy::Matrix;
use crate::numbers::count;
use crate::observer::{Observer, Silent};
use crate::parallel::parallel;
use crate::rdm::{Job, Metric, OnConstant, Shape, ids};
use crate::reduce::RdmOf;
use crate::run::LayerRecord;
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

/// Computes the RDMs of a run in `folder` that are not there yet, and completes its record with the hashes of all files. Returns
/// why a layer has none. A shard has no RDMs.
pub(super) fn finish(
    folder: &Path,
    mut record: Record,
    seconds: Seconds,
    rows: &[String],
    observer: &dyn Observer,
) -> Result<Option<anyhow::Error>> {
    let of_full = record.reduction.as_ref().is_some_and(|reduction| reduction.rdm_of == RdmOf::Full);
    if record.shard.is_none() && !of_full {
        reduce::finish(folder, &mut record, observer)?;
    }
    let start = Instant::now();
    let without = match record.shard {
        None => rdms_of(folder, &mut record, of_full, rows),
        Some(_) => None,
    };
    let rdm = start.elapsed().as_secs_f64();
    let written = record.layers.iter().filter(|layer| layer.rdm.is_some()).count();
    if written > 0 && record.shard.is_none() {
        let n = count(rows.len());
        observer.fact("RDMs", &format!("{written} of {n} × {n}, 1 − Pearson's r, in {rdm:.1} s"));
    }
    if record.shard.is_none() && of_full {
        reduce::finish(folder, &mut record, observer)?;
    }
    files::finish(folder, &record, rows, observer)?;
    files::describe(folder, &mut record)?;
    let fault = without.or_else(|| not_finite(&record.layers, record.allows_nonfinite(), observer));
    record.complete = true;
    record.seconds = Some(Seconds { rdm, wall: seconds.wall + rdm, ..seconds });
    record.write(folder)?;
    Ok(fault)
}

/// Says which layers have values that are not finite, and returns it as an error unless such are allowed.
pub(super) fn not_finite(layers: &[LayerRecord], are_allowed: bool, observer: &dyn Observer) -> Option<anyhow::Error> {
    let of = |layer: &LayerRecord| Some(format!("`{}` {}", layer.name, count(layer.nonfinite?)));
    let found: Vec<String> = layers.iter().filter_map(of).collect();
    let (first, more) = (found.iter().take(3).cloned().collect::<Vec<_>>().join(", "), found.len().saturating_sub(3));
    let more = if more > 0 { format!(" and {more} layers more") } else { String::new() };
    let problem = format!("there are infinities or NaN among the activations: {first}{more}; run.json counts them");
    if found.is_empty() {
        return None;
    }
    if are_allowed {
        observer.fact("", &problem);
        return None;
    }
    Some(advise(
        problem,
        "the network overflowed: look at its weights and preprocessing; --allow-nonfinite takes the run as it is",
    ))
}

/// Of so few stimuli an RDM is computed on one core; then several are at once. Of more, all cores work on one, and memory
/// holds the features of one.
const FEW_STIMULI: usize = 256;

/// Computes the RDM of each layer that is to have one. Where there can be none (a constant row, a full disk) the record
/// says so, and the reason is returned: the activations are whole all the same.
fn rdms_of(folder: &Path, record: &mut Record, of_full: bool, rows: &[String]) -> Option<anyhow::Error> {
    let (run, layers) = (record.clone(), &mut record.layers);
    let compute = |layer: &LayerRecord| {
        let features = || match &layer.reduced {
            Some(full) if of_full => Matrix::open(&folder.join(&full.file)),
            _ => run.features(layer, folder),
        };
        layer.rdm.as_ref().map(|rdm| write(&folder.join(rdm), run.on_constant, &features, rows))
    };
    let results: Vec<Option<Result<()>>> = if rows.len() <= FEW_STIMULI {
        parallel(layers.len(), &|layer| Ok(compute(&layers[layer]))).expect("faults are among the results")
    } else {
        layers.iter().map(compute).collect()
    };
    let mut without = Vec::new();
    let mut reason = None;
    for (layer, result) in layers.iter_mut().zip(results) {
        if let Some(Err(fault)) = result {
            layer.without_rdm = Some(fault.to_string());
            reason.get_or_insert(fault);
            without.push(format!("`{}`", layer.name));
            layer.rdm = None;
        }
    }
    let problem = format!("the activations are whole, but there is no RDM of {}", without.join(", "));
    reason.map(|reason| reason.context(problem))
}

fn write(path: &Path, on_constant: OnConstant, features: &dyn Fn() -> Result<Matrix>, rows: &[String]) -> Result<()> {
    if path.is_file() {
        // By a process that was stopped afterwards: what has its name is whole.
        return Ok(());
    }
    let features = features()?;
    let name = |row: usize| format!("`{}`", rows[row]);
    let job = Job::new(Metric::Correlation, features, None, on_constant, &name)?;
    let kept: Option<Vec<String>> = job.kept().map(|kept| kept.into_iter().map(|row| rows[row].clone()).collect());
    // First, so that no RDM is without them.
    ids::write(path, kept.as_deref())?;
    // The run is whole when it has its RDMs: they are not stopped.
    job.write(path, Shape::Square, &Silent)
}
