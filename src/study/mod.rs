//! A comparison of networks with behaviour and fMRI, described in one file: what it asks for, its runs, results, figures and
//! report.

mod compare;
mod figure;
mod methods;
mod one_or_more;
mod passes;
mod plan;
mod record;
mod report;
mod request;
mod results;

pub use plan::Plan;
pub use request::{Dataset, Initial, Network, Study};

use crate::atomic_file;
use crate::observer::Observer;
use crate::plot::Files;
use crate::rsa::{Score, Table};
use anyhow::Result;
use compare::{compare, scene};
use figure::{Figure, Scene, figures};
use record::Inputs;
use report::{Report, Section};
use results::{Summary, results_csv, summary_csv};
use std::path::{Path, PathBuf};

impl Plan<'_> {
    /// Extracts what is missing, compares, draws, and says where the report is. The study was read from `file`.
    pub fn run(&self, file: &Path, observer: &dyn Observer) -> Result<PathBuf> {
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
        let compared = self.datasets.iter().map(|set| compare(set, self, observer)).collect::<Result<Vec<_>>>()?;
        let scenes: Vec<Scene> = compared.iter().map(|compared| scene(compared, observer)).collect::<Result<_>>()?;
        let results: Vec<(String, Vec<Score>)> =
            scenes.iter().map(|scene| (scene.dataset.clone(), scene.scores.clone())).collect();
        let summaries = Summary::of(&results);
        let drawn = figures(&scenes, self.study.clusters, self.study.compare.title())?;
        let html = methods::html(self, &compared, &drawn, &summaries, file)?;

        let mut files = write_tables(out, &results, &summaries)?;
        files.extend(self.datasets.iter().flat_map(|set| Table::files(&set.comparison.out, false)));
        files.extend(write_figures(out, &drawn)?);
        atomic_file::write(&report, html.as_bytes())?;
        files.push(report.clone());
        inputs.write(out, &files)?;
        observer.note(&format!("wrote results.csv, summary.csv, {} figures as PNG and SVG, and the report", drawn.len()));
        Ok(report)
    }
}

fn write_tables(out: &Path, results: &[(String, Vec<Score>)], summaries: &[Summary]) -> Result<Vec<PathBuf>> {
    let files = ["results.csv", "summary.csv", "summary.json"].map(|name| out.join(name));
    atomic_file::write(&files[0], &results_csv(results)?)?;
    atomic_file::write(&files[1], &summary_csv(summaries)?)?;
    atomic_file::write(&files[2], (serde_json::to_string_pretty(summaries)? + "\n").as_bytes())?;
    Ok(files.to_vec())
}

fn write_figures(out: &Path, figures: &[Figure]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for figure in figures {
        files.extend_from_slice(Files::new(&out.join(&figure.name))?.write(&figure.picture, &figure.title)?);
    }
    Ok(files)
}
