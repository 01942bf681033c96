//! `thingsvision rdm FEATURES`: an RDM of features.

use crate::cli::{AverageBy, Rdm};
use crate::commands::outputs;
use crate::printer::{Printer, bytes, count};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use thingsvision::advice::advise;
use thingsvision::arrays;
use thingsvision::images::Conditions;
use thingsvision::npy::Matrix;
use thingsvision::rdm::{Job, Labels, Metric, Noise, Shape, ids, means};
use thingsvision::whole::free_space;

/// Checks everything, then computes, and prints where the RDM is.
pub fn run(arguments: &Rdm, printer: Printer) -> Result<()> {
    let source = arguments.source();
    let out = arguments.out.clone().unwrap_or_else(|| beside(source));
    outputs::check_folder(&out)?;
    outputs::check_npy(&out, "; `thingsvision rdm convert` makes .csv, .tsv, .mat and .h5 of it")?;
    let named = [&arguments.ids, &arguments.conditions, &arguments.partitions, &arguments.residuals].into_iter().flatten();
    outputs::check(&outputs::with_ids(&out), outputs::read_of(source).into_iter().chain(named.cloned()))?;
    let read = Features::read(arguments, source)?;
    let noise = read.noise(arguments)?;
    let (features, ids) = read.of_stimuli(arguments);
    let shape = if arguments.condensed { Shape::Condensed } else { Shape::Square };
    let stimuli = ids.as_ref().map_or(features.rows, Vec::len);
    let size = shape.sizes(stimuli).iter().product::<usize>() as u64 * 4;
    check_disk(&out, size)?;
    let (n, units) = (count(stimuli), count(features.columns));
    printer.note(&format!("RDM of {n} stimuli from {units} units each{}", announced(size)));
    // Of crossnobis a row is a measurement, of which there are more than stimuli.
    let named = ids.as_ref().filter(|_| features.rows == stimuli);
    let name = |row: usize| named.map_or_else(|| format!("row {row}"), |ids| format!("`{}`", ids[row]));
    let job = Job::new(arguments.metric(), features, noise.as_ref(), arguments.on_constant, &name)
        .with_context(|| format!("no RDM of `{}`", source.display()))?;
    job.write(&out, shape)?;
    write_ids(&job, stimuli, ids, &out, printer)?;
    Ok(printer.data(&out.display().to_string())?)
}

/// `features.npy` to `features.rdm.npy`.
fn beside(features: &Path) -> PathBuf {
    arrays::split(features).0.with_extension("rdm.npy")
}

/// Of small files nothing.
fn announced(size: u64) -> String {
    if size < 100_000_000 { String::new() } else { format!(", {}", bytes(size)) }
}

fn check_disk(out: &Path, size: u64) -> Result<()> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free = free_space(folder)?;
    if size <= free {
        return Ok(());
    }
    Err(advise(
        format!("the RDM will be {}, and the disk of `{}` has {} free", bytes(size), folder.display(), bytes(free)),
        "write half as much with --condensed, or to another disk with --out",
    ))
}

/// The IDs of the stimuli that the RDM has, beside it; of dropped rows it must be known which are left.
fn write_ids(job: &Job, stimuli: usize, ids: Option<Vec<String>>, out: &Path, printer: Printer) -> Result<()> {
    let kept = job.kept();
    if let Some(kept) = &kept {
        printer.note(&format!("left out {} without variance", count(stimuli - kept.len())));
    }
    let ids: Option<Vec<String>> = match (ids, kept) {
        (ids, None) => ids,
        (Some(ids), Some(kept)) => Some(kept.into_iter().map(|row| ids[row].clone()).collect()),
        (None, Some(kept)) => Some(kept.into_iter().map(|row| format!("row {row}")).collect()),
    };
    outputs::write_ids(out, ids.as_deref(), printer)
}

/// What was read, before repeats are averaged.
struct Features {
    matrix: Matrix,
    ids: Option<Vec<String>>,
    conditions: Option<Labels>,
    partitions: Option<Labels>,
}

impl Features {
    fn read(arguments: &Rdm, path: &Path) -> Result<Features> {
        let (matrix, own) = match arrays::kind(path).as_str() {
            "npz" | "csv" | "tsv" | "mat" | "h5" | "hdf5" => open(path)?,
            _ if path.is_file() => (Matrix::open(path)?, None),
            _ => open(path)?,
        };
        let rows = matrix.rows;
        let labels = |path: &Option<PathBuf>| path.as_ref().map(|path| Labels::read(path, rows)).transpose();
        let ids = match &arguments.ids {
            Some(path) => Some(ids::read_for(path, rows)?),
            None => own.map_or_else(|| ids::of(path, rows), |own| Ok(Some(own)))?,
        };
        let conditions = match arguments.average_by {
            Some(AverageBy::Folder) => Some(folders(path, ids.as_deref())?),
            None => labels(&arguments.conditions)?,
        };
        Ok(Features { ids, conditions, partitions: labels(&arguments.partitions)?, matrix })
    }

    /// The noise covariance, for the metrics that are in units of it.
    fn noise(&self, arguments: &Rdm) -> Result<Option<Noise>> {
        if !matches!(arguments.metric(), Metric::Mahalanobis | Metric::Crossnobis) {
            return Ok(None);
        }
        let design = self.conditions.clone().zip(self.partitions.clone());
        if let Some(path) = &arguments.residuals {
            let residuals = open(path)?.0;
            return Noise::new(arguments.noise, &residuals, residuals.rows.saturating_sub(1), design).map(Some);
        }
        let of_repeats = |conditions| Noise::from_repeats(arguments.noise, &self.matrix, conditions, design);
        self.conditions.as_ref().map(of_repeats).transpose()
    }

    /// The features with a row for each condition, and the IDs of the rows. (Crossnobis averages within partitions.)
    fn of_stimuli(self, arguments: &Rdm) -> (Matrix, Option<Vec<String>>) {
        match self.conditions {
            None => (self.matrix, self.ids),
            Some(conditions) if arguments.metric() == Metric::Crossnobis => (self.matrix, Some(conditions.names)),
            Some(conditions) => (means(&self.matrix, &conditions.groups()), Some(conditions.names)),
        }
    }
}

/// The folder of each row.
fn folders(features: &Path, ids: Option<&[String]>) -> Result<Labels> {
    let ids = ids.ok_or_else(|| {
        advise(
            format!("it is not known which images the rows of `{}` are", features.display()),
            "name a file of their paths, one a line, with --ids; rows of a run have them",
        )
    })?;
    let Conditions { ids: names, of_image: of_row, .. } = Conditions::by_folder(ids)?;
    Ok(Labels { names, of_row })
}

fn open(path: &Path) -> Result<(Matrix, Option<Vec<String>>)> {
    let labelled = arrays::read(path)?;
    Ok((Matrix::from_array(labelled.values, path)?, labelled.ids))
}
