//! `thingsvision merge`

use super::extract::say;
use crate::cli::Merge;
use crate::printer::Printer;
use anyhow::Result;
use thingsvision::extract::merge;

/// Joins shards, and prints where the run is.
pub fn run(arguments: &Merge, printer: Printer) -> Result<()> {
    let finished = merge(&arguments.shards, arguments.force, &printer)?;
    say(finished, printer, || printer.note("the shards are not needed any more and may be removed"))
}
