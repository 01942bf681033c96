//! A comparison of networks with behaviour and fMRI, described in one file: what it asks for, its runs, results, figures and
//! report.

mod compare;
mod figure;
mod one_or_more;
mod plan;
mod record;
mod report;
mod request;

pub use plan::Plan;
pub use request::{Dataset, Initial, Network, Study};

use crate::error::{advise, hint_of, text_of};
use crate::observer::{Observer, ProgressOnly};
use crate::plot::Files;
use crate::rsa::{Analysed, Table};
use crate::weights::{Located, Weights};
use crate::{atomic_file, extract};
use anyhow::{Context, Result};
use compare::{Scene, Summary, compare, write_tables};
use figure::{Figure, figures};
use record::Inputs;
use report::html;
use std::path::{Path, PathBuf};
use std::time::Instant;

impl Plan<'_> {
    /// Extracts what is missing, compares, draws, and says where the report is. The study was read from `file`.
    pub fn run(&self, file: &Path, observer: &dyn Observer) -> Result<PathBuf> {
        self.make(file, observer).map_err(in_fields)
    }

    fn make(&self, file: &Path, observer: &dyn Observer) -> Result<PathBuf> {
        self.check_space()?;
        self.prepare(observer)?;
        self.extract_missing(observer)?;
        let out = &self.study.out;
        let report = out.join("report.html");
        let inputs = Inputs::of(file, self)?;
        if inputs.are_those_of(out) {
            observer.note("nothing has changed since the report was written");
            return Ok(report);
        }
        let found = self.datasets.iter().map(|set| compare(set, self, observer)).collect::<Result<Vec<Analysed>>>()?;
        let scenes = self.datasets.iter().zip(found).map(|(set, found)| Scene::new(set, found, observer));
        let scenes: Vec<Scene> = scenes.collect::<Result<_>>()?;
        let summaries = Summary::of(&scenes);
        let drawn = figures(&scenes, self.study.clusters, self.study.compare.title())?;
        let html = html(self, &scenes, &drawn, &summaries, file)?;

        let mut files = write_tables(out, &scenes, &summaries)?;
        files.extend(self.datasets.iter().flat_map(|set| Table::files(&set.comparison.out).into_iter().take(3)));
        files.extend(write_figures(out, &drawn)?);
        atomic_file::write(&report, html.as_bytes())?;
        files.push(report.clone());
        inputs.write(out, &files)?;
        observer.note(&format!("wrote results.csv, summary.csv, {} figures as PNG and SVG, and the report", drawn.len()));
        Ok(report)
    }

    /// Fetches the weights that are not on this machine, and looks whether all weights fit and all images can be decoded: so that
    /// nothing is begun that cannot be finished.
    fn prepare(&self, observer: &dyn Observer) -> Result<()> {
        let mut looked_at = Vec::new();
        for extract::Request { models, weights, seed, .. } in self.missing().map(|pass| &pass.request) {
            let choice = self.sources.registry.choose(&models[0])?;
            // An exported network was opened and run for the plan.
            if *weights == Weights::Random || choice.is_exported() || looked_at.contains(&(models, weights)) {
                continue;
            }
            let mut located = Located::find(&self.sources.registry, &self.sources.store, choice, weights, *seed)?;
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

    /// Makes the runs that are missing, one after the other; each is whole before the next begins.
    fn extract_missing(&self, observer: &dyn Observer) -> Result<()> {
        let number = self.missing().count();
        for (done, pass) in self.missing().enumerate() {
            let (name, start) = (pass.name(self), Instant::now());
            let stimuli = &self.datasets[pass.set].stimuli;
            let run = || extract::Plan::new(&pass.request, &self.sources, stimuli)?.run(&ProgressOnly(observer));
            let failed = || format!("run {} of {number}, `{name}`, failed; those before it are kept", done + 1);
            let finished = run().with_context(failed)?;
            observer.fact("extract", &format!("{}/{number} {name}, {:.1} s", done + 1, start.elapsed().as_secs_f64()));
            if let Some(reason) = finished.fault {
                observer.fact("", &text_of(&reason));
            }
        }
        Ok(())
    }
}

/// An error whose hint speaks of flags and the current folder, as hints do elsewhere, in the words of a study's file.
fn in_fields(error: anyhow::Error) -> anyhow::Error {
    const FIELDS: [&str; 13] = [
        "image-list",
        "images",
        "average-by",
        "behavior",
        "fmri",
        "weights",
        "readout",
        "tokens",
        "preprocess",
        "device",
        "bootstrap",
        "permutations",
        "out",
    ];
    let Some(hint) = hint_of(&error) else { return error };
    let mut words = hint.replace("begin at the current folder", "begin where the study's file lies");
    for field in FIELDS {
        let name = format!("`{}`", field.replace('-', "_"));
        words = words.replace(&format!("`--{field}`"), &name).replace(&format!("--{field}"), &name);
    }
    if words.contains("--") && !words.contains("thingsvision ") {
        words += " (a study has no flags: make such a run by `thingsvision extract`)";
    }
    if words == hint { error } else { advise(text_of(&error), words) }
}

fn write_figures(out: &Path, figures: &[Figure]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for figure in figures {
        files.extend_from_slice(Files::new(&out.join(&figure.name))?.write(&figure.picture, &figure.title)?);
    }
    Ok(files)
}
