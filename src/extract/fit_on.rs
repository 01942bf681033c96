//! `--fit-on`: the run whose components others are projected on.

use super::record::{Record, Reduced};
use crate::atomic_file;
use crate::error::advise;
use crate::hash::{blake3_of_file, sha256};
use crate::numbers::count;
use crate::reduce::{Method, components_file, mean_file, table_file};
use crate::run::is_run;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
/// A run whose components others are projected on.
pub(super) struct FitOn {
    record: Record,
    folder: PathBuf,
    /// Of the components of the layers that are wanted.
    pub(super) hash: String,
}

impl FitOn {
    /// That in `folder`, which has components of the layers with these names.
    pub(super) fn read(folder: &Path, names: &[&str]) -> Result<FitOn> {
        let hint = "make one: thingsvision reduce RUN_DIR --reduce pca --components 100";
        if !is_run(folder) {
            return Err(advise(format!("there is no run in `{}` to take principal components from", folder.display()), hint));
        }
        let record = Record::read(folder)?;
        if !record.complete || record.shard.is_some() {
            return Err(advise(
                format!("the run in `{}` is not whole", folder.display()),
                "finish it with `thingsvision resume`; join shards with `thingsvision merge`",
            ));
        }
        let is_fitted = |reduction: &Reduced| reduction.method == Method::Pca && reduction.fit_on.is_none();
        if !record.reduction.as_ref().is_some_and(is_fitted) {
            return Err(advise(format!("the run in `{}` has no principal components of its own", folder.display()), hint));
        }
        let mut lines = Vec::new();
        for name in names {
            let layer = record.layers.iter().find(|layer| layer.name == *name);
            for file in [mean_file, components_file, table_file].map(|file| file(name)) {
                let hash = layer.and_then(|layer| layer.reduced.as_ref()?.beside.get(&file)).ok_or_else(|| {
                    let there: Vec<String> = record.layers.iter().map(|layer| format!("`{}`", layer.name)).collect();
                    advise(
                        format!("`{}` has no components of `{name}`", folder.display()),
                        format!("it has {}", there.join(", ")),
                    )
                })?;
                if blake3_of_file(&folder.join(&file))? != *hash {
                    return Err(advise(
                        format!("`{}` is not as it was written: its hash differs from the record", folder.join(&file).display()),
                        "it was changed or damaged; make that run again",
                    ));
                }
                lines.push(format!("{file} {hash}"));
            }
        }
        Ok(FitOn { record, folder: folder.to_owned(), hash: sha256(atomic_file::lines(&lines)) })
    }

    /// How many components there are of a layer of which a row has `units` numbers.
    pub(super) fn components(&self, name: &str, units: usize, wanted: Option<usize>) -> Result<usize> {
        let found = self.record.layers.iter().find(|layer| layer.name == name);
        let (layer, full) = found.and_then(|layer| Some((layer, layer.reduced.as_ref()?))).context("`read` has found it")?;
        let place = self.folder.display();
        let size = |shape: &[usize]| shape.iter().try_fold(1usize, |size, one| size.checked_mul(*one)).filter(|size| *size > 0);
        let Some((there, own)) = size(&layer.shape).zip(size(&full.shape)) else {
            return Err(advise(
                format!(
                    "the record in `{place}` says that rows of `{name}` have the shape {:?}, of {:?}",
                    layer.shape, full.shape
                ),
                "make that run again, or ask who made it",
            ));
        };
        if units != own {
            return Err(advise(
                format!("`{name}` has {} units here, and {} in `{place}`", count(units), count(own)),
                "take the same network, pixels and readout",
            ));
        }
        match wanted {
            Some(wanted) if wanted > there => Err(advise(
                format!("`{place}` has {} components of `{name}`, and {} are wanted", count(there), count(wanted)),
                "take fewer --components, or leave it out for all",
            )),
            wanted => Ok(wanted.unwrap_or(there)),
        }
    }

    /// Fails if its rows are of another network, or of other pixels or readouts, than those of `record`.
    pub(super) fn check(&self, record: &Record) -> Result<()> {
        let differences = record.differences_of_network(&self.folder)?;
        if differences.is_empty() {
            return Ok(());
        }
        Err(advise(
            format!("the components in `{}` are of other features: {differences}", self.folder.display()),
            "take the same network, weights, pixels and readout",
        ))
    }
}
