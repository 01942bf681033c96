//! `thingsvision study`

mod analysis;
mod passes;
mod plan;
mod record;
mod report;

use crate::cli::Study as Arguments;
use crate::commands::plot::pictures::Files;
use crate::printer::Printer;
use analysis::scene;
use anyhow::Result;
use passes::{extract_missing, prepare};
use plan::Plan;
use record::Inputs;
use std::path::{Path, PathBuf};
use thingsvision::atomic_file;
use thingsvision::registry::Registry;
use thingsvision::rsa::{Score, Table};
use thingsvision::study::{Figure, Scene, Study, Summary, figures, results_csv, summary_csv};
use thingsvision::weights::Store;

/// Plans, extracts what is missing, compares, draws, and prints where the report is.
pub fn run(arguments: &Arguments, registry: Option<&Path>, store: &Store, printer: Printer) -> Result<()> {
    let mut registry = Registry::load(registry)?;
    let study = Study::read(&arguments.file)?;
    registry.add_files(study.models.iter().map(|network| &network.model), |choice| store.path(choice))?;
    let plan = Plan::new(&study, &registry, store)?;
    plan.say(&study, printer);
    if arguments.dry_run {
        return Ok(printer.data(&plan.table()?)?);
    }
    plan.check_space(&study)?;
    prepare(&plan, &registry, store, printer)?;
    extract_missing(&plan, &registry, store, printer)?;

    let report = study.out.join("report.html");
    let inputs = Inputs::of(&arguments.file, &plan)?;
    if inputs.are_those_of(&study.out) {
        printer.note("nothing has changed since the report was written");
        return Ok(printer.data(&from_here(&report))?);
    }
    let mut compared = Vec::new();
    for dataset in &plan.datasets {
        compared.push(analysis::compare(dataset, &plan, printer)?);
    }
    let scenes: Vec<Scene> = compared.iter().map(|compared| scene(compared, printer)).collect::<Result<_>>()?;
    let results: Vec<(String, Vec<Score>)> = scenes.iter().map(|scene| (scene.dataset.clone(), scene.scores.clone())).collect();
    let summaries = Summary::of(&results);
    let drawn = figures(&scenes, study.clusters, study.compare.title())?;
    let html = report::html(&study, &plan, &registry, &compared, &drawn, &summaries, &arguments.file)?;

    let mut files = write_tables(&study.out, &results, &summaries)?;
    files.extend(plan.datasets.iter().flat_map(|set| Table::files(&set.rsa.out, false)));
    files.extend(write_figures(&study.out, &drawn)?);
    atomic_file::write(&report, html.as_bytes())?;
    files.push(report.clone());
    inputs.write(&study.out, &files)?;
    printer.note(&format!("wrote results.csv, summary.csv, {} figures as PNG and SVG, and the report", drawn.len()));
    Ok(printer.data(&from_here(&report))?)
}

/// The path as short as it can be, without `..` in between.
fn from_here(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let here = std::env::current_dir().unwrap_or_default();
    whole.strip_prefix(&here).unwrap_or(&whole).display().to_string()
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
        files.extend_from_slice(Files::new(&out.join(&figure.name))?.put(&figure.picture, &figure.title)?);
    }
    Ok(files)
}
