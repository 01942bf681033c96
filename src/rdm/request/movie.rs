//! RDM movies: an RDM of each time, or window of times, of measurements such as EEG and MEG.

use super::Request;
use super::compute::{announced, check_disk, check_files, check_out, out, size};
use super::features::{Rows, Subject, subjects};
use super::stimuli::Common;
use crate::arrays;
use crate::error::advise;
use crate::npy::Matrix;
use crate::numbers::{count, count_of};
use crate::observer::{Observer, Stage, Stopped};
use crate::parallel::parallel;
use crate::rdm::job::Stack;
use crate::rdm::recording::Recording;
use crate::rdm::windows::Windows;
use crate::rdm::{Job, Times, ids, outputs};
use anyhow::{Context, Result};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Checks everything, then computes, and says where the RDMs are.
pub(super) fn run(times: &Times, request: &Request, observer: &dyn Observer) -> Result<PathBuf> {
    let files = request.sources();
    let out = out(request, &files)?;
    check_files(files.iter().map(|file| arrays::split(file).0))?;
    let first = Recording::open(files[0])?;
    // The subjects of one file, or a file of each.
    let sources = if files.len() > 1 { files.clone() } else { vec![files[0]; first.subjects] };
    let subjects = subjects(request, &sources)?;
    check_out(&out, &subjects)?;
    check_read(&out, times)?;
    if request.out.is_none() {
        outputs::check_alone(&arrays::split(files[0]).0)?;
    }
    let samples = times.of(first.times)?;
    let windows = Windows::new(&samples, request.window, request.step)?;
    let movie = Movie { files: files.len(), samples, windows, subjects, out: &out, request, observer };
    let ids = movie.make(first)?;
    outputs::write_beside(&out, ids.as_deref(), Some(&movie.windows.times), observer)?;
    Ok(out)
}

/// Fails if the times that are read would be overwritten.
fn check_read(out: &Path, times: &Times) -> Result<()> {
    match times {
        Times::File(path) => outputs::check(&outputs::with_beside(out), [path.clone()]),
        Times::Every { .. } => Ok(()),
    }
}

/// What is to be made.
struct Movie<'a> {
    files: usize,
    /// The times of the samples.
    samples: Vec<f64>,
    windows: Windows,
    subjects: Vec<Subject<'a>>,
    out: &'a Path,
    request: &'a Request,
    observer: &'a dyn Observer,
}

impl Movie<'_> {
    /// The RDMs of all subjects and times, one after the other; returns the IDs of the stimuli.
    fn make(&self, mut recording: Recording) -> Result<Option<Vec<String>>> {
        let mut made: Option<(Stack, Common)> = None;
        for (number, subject) in self.subjects.iter().enumerate() {
            if self.files > 1 && number > 0 {
                recording = Recording::open(subject.source)?;
            }
            self.check(&recording, subject)?;
            if number == 0 || self.files > 1 {
                self.say(&recording, subject);
            }
            let rows = Rows::read(self.request, subject, recording.trials, None)?;
            let stimuli = rows.ids().map_or(recording.trials, <[String]>::len);
            let (mut stack, mut common) = match made.take() {
                Some(made) => made,
                None => {
                    (self.begin(&recording, stimuli)?, Common::new(self.name(number), stimuli, rows.ids().map(<[_]>::to_vec))?)
                }
            };
            let order = if number == 0 { None } else { common.order(&self.name(number), stimuli, rows.ids())? };
            let one = One { movie: self, number, rows, order };
            one.put(&recording, &mut stack)?;
            made = Some((stack, common));
        }
        let Some((stack, common)) = made else { return Ok(None) };
        outputs::check_beside(self.out, common.ids.as_deref(), Some(&self.windows.times))?;
        stack.finish()?;
        self.say_made(&common);
        Ok(common.ids)
    }

    /// Makes room for all, if there are pairs and the disk has room.
    fn begin(&self, recording: &Recording, stimuli: usize) -> Result<Stack> {
        let times = self.windows.times.len();
        if stimuli < 2 {
            return Err(advise(
                format!(
                    "`{}` has {} of {}",
                    self.name(0),
                    count_of(stimuli, "stimulus"),
                    count_of(recording.channels, "channel")
                ),
                "an RDM is of two stimuli or more: the axes are [trials, channels, times]",
            ));
        }
        check_disk(self.out, size(self.request.shape(), stimuli) * (self.subjects.len() * times) as u64)?;
        let axes = if self.subjects.len() > 1 { vec![self.subjects.len(), times] } else { vec![times] };
        Stack::create(self.out, &axes, stimuli, self.request.shape())
    }

    /// Fails if a recording does not have the times of the first, or is none.
    fn check(&self, recording: &Recording, subject: &Subject) -> Result<()> {
        let path = subject.source.display();
        if self.files > 1 && recording.subjects > 1 {
            return Err(advise(
                format!("`{path}` is of {} subjects, and there are several files", recording.subjects),
                "give one file of all subjects, or a file [trials, channels, times] of each",
            ));
        }
        if recording.times != self.samples.len() {
            return Err(advise(
                format!("`{path}` has {} times, but `{}` has {}", recording.times, self.name(0), self.samples.len()),
                "every subject must have the same times, along the last axis",
            ));
        }
        if recording.are_rdms() {
            return Err(advise(
                format!("`{path}` has RDMs, and no measurements: they are symmetric, with zeros on the diagonal"),
                "a glob may have matched what was written before",
            ));
        }
        Ok(())
    }

    /// What the axes are taken for, so that a wrong order is seen.
    fn say(&self, recording: &Recording, subject: &Subject) {
        let whose = match self.files {
            1 => format!("{}, ", count_of(recording.subjects, "subject")),
            _ => format!("`{}`: ", subject.source.display()),
        };
        self.observer.note(&format!(
            "{whose}{}, {}, {} from {} to {} ms",
            count_of(recording.trials, "trial"),
            count_of(recording.channels, "channel"),
            count_of(recording.times, "time"),
            self.samples[0],
            self.samples[self.samples.len() - 1]
        ));
        if self.windows.left > 0 && subject.source == self.subjects[0].source {
            let left = count_of(self.windows.left, "sample");
            self.observer.note(&format!("left out the last {left}, too few for a window of {}", self.windows.width));
        }
    }

    /// What was made.
    fn say_made(&self, common: &Common) {
        let times = &self.windows.times;
        let windows = if self.windows.width > 1 { format!("windows of {} samples", self.windows.width) } else { "times".into() };
        let order = if common.assumed && self.subjects.len() > 1 { ", taken to be in the same order" } else { "" };
        let bytes = size(self.request.shape(), common.stimuli) * (self.subjects.len() * times.len()) as u64;
        self.observer.note(&format!(
            "RDMs of {}, {} stimuli each{order}, at {} {windows} from {} to {} ms{}",
            count_of(self.subjects.len(), "subject"),
            count(common.stimuli),
            count(times.len()),
            times[0],
            times[times.len() - 1],
            announced(bytes)
        ));
    }

    /// What messages call a subject, as a file or as one of several in it.
    fn name(&self, number: usize) -> String {
        let path = self.subjects[number].source.display();
        if self.files == 1 && self.subjects.len() > 1 { format!("{path}, subject {number}") } else { path.to_string() }
    }
}

/// The part of a subject.
struct One<'a> {
    movie: &'a Movie<'a>,
    number: usize,
    rows: Rows,
    /// Where this subject has each of the stimuli, if in another order than the first.
    order: Option<Vec<usize>>,
}

impl One<'_> {
    /// Computes the RDMs of all times, as many together as there are cores.
    fn put(&self, recording: &Recording, stack: &mut Stack) -> Result<()> {
        let Movie { windows, observer, files, .. } = self.movie;
        let times = windows.times.len();
        let progress = observer.begin(Stage::Rdms, Some(times));
        let within = if *files > 1 { 0 } else { self.number };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for pass in recording.passes(times) {
            let patterns: Vec<Mutex<Matrix>> =
                recording.patterns(within, windows, pass.clone()).into_iter().map(Mutex::new).collect();
            for (first, together) in pass.step_by(cores).zip(patterns.chunks(cores)) {
                if let Some(reason) = observer.stopped() {
                    return Err(Stopped(reason).into());
                }
                let job = |number: usize| {
                    let empty = Matrix::from_rows(0, 0, Vec::new());
                    let patterns = mem::replace(&mut *together[number].lock().unwrap_or_else(PoisonError::into_inner), empty);
                    let time = windows.times[first + number];
                    self.job(patterns).with_context(|| format!("no RDM of `{}` at {time} ms", self.movie.name(self.number)))
                };
                for (window, mut job) in (first..).zip(parallel(together.len(), &job)?) {
                    self.order.iter().for_each(|order| job.reorder(order));
                    stack.put(self.number * times + window, &job, *observer)?;
                    progress.add(1);
                }
            }
        }
        Ok(())
    }

    /// The RDM of one time, from patterns `[trials, channels]`.
    fn job(&self, patterns: Matrix) -> Result<Job> {
        let (request, subject) = (self.movie.request, &self.movie.subjects[self.number]);
        let noise = self.rows.noise(&patterns, request, subject)?;
        let features = self.rows.of_stimuli(patterns, request);
        // Of crossnobis a row is a trial, of which there are more than stimuli.
        let named = self.rows.ids().filter(|ids| ids.len() == features.rows);
        Job::new(request.metric(), features, noise.as_ref(), request.on_constant, &|row| ids::name(named, row))
    }
}
