//! The runs of a study that are missing, one after the other; each is whole before the next begins.

use super::plan::Plan;
use crate::cli::Extract;
use crate::commands::extract::{Finished, extract};
use crate::printer::Printer;
use anyhow::{Context, Result};
use std::time::Instant;
use thingsvision::error::text_of;
use thingsvision::registry::Registry;
use thingsvision::weights::{self, Store, Weights};

/// Fetches the weights that are not on this machine, and looks whether all weights fit and all images can be decoded: so that
/// nothing is begun that cannot be finished.
pub fn prepare(plan: &Plan, registry: &Registry, store: &Store, printer: Printer) -> Result<()> {
    let mut looked_at = Vec::new();
    for pass in plan.missing() {
        let Extract { models, weights, seed, .. } = &pass.arguments;
        let choice = registry.choose(&models[0])?;
        // An exported network was opened and run for the plan.
        if *weights == Weights::Random || choice.is_exported() || looked_at.contains(&(models, weights)) {
            continue;
        }
        let bar = printer.download(&choice.name());
        weights::load(registry, store, &choice, weights, *seed, &mut |arrived, total| bar.at(arrived, total))?;
        bar.finish();
        looked_at.push((models, weights));
    }
    let is_needed = |number: usize| plan.missing().any(|pass| pass.set == number);
    for (_, set) in plan.datasets.iter().enumerate().filter(|(number, _)| is_needed(*number)) {
        set.stimuli.images.decode_all().with_context(|| format!("dataset `{}`", set.dataset.name))?;
    }
    Ok(())
}

/// Makes them.
pub fn extract_missing(plan: &Plan, registry: &Registry, store: &Store, printer: Printer) -> Result<()> {
    let number = plan.missing().count();
    for (done, pass) in plan.missing().enumerate() {
        let name = pass.name(plan);
        let start = Instant::now();
        let stimuli = &plan.datasets[pass.set].stimuli;
        let Finished { without_rdm, .. } = extract(&pass.arguments, registry, store, stimuli, printer.only_bars())
            .with_context(|| format!("run {} of {number}, `{name}`, failed; those before it are kept", done + 1))?;
        printer.fact("extract", &format!("{}/{number} {name}, {:.1} s", done + 1, start.elapsed().as_secs_f64()));
        if let Some(reason) = without_rdm {
            printer.fact("", &text_of(&reason));
        }
    }
    Ok(())
}
