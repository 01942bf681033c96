//! Some rows of a run computed anew from their images, for comparison with what is stored.

use super::difference::Difference;
use super::journal::{Done, Journal};
use super::make::Work;
use super::plan::Plan;
use super::record::Record;
use crate::observer::{Observer, Stopped};
use anyhow::{Context, Result};
use std::path::Path;

/// A run as its request would make it now.
pub(super) struct Recomputed {
    /// Why it would not be the run that is there.
    pub(super) differences: Vec<Difference>,
    /// The rows that were computed; none if the runs differ in more than the program.
    pub(super) rows: Vec<usize>,
    /// Of each layer the file with these rows.
    pub(super) record: Record,
}

/// Compares the run in `folder` with the one run of `plan`, and computes its rows `chosen` into files of the same names in
/// `place`, in the same batches; all other rows there are 0.
pub(super) fn recompute(
    plan: &Plan,
    folder: &Path,
    chosen: &[usize],
    place: &Path,
    observer: &dyn Observer,
) -> Result<Recomputed> {
    let planned = plan.runs.first().context("one model is planned")?;
    let weights = planned.weights.provenance()?.context("the weights of the run are not on this machine")?;
    let record = plan.record(planned, weights);
    let differences = record.differences(folder, false)?;
    // Another program is to give the same rows; other images or weights are not.
    let only_program = differences.iter().all(|difference| matches!(difference, Difference::Program(_)));
    if !only_program || chosen.is_empty() {
        return Ok(Recomputed { differences, rows: Vec::new(), record });
    }
    let (rows, part) = (plan.rows(), 0..plan.stimuli.rows());
    let others = Done { rows: part.clone().filter(|row| !chosen.contains(row)).collect(), ..Done::default() };
    let batches = rows.batches(&part, &others);
    let run = plan.files(&plan.load(planned)?, place, part.clone(), false)?;
    Work { plan, rows, part, batches, done: Done::default() }.run(vec![run], vec![Journal::open(place)?], observer)?;
    match observer.stopped() {
        Some(reason) => Err(Stopped(reason).into()),
        None => Ok(Recomputed { differences, rows: chosen.to_vec(), record }),
    }
}
