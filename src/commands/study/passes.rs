//! The runs of a study that are missing, one after the other; each is whole before the next begins.

use super::plan::Plan;
use crate::commands::extract::{Finished, extract};
use crate::printer::Printer;
use anyhow::{Context, Result};
use std::time::Instant;
use thingsvision::advice::text_of;
use thingsvision::registry::Registry;
use thingsvision::weights::Store;

/// Makes them.
pub fn extract_missing(plan: &Plan, registry: &Registry, store: &Store, printer: Printer) -> Result<()> {
    let number = plan.missing().count();
    for (done, pass) in plan.missing().enumerate() {
        let name = pass.name(plan);
        let start = Instant::now();
        let stimuli = &plan.datasets[pass.set].stimuli;
        let Finished { without_rdm, .. } =
            extract(&pass.arguments, registry, store, stimuli, printer.only_bars()).with_context(|| {
                format!("`{name}` could not be extracted; the {done} runs before it are kept, and the same command goes on")
            })?;
        printer.fact("extract", &format!("{}/{number} {name}, {:.1} s", done + 1, start.elapsed().as_secs_f64()));
        if let Some(reason) = without_rdm {
            printer.fact("", &text_of(&reason));
        }
    }
    Ok(())
}
