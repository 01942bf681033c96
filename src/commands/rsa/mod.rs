//! `thingsvision rsa`

pub mod columns;
mod courses;
mod regression;
mod reweight;
pub mod text;

use crate::cli::Rsa;
use crate::printer::Printer;
use anyhow::Result;
use std::path::PathBuf;
use thingsvision::arrays;
use thingsvision::rsa::regression::regress;
use thingsvision::rsa::reweight::reweight;
use thingsvision::rsa::{Analysed, Analysis, analyse};

/// Compares every layer with every target, writes the table, and prints it.
pub fn run(arguments: &Rsa, printer: Printer) -> Result<()> {
    if arguments.request.regression.is_regression() {
        return run_regression(arguments, printer);
    }
    if arguments.request.regression.reweight {
        return run_reweight(arguments, printer);
    }
    let analysed = analyse(&arguments.request, &printer)?;
    let files = analysed.write()?;
    print(arguments, &analysed, printer)?;
    printer.note(&format!("\n  {}", text::notes(&analysed).join("\n  ")));
    printer.note(&wrote(&files, &analysed.analysis));
    explain(arguments, printer, || analysed.explained())
}

/// Prints what was done in sentences, if that is wanted.
fn explain(arguments: &Rsa, printer: Printer, explained: impl Fn() -> String) -> Result<()> {
    match (arguments.explain, arguments.json) {
        (false, _) => Ok(()),
        (true, false) => printer.data(&format!("\n{}", explained())),
        (true, true) => {
            // Of JSON nothing else may be on stdout.
            printer.note(&format!("\n{}", explained()));
            Ok(())
        }
    }
}

/// Fits every target on all predictors, writes the tables, and prints them.
fn run_regression(arguments: &Rsa, printer: Printer) -> Result<()> {
    let regressed = regress(&arguments.request, &printer)?;
    let files = regressed.write()?;
    printer.data(&if arguments.json { regressed.json()? } else { regression::tables(&regressed) })?;
    printer.note(&format!("\n  {}", regression::notes(&regressed).join("\n  ")));
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    printer.note(&format!("  wrote {}\n  next: thingsvision plot variance {}", names.join(", "), names[1]));
    explain(arguments, printer, || regressed.explained())
}

/// Reweights the units of every layer for every target, writes the table, and prints it.
fn run_reweight(arguments: &Rsa, printer: Printer) -> Result<()> {
    let reweighted = reweight(&arguments.request, &printer)?;
    let files = reweighted.write()?;
    printer.data(&if arguments.json { reweighted.json()? } else { reweight::table(&reweighted.rows) })?;
    printer.note(&format!("\n  {}", reweight::notes(&reweighted).join("\n  ")));
    printer.note(&format!("  wrote {}", files.map(|path| path.display().to_string()).join(", ")));
    explain(arguments, printer, || reweighted.explained())
}

fn print(arguments: &Rsa, Analysed { table, .. }: &Analysed, printer: Printer) -> Result<()> {
    if arguments.json {
        return printer.data(&table.json_of_all()?);
    }
    if table.scores.iter().any(|score| score.time.is_none()) {
        printer.data(&text::table(table))?;
    }
    if let Some(courses) = courses::courses(table) {
        printer.data(&courses)?;
    }
    if !table.differences.is_empty() {
        printer.data(&format!("\n{}", text::differences(table)))?;
    }
    Ok(())
}

fn wrote(files: &[PathBuf], analysis: &Analysis) -> String {
    let names: Vec<_> = files[1..].iter().map(|path| path.display().to_string()).collect();
    let (targets, models) = (analysis.targets.len(), analysis.models.len());
    let next = files.iter().find(|file| arrays::kind(file) == "json").map(|file| file.display().to_string());
    format!(
        "  wrote {} ({targets} × {models} scores), {}\n  next: thingsvision plot {} {}",
        files[0].display(),
        names.join(", "),
        if analysis.targets.iter().any(|target| target.time.is_some()) { "time" } else { "bars" },
        next.unwrap_or_default()
    )
}
