//! Keeps what was done: brings rows to the disk now and then, and only then notes them in the journals.

use super::journal::Journal;
use super::sink::Sink;
use anyhow::Result;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So often rows are brought to the disk: a machine that fails loses no more work than this.
const EVERY: Duration = Duration::from_secs(5);

/// What the workers have done, shared by them.
pub(super) struct Keeper<'a> {
    /// Those of all runs.
    sinks: Vec<&'a Sink<'a>>,
    /// One of each run. Who holds them brings rows to the disk; the others go on meanwhile.
    journals: Mutex<Vec<Journal>>,
    state: Mutex<State>,
}

struct State {
    /// Rows that were written, but are not known to be on the disk.
    rows: Vec<Range<usize>>,
    damaged: Vec<usize>,
    batches: usize,
    last: Instant,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(sinks: Vec<&'a Sink<'a>>, journals: Vec<Journal>) -> Self {
        let state = State { rows: Vec::new(), damaged: Vec::new(), batches: 0, last: Instant::now() };
        Self { sinks, journals: Mutex::new(journals), state: Mutex::new(state) }
    }

    /// Takes the rows that a batch has made whole, which were written in all runs.
    pub(super) fn add(&self, rows: Vec<Range<usize>>, damaged: Vec<usize>) -> Result<()> {
        let is_time = {
            let mut state = self.state();
            state.rows.extend(rows);
            state.damaged.extend(damaged);
            state.batches += 1;
            state.last.elapsed() > EVERY
        };
        match self.journals.try_lock() {
            Ok(journals) if is_time => self.keep_in(journals),
            _ => Ok(()),
        }
    }

    /// Brings all that was added to the disk, and notes it.
    pub(super) fn keep(&self) -> Result<()> {
        self.keep_in(self.journals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many batches were added.
    pub(super) fn batches(&self) -> usize {
        self.state().batches
    }

    fn keep_in(&self, mut journals: MutexGuard<Vec<Journal>>) -> Result<()> {
        let (rows, damaged) = {
            let mut state = self.state();
            state.last = Instant::now();
            (std::mem::take(&mut state.rows), std::mem::take(&mut state.damaged))
        };
        if rows.is_empty() && damaged.is_empty() {
            return Ok(());
        }
        self.sinks.iter().try_for_each(|sink| sink.sync())?;
        journals.iter_mut().try_for_each(|journal| journal.add(&rows, &damaged))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
