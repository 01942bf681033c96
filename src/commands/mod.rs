//! One file a subcommand: flags to objects, one library call, print.

pub mod cka;
pub mod extract;
pub mod layers;
pub mod merge;
pub mod models;
mod outputs;
pub mod plot;
pub mod rdm;
pub mod resume;
pub mod rsa;
pub mod study;
pub mod verify;
pub mod weights;

use crate::printer::Printer;
use anyhow::Result;
use std::path::Path;
use thingsvision::registry::Registry;
use thingsvision::weights::{Store, exported_file};

/// The registry with the networks of `models` that are files, and with what the files of exported ones, fetched if need be,
/// say of theirs.
fn registry_for<'a>(
    models: impl IntoIterator<Item = &'a String> + Clone,
    registry: Option<&Path>,
    store: &Store,
    printer: Printer,
) -> Result<Registry> {
    let mut registry = Registry::load(registry)?;
    registry.add_files(models, |choice| {
        let bar = printer.download(&choice.name());
        let path = exported_file(store, choice, &mut |arrived, total| bar.at(arrived, total))?;
        bar.finish();
        Ok(Some(path))
    })?;
    Ok(registry)
}
