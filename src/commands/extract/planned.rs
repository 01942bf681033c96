//! What a run would do, and whether it has been done already.

use super::runs::{Machine, record};
use super::stimuli::Stimuli;
use super::wanted::{Wanted, choices, resources, size, wanted};
use crate::cli::Extract;
use crate::printer::Printer;
use anyhow::Result;
use std::path::PathBuf;
use thingsvision::device;
use thingsvision::error::advise;
use thingsvision::registry::Registry;
use thingsvision::run::{is_run, read_record};
use thingsvision::weights::{Store, identify};

/// A run of one model that has not begun.
pub struct Planned {
    /// Where it goes.
    pub folder: PathBuf,
    /// The names of its layers.
    pub layers: Vec<String>,
    /// What is there already.
    pub state: State,
    /// What it writes.
    pub bytes: u64,
    /// Multiplications for each image.
    pub multiplications: f64,
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
    Changed(Vec<String>),
}

/// What is in the place of a run.
pub(super) fn state(arguments: &Extract, wanted: &Wanted, store: &Store, machine: &Machine, stimuli: &Stimuli) -> Result<State> {
    let Some(weights) = identify(store, &wanted.choice, &arguments.weights, arguments.seed)? else {
        return Ok(State::Unfetched);
    };
    if !is_run(&wanted.folder) || !read_record(&wanted.folder)?.complete {
        return Ok(State::Missing);
    }
    let differences = record(arguments, wanted, machine, stimuli, weights).differences(&wanted.folder, false)?;
    Ok(if differences.is_empty() { State::Done } else { State::Changed(differences) })
}

/// Looks at the run that `arguments`, which name one model, ask for.
pub fn plan(arguments: &Extract, registry: &Registry, store: &Store, stimuli: &Stimuli) -> Result<Planned> {
    for choice in choices(arguments, registry)? {
        if choice.is_exported() && store.path(&choice)?.is_none() {
            return Err(advise(
                format!("`{}` is an exported network, and its layers are not known before it is fetched", choice.name()),
                format!("thingsvision weights fetch {}", choice.name()),
            ));
        }
    }
    let all = wanted(arguments, registry, store, &stimuli.images, Printer::new(true))?;
    let machine = Machine { device: device::open(arguments.device)?.0, resources: resources(arguments, &all, stimuli)? };
    let wanted = &all[0];
    let state = state(arguments, wanted, store, &machine, stimuli)?;
    Ok(Planned {
        folder: wanted.folder.clone(),
        layers: wanted.layers.iter().map(|layer| layer.name.clone()).collect(),
        state,
        bytes: size(arguments, &wanted.shapes, stimuli.rows()),
        multiplications: wanted.multiplications,
    })
}
