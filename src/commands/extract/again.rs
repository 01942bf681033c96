//! Some rows of a run computed anew from their images, for comparison with what is stored.

use super::runs::{Machine, begin, load, record};
use super::stimuli::Stimuli;
use super::wanted::{resources, wanted};
use super::{Work, stop::Stop};
use crate::cli::Extract;
use crate::printer::Printer;
use anyhow::{Context, Result};
use std::path::Path;
use thingsvision::device;
use thingsvision::extract::{Done, Journal, Record, Rows};
use thingsvision::registry::Registry;
use thingsvision::weights::{Store, identify};

/// The run of one model as its command would make it now.
pub struct Again {
    /// Why it would not be the run that is there.
    pub differences: Vec<String>,
    /// The rows that were computed; none if the runs differ in more than the program.
    pub rows: Vec<usize>,
    /// Of each layer the file with these rows.
    pub record: Record,
}

/// Compares the run in `folder` with what `arguments`, which name one model, make now, and computes its rows `chosen` into
/// files of the same names in `place`, in the same batches; all other rows there are 0.
pub fn again(
    arguments: &Extract,
    (registry, store): (&Registry, &Store),
    stimuli: &Stimuli,
    folder: &Path,
    chosen: &[usize],
    place: &Path,
) -> Result<Again> {
    let printer = Printer::new(true);
    let wanted = wanted(arguments, registry, store, &stimuli.images, printer)?;
    let machine = Machine { device: device::open(arguments.device)?.0, resources: resources(arguments, &wanted, stimuli)? };
    let weights = identify(store, &wanted[0].choice, &arguments.weights, arguments.seed)?
        .context("the weights of the run are not on this machine")?;
    let now = record(arguments, &wanted[0], &machine, stimuli, weights);
    let differences = now.differences(folder, false)?;
    // Another program is to give the same rows; other images or weights are not.
    let only_program = differences.iter().all(|text| text.starts_with("program:") || text.starts_with("libtorch:"));
    if !only_program || chosen.is_empty() {
        return Ok(Again { differences, rows: Vec::new(), record: now });
    }
    let rows =
        Rows { images: stimuli.images.len(), batch_size: machine.resources.batch_size, conditions: stimuli.conditions.as_ref() };
    let part = 0..stimuli.rows();
    let others = Done { rows: part.clone().filter(|row| !chosen.contains(row)).collect(), ..Done::default() };
    let batches = rows.batches(&part, &others);
    let (models, records) = load(arguments, registry, store, &wanted, &machine, stimuli, printer)?;
    let model = models.into_iter().next().context("one model is loaded")?;
    let run = begin(&wanted[0], place, model, &records[0], stimuli, part.clone(), false)?;
    let work = Work { images: &stimuli.images, resources: machine.resources, rows, part, batches, done: Done::default() };
    work.run(vec![run], vec![Journal::open(place)?], printer)?;
    match Stop::listen().interrupted() {
        Some(interrupted) => Err(interrupted.into()),
        None => Ok(Again { differences, rows: chosen.to_vec(), record: now }),
    }
}
