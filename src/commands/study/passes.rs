//! The runs of a study that are missing, one after the other; each is whole before the next begins.

use super::plan::Plan;
use crate::commands::extract::planned::State;
use crate::commands::extract::{Finished, extract};
use crate::printer::Printer;
use anyhow::{Context, Result};
use std::time::Instant;
use thingsvision::advice::text_of;
use thingsvision::registry::Registry;
use thingsvision::weights::Store;

/// Fetches the weights that are not on this machine, so that nothing is begun that cannot be finished.
pub fn fetch_missing(plan: &Plan, registry: &Registry, store: &Store, printer: Printer) -> Result<()> {
    for pass in plan.missing().filter(|pass| pass.planned.state == State::Unfetched) {
        let choice = registry.choose(&pass.arguments.models[0])?;
        let bar = printer.download(&choice.name());
        store.fetch(&choice, &mut |arrived, total| bar.at(arrived, total))?;
        bar.finish();
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
