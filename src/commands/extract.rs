//! `thingsvision extract`, and `resume`, which is the same with the request of a run that is there.

use crate::printer::Printer;
use anyhow::Result;
use thingsvision::extract::{Finished, Request, extract};
use thingsvision::numbers::count_of;

/// Extracts what is wanted, and prints where it is.
pub fn run(request: &Request, printer: Printer) -> Result<()> {
    let finished = extract(request, &printer)?;
    let skipped = finished.skipped;
    say(finished, printer, || {
        if skipped > 0 {
            printer.note(&format!("left out {} that cannot be read; skipped.txt lists them", count_of(skipped, "file")));
        }
    })
}

/// Prints where runs are, and fails if a layer has no RDM, or values that are not finite.
pub fn say(finished: Finished, printer: Printer, more: impl FnOnce()) -> Result<()> {
    // Only now, when nothing can be lost by a reader that went away.
    for folder in finished.folders {
        printer.data(&folder.display().to_string())?;
    }
    more();
    finished.fault.map_or(Ok(()), Err)
}
