//! `extract --join`: one of several processes that make a run together.

use super::runs::begin;
use super::stop::Stop;
use super::wanted::Wanted;
use super::{Making, Work, go_on, layer_without_rdm, took};
use anyhow::Result;
use indicatif::ProgressBar;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use thingsvision::extract::{Claim, Done, Journal, Record, Resources, Rows, Run, RunFolder, Seconds, Sink};
use thingsvision::models::Model;
use thingsvision::numbers::count;

/// So long a process that finds nothing to do waits before it looks again: another may die and leave something.
const PAUSE: Duration = Duration::from_millis(500);

/// Batches for each worker that are claimed at once: workers that wait for the last of them lose little.
const BATCHES: usize = 4;

impl Making<'_> {
    /// Makes parts of a run until all are made, by this process or others. The first to see that finishes the run. Returns why a
    /// layer has no RDM.
    pub(super) fn join(
        &self,
        wanted: &Wanted,
        model: Model,
        record: Record,
        resources: Resources,
        rows: Rows,
    ) -> Result<Option<anyhow::Error>> {
        let start = Instant::now();
        if let Some(mut folder) = RunFolder::join(&wanted.folder, &record, &self.stimuli.files()?, &rows)? {
            let mut share = Share {
                making: self,
                wanted,
                model,
                record,
                resources,
                rows,
                seconds: Seconds::default(),
                made: 0,
                images: 0,
                until: start,
            };
            let bar = self.printer.progress("extract", share.images_left(&folder.done));
            let made = share.make(&mut folder, &bar);
            bar.finish_and_clear();
            match made {
                Ok(true) => {
                    share.say(start);
                    return share.finish(folder, start);
                }
                // An error, since another process finished the run and moved its folder meanwhile, is none.
                Err(error) if !folder.is_finished() => return Err(error),
                _ => share.say(start),
            }
        }
        self.printer.note(&format!("another process has finished `{}`", wanted.folder.display()));
        layer_without_rdm(&wanted.folder)
    }
}

/// What one process makes of a run.
struct Share<'a> {
    making: &'a Making<'a>,
    wanted: &'a Wanted<'a>,
    model: Model,
    record: Record,
    resources: Resources,
    rows: Rows<'a>,
    /// The time spent by its workers.
    seconds: Seconds,
    /// The number of rows.
    made: usize,
    /// The number of images that went through the network.
    images: usize,
    /// When its last rows were made.
    until: Instant,
}

impl<'a> Share<'a> {
    /// Makes parts of the run until none is left. Returns whether this process is to finish the run; else another has done so.
    fn make(&mut self, folder: &mut RunFolder, bar: &ProgressBar) -> Result<bool> {
        let (done, of) = (folder.done.rows.len(), self.record.images);
        if done > 0 {
            self.making.printer.fact("joins", &format!("{} of {} rows are done", count(done), count(of)));
        }
        let mut waits = false;
        loop {
            if folder.is_finished() {
                return Ok(false);
            }
            let done = folder.done_by_now()?;
            if let Some(interrupted) = Stop::listen().interrupted() {
                return Err(go_on(interrupted, &format!("{} of {} rows are done and kept", count(done.rows.len()), count(of))));
            }
            let left = self.images_left(&done);
            // Those of others come in between.
            bar.set_position(bar.length().unwrap_or(0).saturating_sub(left as u64));
            if left == 0 && folder.claim_end()? {
                return Ok(true);
            }
            match Claim::take(&folder.place(), &self.rows, &done, BATCHES * self.resources.workers)? {
                Some(claim) => self.make_claimed(&claim, folder, bar)?,
                None => {
                    if !waits {
                        let what = if left > 0 { "rows that other processes make" } else { "the process that finishes the run" };
                        self.making.printer.fact("waits for", what);
                    }
                    waits = true;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn images_left(&self, done: &Done) -> usize {
        self.work(0..self.record.images, done).images_of_batches()
    }

    /// The work on some rows, less what is done of them.
    fn work(&self, part: Range<usize>, done: &Done) -> Work<'a> {
        let batches = self.rows.batches(&part, done);
        Work {
            images: &self.making.stimuli.images,
            resources: self.resources,
            rows: self.rows,
            part,
            batches,
            done: Done::default(),
        }
    }

    /// The files of the whole run, and all that goes to them.
    fn run(&self, place: &Path) -> Result<Run<'a>> {
        begin(self.wanted, place, self.model.clone(), &self.record, self.making.stimuli, 0..self.record.images, true)
    }

    /// Makes the rows that are claimed.
    fn make_claimed(&mut self, claim: &Claim, folder: &RunFolder, bar: &ProgressBar) -> Result<()> {
        let place = folder.place();
        // Others may have made them since.
        let done = folder.done_by_now()?;
        let work = self.work(claim.rows.clone(), &done);
        let worked = work.extract(&[self.run(&place)?], vec![Journal::of_one_of_several(&place)?], &Mutex::default(), bar)?;
        if worked.whole {
            self.made += claim.rows.clone().filter(|row| !done.rows.contains(row)).count();
            self.images += work.images_of_batches();
        }
        self.until = Instant::now();
        worked.seconds.iter().for_each(|seconds| self.seconds.add(seconds));
        Ok(())
    }

    fn say(&self, start: Instant) {
        let printer = self.making.printer;
        printer.fact("made here", &format!("{} of {} rows", count(self.made), count(self.record.images)));
        printer.fact("took", &took(&[self.seconds], (self.until - start).as_secs_f64(), self.images));
    }

    /// Names the files of the activations, which are whole, and does what is left.
    fn finish(self, folder: RunFolder, start: Instant) -> Result<Option<anyhow::Error>> {
        self.run(&folder.place())?.sinks.into_iter().try_for_each(Sink::finish)?;
        let damaged = folder.done_by_now()?.damaged;
        self.making.finish(vec![(self.record, self.seconds, folder)], damaged, start)
    }
}
