//! `thingsvision verify`

use crate::cli::Verify;
use crate::printer::{Printer, columns};
use anyhow::Result;
use thingsvision::error::advise;
use thingsvision::extract::{Check, ReadCommand, Request, verify};

/// Looks at the run, prints what was found, and fails if something is not as it should be.
pub fn run(arguments: &Verify, places: &Request, read_command: ReadCommand, printer: Printer) -> Result<()> {
    let checks = verify(&arguments.run, (arguments.rows, arguments.seed), (places, read_command), &printer)?;
    if arguments.json {
        printer.data(&serde_json::to_string_pretty(&checks)?)?;
    } else {
        let mark = |check: &Check| if check.fault { "wrong" } else { "fine" }.to_owned();
        let row = |check: &Check| vec![mark(check), check.subject.to_owned(), check.text.clone()];
        printer.data(&columns(&checks.iter().map(row).collect::<Vec<_>>(), &[]))?;
    }
    match checks.iter().filter(|check| check.fault).count() {
        0 => Ok(()),
        number => Err(advise(
            format!("{number} of {} checks of `{}` failed", checks.len(), arguments.run.display()),
            "what is wrong is named above; `thingsvision extract` with --force makes the run anew",
        )),
    }
}
