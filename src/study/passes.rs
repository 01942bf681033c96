//! The runs of a study that are missing, one after the other; each is whole before the next begins.

use super::plan::Plan;
use crate::error::text_of;
use crate::extract;
use crate::observer::{Observer, ProgressOnly};
use crate::weights::{Located, Weights};
use anyhow::{Context, Result};
use std::time::Instant;

impl Plan<'_> {
    /// Fetches the weights that are not on this machine, and looks whether all weights fit and all images can be decoded: so that
    /// nothing is begun that cannot be finished.
    pub(super) fn prepare(&self, observer: &dyn Observer) -> Result<()> {
        let mut looked_at = Vec::new();
        for extract::Request { models, weights, seed, .. } in self.missing().map(|pass| &pass.request) {
            let choice = self.sources.registry.choose(&models[0])?;
            // An exported network was opened and run for the plan.
            if *weights == Weights::Random || choice.is_exported() || looked_at.contains(&(models, weights)) {
                continue;
            }
            let mut located = Located::find(&self.sources.store, choice, weights, *seed)?;
            located.fetch(&self.sources.store, observer)?;
            located.load(&self.sources.registry)?;
            looked_at.push((models, weights));
        }
        let is_needed = |number: usize| self.missing().any(|pass| pass.set == number);
        for (_, set) in self.datasets.iter().enumerate().filter(|(number, _)| is_needed(*number)) {
            set.stimuli.images.decode_all().with_context(|| format!("dataset `{}`", set.dataset.name))?;
        }
        Ok(())
    }

    /// Makes them.
    pub(super) fn extract_missing(&self, observer: &dyn Observer) -> Result<()> {
        let number = self.missing().count();
        for (done, pass) in self.missing().enumerate() {
            let (name, start) = (pass.name(self), Instant::now());
            let stimuli = &self.datasets[pass.set].stimuli;
            let run = || extract::Plan::new(&pass.request, &self.sources, stimuli)?.run(&ProgressOnly(observer));
            let failed = || format!("run {} of {number}, `{name}`, failed; those before it are kept", done + 1);
            let finished = run().with_context(failed)?;
            observer.fact("extract", &format!("{}/{number} {name}, {:.1} s", done + 1, start.elapsed().as_secs_f64()));
            if let Some(reason) = finished.without_rdm {
                observer.fact("", &text_of(&reason));
            }
        }
        Ok(())
    }
}
