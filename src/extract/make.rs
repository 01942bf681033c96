//! From a plan to whole runs: networks with their weights, files to write to, batches, RDMs, records.

use super::batches::{Extraction, Run, Worked};
use super::difference::{Difference, in_words_with_images};
use super::files;
use super::folder::RunFolder;
use super::journal::{Done, Journal};
use super::part::Rows;
use super::plan::Space;
use super::plan::{Loaded, Plan, PlannedRun, State};
use super::record::{Record, Seconds};
use super::reduce;
use super::sink::Sink;
use super::{rdms, summary};
use crate::error::{Advice, advise};
use crate::numbers::{count, count_of};
use crate::observer::{Observer, Stage, Stopped};
use crate::output::RowFile;
use crate::reduce::Projection;
use crate::run::{LayerRecord, is_run, read_record};
use anyhow::Result;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tch::Device;

/// Runs that are whole.
pub struct Finished {
    /// The folder of each.
    pub folders: Vec<PathBuf>,
    /// Why a layer has no RDM, if one has none, or that there are values that are not finite: the activations are whole all the same.
    pub fault: Option<anyhow::Error>,
    /// How many files were left out because they cannot be read.
    pub skipped: usize,
}

impl Plan<'_> {
    /// Makes the runs, or goes on with them, and then their RDMs. Runs that are there already are not made again.
    pub fn run(mut self, observer: &dyn Observer) -> Result<Finished> {
        let folders: Vec<PathBuf> = self.runs.iter().map(|run| run.folder.clone()).collect();
        let mut missing = Vec::new();
        let mut fault = None;
        for run in std::mem::take(&mut self.runs) {
            if self.is_done(&run)? {
                observer.note(&format!("`{}` is there already, and is what this command would make", run.folder.display()));
                fault = fault.or(fault_of(&run.folder, self.request.allow_nonfinite, observer)?);
            } else {
                RunFolder::check(&run.folder, &self.stimuli.images.origin, self.request.force)?;
                missing.push(run);
            }
        }
        if !missing.is_empty() {
            fault = self.make(missing, observer)?.or(fault);
        }
        Ok(Finished { folders, fault, skipped: self.stimuli.images.skipped.len() })
    }

    /// Whether the run is there, whole, and the same; one that differs is an error that spells out how.
    fn is_done(&self, run: &PlannedRun) -> Result<bool> {
        // Of a run that is not there, or is to be replaced, nobody needs to know.
        if self.request.force || !is_run(&run.folder) {
            return Ok(false);
        }
        match self.state(run)? {
            State::Done => Ok(true),
            State::Missing | State::Unfetched => Ok(false),
            State::Changed(differences) => {
                let words = in_words_with_images(&differences, &run.folder, &self.stimuli.checksums);
                let hint = if differences.iter().any(Difference::is_of_images) {
                    "give these images a place of their own with --out, or replace the run with --force"
                } else if differences.iter().all(Difference::is_of_layers) {
                    "a run has the layers that one command names: name all of them (--layer A --layer B) with --force; or keep it and name \
                     another place with --out"
                } else {
                    "replace it with --force, or keep it and name another place with --out"
                };
                Err(advise(format!("there is another run in `{}`: {words}", run.folder.display()), hint))
            }
        }
    }

    /// Makes runs, or goes on with them; returns why a layer has no RDM.
    fn make(&self, mut planned: Vec<PlannedRun>, observer: &dyn Observer) -> Result<Option<anyhow::Error>> {
        let space = Space::check(self, &planned)?;
        planned.iter_mut().try_for_each(|run| run.weights.fetch(&self.sources.store, observer))?;
        let loaded = planned.iter().map(|run| self.load(run)).collect::<Result<Vec<_>>>()?;
        summary::say(self, &loaded, &space, observer);
        // From here on there is something to lose.
        if let Some(reason) = observer.stopped() {
            return Err(Stopped(reason).into());
        }
        if self.request.join {
            return loaded.into_iter().next().map_or(Ok(None), |only| self.join(only, observer));
        }
        let (start, rows) = (Instant::now(), self.rows());
        let files = self.stimuli.files()?;
        let begin = |run: &Loaded| RunFolder::begin(&run.planned.folder, self.request.force, &run.record, &files, Some(&rows));
        let folders = loaded.iter().map(begin).collect::<Result<Vec<_>>>()?;
        let done = done_in_all(&folders);
        let batches = rows.batches(&self.part, &done);
        summary::say_part(self, &done, &batches, observer);
        let mut runs = Vec::new();
        let mut journals = Vec::new();
        for (run, folder) in loaded.iter().zip(&folders) {
            runs.push(self.files(run, &folder.place(), self.part.clone(), !folder.done.rows.is_empty())?);
            journals.push(Journal::open(&folder.place())?);
        }
        let work = Work { plan: self, rows, part: self.part.clone(), batches, done };
        let (seconds, damaged) = work.run(runs, journals, observer)?;
        let wall = start.elapsed().as_secs_f64();
        observer.fact("took", &summary::took(&seconds, wall, work.images_of_batches(), self.stimuli.noun()));
        let runs = loaded.into_iter().zip(seconds).zip(folders).map(|((run, seconds), folder)| (run.record, seconds, folder));
        self.finish(runs.collect(), damaged, start, observer)
    }

    /// The network with its weights, which are on this machine.
    pub(super) fn load<'p, 'a>(&self, planned: &'p PlannedRun<'a>) -> Result<Loaded<'p, 'a>> {
        let place = (self.device, self.kind);
        let (model, provenance) = planned.weights.network(&self.sources.registry, place, &planned.outline)?;
        if planned.choice.is_exported() && self.device != Device::Cpu {
            // The first run there compiles the network, which workers have no stack for.
            model.trace(planned.shown.size())?;
        }
        let model = if self.request.exact { model.exact() } else { model };
        let record = self.record(planned, provenance);
        planned.fit_on.as_ref().map_or(Ok(()), |fit_on| fit_on.check(&record))?;
        Ok(Loaded { planned, model, projections: reduce::projections(&record)?, record })
    }

    /// The files of the `part` of a run in `place`, and all that goes to them; `keep` what is there.
    pub(super) fn files(&self, run: &Loaded, place: &Path, part: Range<usize>, keep: bool) -> Result<Run<'_>> {
        let Loaded { planned, model, record, projections } = run;
        // When the run was stopped while something was made of rows, all were there, and no batch is left for those that have gone.
        let is_left = |(layer, _): &(&LayerRecord, _)| !keep || !record.is_beyond_rows(layer, place);
        let (layers, projections): (Vec<&LayerRecord>, Vec<&Option<Arc<Projection>>>) =
            record.layers.iter().zip(projections).filter(is_left).unzip();
        let files = files::open(place, record, &layers, part.len(), keep)?;
        let sink = |((file, layer), projection): ((RowFile, &&LayerRecord), &Option<Arc<Projection>>)| {
            let dtype = record.written(layer).dtype;
            Sink::new(file, dtype, self.stimuli.conditions.as_ref(), part.clone()).projected(projection.clone())
        };
        Ok(Run {
            model: model.clone(),
            is_foreign: planned.choice.is_exported(),
            plan: planned.calls.clone(),
            layers: planned.layers.clone(),
            sinks: files.into_iter().zip(&layers).zip(projections).map(sink).collect(),
            shown: planned.shown.clone(),
            readout: planned.readout,
        })
    }

    /// Does what is left when all activations are there; returns why a layer has no RDM.
    pub(super) fn finish(
        &self,
        runs: Vec<(Record, Seconds, RunFolder)>,
        damaged: BTreeSet<usize>,
        start: Instant,
        observer: &dyn Observer,
    ) -> Result<Option<anyhow::Error>> {
        let damaged: Vec<String> = damaged.into_iter().filter_map(|i| self.stimuli.images.ids.get(i).cloned()).collect();
        if let Some(first) = damaged.first() {
            let count = count_of(damaged.len(), "damaged image");
            observer.fact("", &format!("{count} read as Pillow does, among them `{first}`; run.json lists them"));
        }
        let mut faults = Vec::new();
        for (mut record, seconds, folder) in runs {
            if let Some(reason) = observer.stopped() {
                return Err(go_on(reason, &format!("all {} are done, and RDMs are missing", self.stimuli.noun())));
            }
            let seconds = Seconds { wall: start.elapsed().as_secs_f64(), ..seconds };
            record.damaged_images = damaged.clone();
            faults.extend(rdms::finish(&folder.place(), record, seconds, self.stimuli.row_ids(), observer)?);
            folder.finish()?;
        }
        Ok(faults.into_iter().next())
    }
}

/// What is done in all of several runs.
fn done_in_all(folders: &[RunFolder]) -> Done {
    let mut done = folders[0].done.clone();
    for folder in &folders[1..] {
        done.rows.retain(|row| folder.done.rows.contains(row));
        done.damaged.extend(&folder.done.damaged);
    }
    done
}

/// Why a layer of the run in `folder` has no RDM, if one has none, or that it has values that are not finite.
pub(super) fn fault_of(folder: &Path, allow_nonfinite: bool, observer: &dyn Observer) -> Result<Option<anyhow::Error>> {
    let layers = read_record(folder)?.layers;
    let found = layers.iter().find_map(|layer| Some((&layer.name, layer.without_rdm.as_ref()?)));
    let without_rdm = found.map(|(name, reason)| {
        advise(
            format!("the activations are whole, but there is no RDM of `{name}`: {reason}"),
            "make the run anew with --force and --on-constant nan or drop",
        )
    });
    Ok(without_rdm.or_else(|| rdms::not_finite(&layers, allow_nonfinite, observer)))
}

/// Why a run was stopped, and how it goes on.
pub(super) fn go_on(reason: &'static str, state: &str) -> anyhow::Error {
    anyhow::Error::new(Stopped(reason)).context(Advice {
        problem: format!("{reason}: {state}"),
        hint: "the same command goes on from there, or `thingsvision resume` with the run's folder".into(),
    })
}

/// Images that go through networks.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) rows: Rows<'a>,
    pub(super) part: Range<usize>,
    pub(super) batches: Vec<usize>,
    pub(super) done: Done,
}

impl Work<'_> {
    pub(super) fn images_of_batches(&self) -> usize {
        let (images, size) = (self.rows.images, self.rows.batch_size);
        self.batches.iter().map(|batch| images.min((batch + 1) * size) - batch * size).sum()
    }

    /// Runs all networks over the images; the files of the activations are whole after it. Returns where the time went, and
    /// which images are damaged.
    pub(super) fn run(
        &self,
        runs: Vec<Run>,
        journals: Vec<Journal>,
        observer: &dyn Observer,
    ) -> Result<(Vec<Seconds>, BTreeSet<usize>)> {
        let damaged = Mutex::new(self.done.damaged.clone());
        let progress = observer.begin(Stage::Extract, Some(self.images_of_batches()));
        let done = Mutex::new(0);
        let count_images = |images: usize| {
            *done.lock().unwrap_or_else(PoisonError::into_inner) += images;
            progress.add(images as u64);
        };
        let worked = self.extract(&runs, journals, &damaged, &count_images, observer)?;
        drop(progress);
        if let (false, Some(reason)) = (worked.whole, observer.stopped()) {
            let images = count(*done.lock().unwrap_or_else(PoisonError::into_inner));
            return Err(go_on(reason, &format!("{images} {} were done and are kept", self.plan.stimuli.noun())));
        }
        runs.into_iter().flat_map(|run| run.sinks).try_for_each(Sink::finish)?;
        Ok((worked.seconds, damaged.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(super) fn extract(
        &self,
        runs: &[Run],
        journals: Vec<Journal>,
        damaged: &Mutex<BTreeSet<usize>>,
        progress: &(dyn Fn(usize) + Sync),
        observer: &dyn Observer,
    ) -> Result<Worked> {
        let extraction = Extraction {
            runs,
            images: &self.plan.stimuli.images,
            resources: self.plan.resources,
            rows: self.rows,
            part: self.part.clone(),
            batches: &self.batches,
            damaged,
            progress,
            stop: &|| observer.stopped().is_some(),
        };
        extraction.run(journals)
    }
}
