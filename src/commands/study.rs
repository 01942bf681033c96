//! `thingsvision study`

use crate::cli::Study as Arguments;
use crate::printer::{Printer, columns};
use anyhow::Result;
use std::path::Path;
use thingsvision::extract::Request;
use thingsvision::study::{Plan, Study};

/// Plans, does what is missing, and prints where the report is.
pub fn run(arguments: &Arguments, places: &Request, printer: Printer) -> Result<()> {
    let study = Study::read(&arguments.file)?;
    let plan = Plan::new(&study, places)?;
    plan.say(&printer);
    if arguments.dry_run {
        return printer.data(&columns(&plan.table(), &[1, 4, 5]));
    }
    let report = plan.run(&arguments.file, &printer)?;
    printer.data(&from_here(&report))
}

/// The path as short as it can be, without `..` in between.
fn from_here(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let here = std::env::current_dir().unwrap_or_default();
    whole.strip_prefix(&here).unwrap_or(&whole).display().to_string()
}
