//! One of several processes that make a run together.

use super::claim::Claim;
use super::folder::RunFolder;
use super::journal::{Done, Journal};
use super::make::{Work, fault_of, go_on};
use super::part::Rows;
use super::plan::{Loaded, Plan};
use super::record::Seconds;
use super::sink::Sink;
use super::summary::took;
use crate::numbers::count;
use crate::observer::{Observer, Progress, Stage};
use anyhow::Result;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// So long a process that finds nothing to do waits before it looks again: another may die and leave something.
const PAUSE: Duration = Duration::from_millis(500);

/// Batches for each worker that are claimed at once: workers that wait for the last of them lose little.
const BATCHES: usize = 4;

impl Plan<'_> {
    /// Makes parts of a run until all are made, by this process or others. The first to see that finishes the run. Returns why a
    /// layer has no RDM.
    pub(super) fn join(&self, run: Loaded, observer: &dyn Observer) -> Result<Option<anyhow::Error>> {
        let start = Instant::now();
        let (folder, rows) = (run.planned.folder.clone(), self.rows());
        if let Some(mut joined) = RunFolder::join(&folder, &run.record, &self.stimuli.files()?, &rows)? {
            let mut share =
                Share { plan: self, run, rows, observer, seconds: Seconds::default(), made: 0, images: 0, until: start };
            let progress = observer.begin(Stage::Extract, Some(share.images_left(&joined.done)));
            let made = share.make(&mut joined, &*progress);
            drop(progress);
            match made {
                Ok(true) => {
                    share.say(start);
                    return share.finish(joined, start);
                }
                // An error, since another process finished the run and moved its folder meanwhile, is none.
                Err(error) if !joined.is_finished() => return Err(error),
                _ => share.say(start),
            }
        }
        observer.note(&format!("another process has finished `{}`", folder.display()));
        fault_of(&folder, self.request.allow_nonfinite, observer)
    }
}

/// What one process makes of a run.
struct Share<'a> {
    plan: &'a Plan<'a>,
    run: Loaded<'a, 'a>,
    rows: Rows<'a>,
    observer: &'a dyn Observer,
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
    fn make(&mut self, folder: &mut RunFolder, progress: &dyn Progress) -> Result<bool> {
        let (done, of) = (folder.done.rows.len(), self.run.record.images);
        let all = self.images_left(&folder.done);
        if done > 0 {
            self.observer.fact("joins", &format!("{} of {} rows are done", count(done), count(of)));
        }
        let mut waits = false;
        loop {
            if folder.is_finished() {
                return Ok(false);
            }
            let done = folder.done_by_now()?;
            if let Some(reason) = self.observer.stopped() {
                return Err(go_on(reason, &format!("{} of {} rows are done and kept", count(done.rows.len()), count(of))));
            }
            let left = self.images_left(&done);
            // Those of others come in between.
            progress.at(all.saturating_sub(left) as u64, None);
            if left == 0 && folder.claim_end()? {
                return Ok(true);
            }
            match Claim::take(&folder.place(), &self.rows, &done, BATCHES * self.plan.resources.workers)? {
                Some(claim) => self.make_claimed(&claim, folder, progress)?,
                None => {
                    if !waits {
                        let what = if left > 0 { "rows that other processes make" } else { "the process that finishes the run" };
                        self.observer.fact("waits for", what);
                    }
                    waits = true;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn images_left(&self, done: &Done) -> usize {
        self.work(0..self.run.record.images, done).images_of_batches()
    }

    /// The work on some rows, less what is done of them.
    fn work(&self, part: Range<usize>, done: &Done) -> Work<'a> {
        let batches = self.rows.batches(&part, done);
        Work { plan: self.plan, rows: self.rows, part, batches, done: Done::default() }
    }

    /// Makes the rows that are claimed.
    fn make_claimed(&mut self, claim: &Claim, folder: &RunFolder, progress: &dyn Progress) -> Result<()> {
        let place = folder.place();
        // Others may have made them since.
        let done = folder.done_by_now()?;
        let work = self.work(claim.rows.clone(), &done);
        let run = self.plan.files(&self.run, &place, 0..self.run.record.images, true)?;
        let add = |images: usize| progress.add(images as u64);
        let journals = vec![Journal::of_one_of_several(&place)?];
        let worked = work.extract(&[run], journals, &Mutex::default(), &add, self.observer)?;
        if worked.whole {
            self.made += claim.rows.clone().filter(|row| !done.rows.contains(row)).count();
            self.images += work.images_of_batches();
        }
        self.until = Instant::now();
        worked.seconds.iter().for_each(|seconds| self.seconds.add(seconds));
        Ok(())
    }

    fn say(&self, start: Instant) {
        self.observer.fact("made here", &format!("{} of {} rows", count(self.made), count(self.run.record.images)));
        self.observer
            .fact("took", &took(&[self.seconds], (self.until - start).as_secs_f64(), self.images, self.plan.stimuli.noun()));
    }

    /// Names the files of the activations, which are whole, and does what is left.
    fn finish(self, folder: RunFolder, start: Instant) -> Result<Option<anyhow::Error>> {
        let run = self.plan.files(&self.run, &folder.place(), 0..self.run.record.images, true)?;
        run.sinks.into_iter().try_for_each(Sink::finish)?;
        let damaged = folder.done_by_now()?.damaged;
        self.plan.finish(vec![(self.run.record, self.seconds, folder)], damaged, start, self.observer)
    }
}
