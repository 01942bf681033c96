//! `thingsvision rdm`

use crate::cli::Rdm;
use crate::printer::{Printer, count};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use thingsvision::advice::advise;
use thingsvision::npy::Matrix;
use thingsvision::rdm::{Job, Shape};
use thingsvision::whole::is_same;

/// Writes the RDM of a file of features.
pub fn run(arguments: &Rdm, printer: Printer) -> Result<()> {
    let out = arguments.out.clone().unwrap_or_else(|| beside(&arguments.features));
    if out == arguments.features || is_same(&out, &arguments.features) {
        return Err(advise("the RDM would overwrite the features", "name another file with --out"));
    }
    let features = Matrix::open(&arguments.features)?;
    printer.note(&format!("RDM of {} stimuli from {} units each", count(features.rows), count(features.columns)));
    let job = Job::new(arguments.metric, features, None, arguments.on_constant, &|row| format!("row {row}"))
        .with_context(|| format!("no RDM of `{}`", arguments.features.display()))?;
    job.write(&out, Shape::Square)?;
    Ok(printer.data(&out.display().to_string())?)
}

/// `features.npy` to `features.rdm.npy`.
fn beside(features: &Path) -> PathBuf {
    features.with_extension("rdm.npy")
}
