//! `thingsvision rdm`

mod compute;
mod features;
mod stored;
mod subject;
mod triplets;

use crate::cli::{Rdm, RdmCommand};
use crate::printer::Printer;
use anyhow::Result;

/// Computes an RDM, or does something with RDMs that are there.
pub fn run(arguments: &Rdm, printer: Printer) -> Result<()> {
    match &arguments.command {
        None => match &arguments.from_triplets {
            Some(path) => triplets::run(path, arguments, printer),
            None => compute::run(arguments, printer),
        },
        Some(RdmCommand::Check { file, json }) => stored::check(file, *json, printer),
        Some(RdmCommand::Average { files, pool, out }) => stored::average(files, *pool, out, printer),
        Some(RdmCommand::Convert { file, out, condensed }) => stored::convert(file, out, *condensed, printer),
        Some(RdmCommand::Categories { labels, out }) => stored::categories(labels, out, printer),
    }
}
