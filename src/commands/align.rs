//! `thingsvision align`

use super::extract::say;
use crate::printer::Printer;
use anyhow::Result;
use thingsvision::extract::{AlignRequest, Request, align};

/// Makes the run, and prints where it is.
pub fn run(request: &AlignRequest, places: &Request, printer: Printer) -> Result<()> {
    say(align(request, places, &printer)?, printer, || ())
}
