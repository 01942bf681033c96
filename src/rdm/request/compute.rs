//! An RDM of features, or one of each subject.

use super::Request;
use super::features::{Features, Subject, subjects};
use super::stimuli::Common;
use crate::arrays;
use crate::atomic_file::free_space;
use crate::error::advise;
use crate::npy::Matrix;
use crate::numbers::{bytes, count};
use crate::observer::Observer;
use crate::rdm::job::Stack;
use crate::rdm::{Job, Shape, ids, outputs};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Checks everything, then computes, and says where the RDM is.
pub(super) fn run(request: &Request, observer: &dyn Observer) -> Result<PathBuf> {
    let sources = request.sources();
    let subjects = subjects(request, &sources)?;
    let out = out(request, &sources)?;
    check_out(&out, &subjects)?;
    let ids = match &subjects[..] {
        [only] => one(only, request, &out, observer)?,
        _ => several(&subjects, request, &out, observer)?,
    };
    outputs::write_beside(&out, ids.as_deref(), None, observer)?;
    Ok(out)
}

/// What --out says; of one subject `features.npy` to `features.rdm.npy`, `features.mat:x` to `features.x.rdm.npy`.
pub(super) fn out(request: &Request, sources: &[&Path]) -> Result<PathBuf> {
    match (&request.out, sources) {
        (Some(out), _) => Ok(out.clone()),
        (None, [only]) => {
            let (file, name) = arrays::split(only);
            let name = name.map_or_else(String::new, |name| name.replace('/', ".") + ".");
            Ok(arrays::with_ending(&file, &format!("{name}rdm.npy")))
        }
        (None, _) => Err(advise(
            format!("the RDMs of {} subjects need a name", sources.len()),
            "give the one file that is made of all: --out NAME.npy; each by itself is a command of its own",
        )),
    }
}

/// Fails if the RDM cannot be called `out`.
pub(super) fn check_out(out: &Path, subjects: &[Subject]) -> Result<()> {
    outputs::check_folder(out)?;
    outputs::check_run(out)?;
    outputs::check_npy(out, "; `thingsvision rdm convert` makes .csv, .tsv, .mat, .h5 and .pt of it")?;
    outputs::check(&outputs::with_beside(out), subjects.iter().flat_map(Subject::reads))
}

/// The RDM of one subject; returns the IDs of its stimuli.
fn one(subject: &Subject, request: &Request, out: &Path, observer: &dyn Observer) -> Result<Option<Vec<String>>> {
    let Planned { job, ids } = Planned::new(subject, request, observer)?;
    if request.out.is_none() {
        outputs::check_alone(&arrays::split(subject.source).0)?;
    }
    check_disk(out, size(request.shape(), job.stimuli()))?;
    outputs::check_beside(out, ids.as_deref(), None)?;
    job.write(out, request.shape(), observer)?;
    Ok(ids)
}

/// The RDMs of all subjects in the order of the first, one after the other; returns the IDs of the stimuli.
fn several(subjects: &[Subject], request: &Request, out: &Path, observer: &dyn Observer) -> Result<Option<Vec<String>>> {
    check_files(subjects.iter().flat_map(Subject::images))?;
    let first = Planned::new(&subjects[0], request, observer)?;
    let (stimuli, shape) = (first.job.stimuli(), request.shape());
    check_disk(out, size(shape, stimuli) * subjects.len() as u64)?;
    let mut stack = Stack::create(out, &[subjects.len()], stimuli, shape)?;
    stack.put(0, &first.job, observer)?;
    let mut common = Common::new(subjects[0].source.display().to_string(), first.job.stimuli(), first.ids)?;
    for (number, subject) in subjects.iter().enumerate().skip(1) {
        let mut planned = Planned::new(subject, request, observer)?;
        if let Some(order) = common.order(&subject.source.display().to_string(), planned.job.stimuli(), planned.ids.as_deref())? {
            planned.job.reorder(&order);
        }
        stack.put(number, &planned.job, observer)?;
    }
    outputs::check_beside(out, common.ids.as_deref(), None)?;
    stack.finish()?;
    let order = if common.assumed { ", taken to be in the same order" } else { "" };
    observer.note(&format!("RDMs of {} subjects, {} stimuli each{order}", count(subjects.len()), count(stimuli)));
    Ok(common.ids)
}

/// Fails if a file is not there, before the first RDM is computed.
pub(super) fn check_files(mut files: impl Iterator<Item = PathBuf>) -> Result<()> {
    match files.find(|file| !file.is_file()) {
        Some(missing) => Err(arrays::cannot_read(&missing)),
        None => Ok(()),
    }
}

/// An RDM that is about to be computed, and the IDs of its stimuli.
struct Planned {
    job: Job,
    ids: Option<Vec<String>>,
}

impl Planned {
    fn new(subject: &Subject, request: &Request, observer: &dyn Observer) -> Result<Planned> {
        let read = Features::read(request, subject)?;
        let noise = read.noise(request, subject)?;
        let (features, ids) = read.of_stimuli(request);
        if subject.mask.is_some() {
            let constant = constant_units(&features);
            if constant > 0 {
                let of = format!("{} of {} voxels", count(constant), count(features.columns));
                observer.note(&format!("{of} have one value in all rows, as outside of the brain; they count: look at the mask"));
            }
        }
        let stimuli = ids.as_ref().map_or(features.rows, Vec::len);
        let (n, units) = (count(stimuli), count(features.columns));
        if stimuli < 2 || features.columns == 0 {
            return Err(advise(
                format!("`{}` has {n} stimuli of {units} units", subject.source.display()),
                "an RDM is of two stimuli or more, and of units that can differ",
            ));
        }
        let of = if request.sources().len() > 1 { format!("`{}`: ", subject.source.display()) } else { String::new() };
        observer.note(&format!("{of}RDM of {n} stimuli from {units} units each{}", announced(size(request.shape(), stimuli))));
        // Of crossnobis a row is a measurement, of which there are more than stimuli.
        let named = ids.as_deref().filter(|_| features.rows == stimuli);
        let name = |row: usize| ids::name(named, row);
        let job = Job::new(request.metric(), features, noise.as_ref(), request.on_constant, &name)
            .with_context(|| format!("no RDM of `{}`", subject.source.display()))?;
        let ids = left(&job, stimuli, ids, observer);
        Ok(Planned { job, ids })
    }
}

/// How many columns have the same value in all rows.
fn constant_units(features: &Matrix) -> usize {
    let first = features.row(0);
    let mut is_constant = vec![true; features.columns];
    for other in (1..features.rows).map(|row| features.row(row)) {
        is_constant.iter_mut().zip(first.iter().zip(other)).for_each(|(constant, (a, b))| *constant &= *a == b);
    }
    is_constant.into_iter().filter(|constant| *constant).count()
}

/// The IDs of the stimuli that the RDM has; of dropped rows it must be known which are left.
fn left(job: &Job, stimuli: usize, ids: Option<Vec<String>>, observer: &dyn Observer) -> Option<Vec<String>> {
    let Some(kept) = job.kept() else { return ids };
    observer.note(&format!("left out {} without variance", count(stimuli - kept.len())));
    let name = |row: usize| ids.as_ref().map_or_else(|| format!("row {row}"), |ids| ids[row].clone());
    Some(kept.into_iter().map(name).collect())
}

/// In bytes.
pub(super) fn size(shape: Shape, stimuli: usize) -> u64 {
    shape.sizes(stimuli).iter().product::<usize>() as u64 * 4
}

/// Of small files nothing.
pub(super) fn announced(size: u64) -> String {
    if size < 100_000_000 { String::new() } else { format!(", {}", bytes(size)) }
}

pub(super) fn check_disk(out: &Path, size: u64) -> Result<()> {
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
