//! `thingsvision rdm`

use crate::cli::{Rdm, RdmCommand};
use crate::printer::{Printer, columns};
use anyhow::Result;
use std::path::Path;
use thingsvision::rdm::{self, Rdms, stored};

/// Computes an RDM, or does something with RDMs that are there, and prints the file that was written.
pub fn run(arguments: &Rdm, printer: Printer) -> Result<()> {
    let out = match &arguments.command {
        None => &rdm::run(&arguments.request, &printer)?,
        Some(RdmCommand::Check { file, json }) => return check(file, *json, printer),
        Some(RdmCommand::Average { files, pool, out }) => stored::average(files, *pool, out, &printer).map(|()| out)?,
        Some(RdmCommand::Convert { file, out, condensed }) => stored::convert(file, out, *condensed, &printer).map(|()| out)?,
        Some(RdmCommand::Categories { labels, out }) => stored::categories(labels, out, &printer).map(|()| out)?,
    };
    printer.data(&out.display().to_string())
}

/// Prints what was found; what cannot be read as an RDM is an error that says why.
fn check(file: &Path, json: bool, printer: Printer) -> Result<()> {
    let findings = rdm::check(&Rdms::read(file)?);
    if json {
        return printer.data(&serde_json::to_string_pretty(&findings)?);
    }
    let mark = |warning: bool| if warning { "look" } else { "fine" }.to_owned();
    let rows: Vec<Vec<String>> =
        findings.into_iter().map(|found| vec![mark(found.warning), found.subject.to_owned(), found.text]).collect();
    printer.data(&columns(&rows, &[]))
}
