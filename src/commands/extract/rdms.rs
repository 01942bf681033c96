//! The end of a run: its RDMs, and the record of a whole run.

use crate::cli::Extract;
use crate::printer::{Printer, count};
use anyhow::Result;
use std::path::Path;
use std::time::Instant;
use thingsvision::extract::{LayerRecord, Record, Seconds};
use thingsvision::npy::Matrix;
use thingsvision::parallel::parallel;
use thingsvision::rdm::{Job, Metric, Shape, ids};

/// Computes the RDMs of a run and completes its record. Returns why a layer has none.
pub fn finish(
    arguments: &Extract,
    folder: &Path,
    mut record: Record,
    seconds: Seconds,
    rows: &[String],
    printer: Printer,
) -> Result<Option<anyhow::Error>> {
    let start = Instant::now();
    let without = rdms_of(arguments, folder, &mut record.layers, rows);
    let rdm = start.elapsed().as_secs_f64();
    let written = record.layers.iter().filter(|layer| layer.rdm.is_some()).count();
    if written > 0 {
        let n = count(rows.len());
        printer.fact("RDMs", &format!("{written} of {n} × {n}, 1 − Pearson's r, in {rdm:.1} s"));
    }
    record.complete = true;
    record.seconds = Some(Seconds { rdm, wall: seconds.wall + rdm, ..seconds });
    record.write(folder)?;
    Ok(without)
}

/// Of so few stimuli an RDM is computed on one core; then several are at once. Of more, all cores work on one, and memory
/// holds the features of one.
const FEW_STIMULI: usize = 256;

/// Computes the RDM of each layer that is to have one. Where there can be none (a constant row, a full disk) the record
/// says so, and the reason is returned: the activations are whole all the same.
fn rdms_of(arguments: &Extract, folder: &Path, layers: &mut [LayerRecord], rows: &[String]) -> Option<anyhow::Error> {
    let compute = |layer: &LayerRecord| layer.rdm.as_ref().map(|rdm| write(arguments, folder, layer, rdm, rows));
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

fn write(arguments: &Extract, folder: &Path, layer: &LayerRecord, rdm: &str, rows: &[String]) -> Result<()> {
    let features = Matrix::open(&folder.join(&layer.file))?;
    let name = |row: usize| format!("`{}`", rows[row]);
    let job = Job::new(Metric::Correlation, features, None, arguments.on_constant, &name)?;
    let path = folder.join(rdm);
    job.write(&path, Shape::Square)?;
    let kept: Option<Vec<String>> = job.kept().map(|kept| kept.into_iter().map(|row| rows[row].clone()).collect());
    ids::write(&path, kept.as_deref()).map(drop)
}
