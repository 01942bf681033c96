//! `thingsvision reduce`

use super::extract::say;
use crate::printer::Printer;
use anyhow::Result;
use thingsvision::extract::{ReduceRequest, reduce};

/// Makes the run, and prints where it is.
pub fn run(request: &ReduceRequest, printer: Printer) -> Result<()> {
    say(reduce(request, &printer)?, printer, || ())
}
