//! Images through networks, batch by batch, and the rows of each wanted layer to its file.
//!
//! The batch is the unit of work: batch `b` is images `b·B … (b+1)·B − 1` of the list. A worker takes the next batch, decodes
//! its images, runs the network and writes the rows at their place. A row's bytes depend neither on the number of workers
//! nor on the images after it: batches are padded to `B` and have one libtorch thread each, unless the kernels form every sum
//! in the same order for all sizes from 2 on and any number of threads ([`Model::rows_stand_alone`], in fused passes).

use super::journal::Journal;
use super::journal::Keeper;
use super::layers::Layer;
use super::part::Rows;
use super::record::Seconds;
use super::resources::Resources;
use super::shown::Shown;
use super::sink::Sink;
use super::turns::{Abandoned, Turns};
use crate::confine::confine;
use crate::error::advise;
use crate::images::{ImageList, Preprocessing, Window};
use crate::models::Model;
use crate::nn::{Plan, flush_denormals};
use crate::readout::Readout;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tch::{Device, Tensor};

/// Batches on a GPU at once: while the results of one are fetched, the kernels of the next are queued.
const IN_FLIGHT: usize = 2;

/// One network's part of an extraction: what it is to give of each image, and where that goes.
pub struct Run<'a> {
    /// The network.
    pub model: Model,
    /// Whether it is code of others.
    pub is_foreign: bool,
    /// The wanted calls; slot `i` goes to sink `i`.
    pub plan: Plan,
    /// The names of the layers, for messages.
    pub layers: Vec<Layer>,
    /// Where the rows of each layer go.
    pub sinks: Vec<Sink<'a>>,
    /// What the network is shown of a stimulus.
    pub shown: Shown,
    /// How an activation becomes a row.
    pub readout: Readout,
}

/// Images through one network or several.
pub struct Extraction<'a> {
    /// The networks. An image is decoded once for all, and preprocessed once for all with the same preprocessing.
    pub runs: &'a [Run<'a>],
    /// The images.
    pub images: &'a ImageList,
    /// The size of batches, and the number of threads.
    pub resources: Resources,
    /// How images make rows.
    pub rows: Rows<'a>,
    /// The rows that are to be made.
    pub part: Range<usize>,
    /// The batches that are to be done for them, in order.
    pub batches: &'a [usize],
    /// Gets the numbers of images that are damaged, but not so that Pillow would refuse them.
    pub damaged: &'a Mutex<BTreeSet<usize>>,
    /// Told the number of images of each finished batch.
    pub progress: &'a (dyn Fn(usize) + Sync),
    /// Whether to stop after the batches in progress.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// What an extraction has done.
#[derive(Debug)]
pub struct Worked {
    /// The time spent on each run.
    pub seconds: Vec<Seconds>,
    /// Whether it did all batches, and was not stopped before.
    pub whole: bool,
}

impl Extraction<'_> {
    /// Runs the batches, and notes in `journals`, one of each run, which rows are on the disk: now and then, and at the end. On
    /// an error the other workers stop after their batch, and the first error is returned.
    pub fn run(&self, journals: Vec<Journal>) -> Result<Worked> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let device = Turns::together(IN_FLIGHT);
        let keeper = Keeper::new(self.runs.iter().flat_map(|run| &run.sinks).collect(), journals);
        let results: Vec<Result<Vec<Seconds>>> = std::thread::scope(|scope| {
            let worker = || {
                let guard = StopOthers { job: self, device: &device, stop: &stop };
                let seconds = Worker::new(self, &device, &keeper).work(&next, &stop)?;
                std::mem::forget(guard);
                Ok(seconds)
            };
            let workers: Vec<_> = (0..self.resources.workers).map(|_| scope.spawn(worker)).collect();
            let joined = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker gave up")));
            joined.collect()
        });
        let mut sums = vec![Seconds::default(); self.runs.len()];
        let (results, faults): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        // Of those that stopped because another failed nobody wants to hear.
        let mut faults: Vec<_> = faults.into_iter().filter_map(Result::err).collect();
        faults.sort_by_key(|fault| fault.is::<Abandoned>());
        let kept = keeper.keep();
        if let Some(first) = faults.into_iter().next() {
            return Err(first);
        }
        for seconds in results.into_iter().flatten() {
            sums.iter_mut().zip(seconds).for_each(|(sum, seconds)| sum.add(&seconds));
        }
        kept?;
        Ok(Worked { seconds: sums, whole: keeper.batches() == self.batches.len() })
    }
}

/// Dropped when a worker fails in whatever way: the others stop, also those that wait for their turn.
struct StopOthers<'a> {
    job: &'a Extraction<'a>,
    device: &'a Turns,
    stop: &'a AtomicBool,
}

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.device.abandon();
        self.job.runs.iter().flat_map(|run| &run.sinks).for_each(Sink::abandon);
    }
}

struct Worker<'a> {
    job: &'a Extraction<'a>,
    /// For a GPU, which the workers take in turn.
    device: &'a Turns,
    keeper: &'a Keeper<'a>,
    /// What is shown of the images of a batch, `[B, 3, H, W]`, for each preprocessing that differs.
    pixels: Vec<Pixels<'a>>,
    /// Room for the rows of a layer.
    room: Vec<f32>,
    seconds: Vec<Seconds>,
}

struct Pixels<'a> {
    preprocessing: &'a Preprocessing,
    /// Height and width.
    shown: [usize; 2],
    /// The number of values of an image.
    len: usize,
    values: Vec<f32>,
}

impl<'a> Worker<'a> {
    fn new(job: &'a Extraction<'a>, device: &'a Turns, keeper: &'a Keeper<'a>) -> Self {
        let mut pixels: Vec<Pixels> = Vec::new();
        for Run { shown, .. } in job.runs {
            let Shown::Image(preprocessing, shown) = shown else { continue };
            if pixels.iter().all(|other| other.preprocessing != preprocessing) {
                let len = 3 * shown[0] * shown[1];
                pixels.push(Pixels { preprocessing, shown: *shown, len, values: vec![0.0; job.resources.batch_size * len] });
            }
        }
        Self { job, device, keeper, pixels, room: Vec::new(), seconds: vec![Seconds::default(); job.runs.len()] }
    }

    fn work(mut self, next: &AtomicUsize, stop: &AtomicBool) -> Result<Vec<Seconds>> {
        if self.job.runs.iter().any(|run| run.is_foreign) {
            confine(&self.job.images.places())?;
        }
        // Both for this thread only; the workers together use the cores.
        tch::set_num_threads(self.job.resources.threads as i32);
        flush_denormals();
        while !stop.load(Ordering::Relaxed) && !(self.job.stop)() {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = self.job.batches.get(turn) else { break };
            let first = batch * self.job.resources.batch_size;
            let images = first..self.job.images.len().min(first + self.job.resources.batch_size);
            let damaged = self.decode(images.clone())?;
            for run in 0..self.job.runs.len() {
                self.forward(turn, run, images.clone())?;
            }
            self.keeper.add(self.job.rows.ended_by(images.clone(), &self.job.part), damaged)?;
            (self.job.progress)(images.len());
        }
        Ok(self.seconds)
    }

    /// Decodes and prepares images, and returns which are damaged.
    fn decode(&mut self, images: Range<usize>) -> Result<Vec<usize>> {
        if self.pixels.is_empty() {
            return Ok(Vec::new());
        }
        let start = Instant::now();
        let mut damaged = Vec::new();
        let real = images.len();
        for (slot, i) in images.enumerate() {
            let looked_at = |width, height| {
                let windows = self.pixels.iter().map(|pixels| pixels.preprocessing.looks_at(width, height));
                windows.reduce(|all, one| all.union(&one)).unwrap_or_else(|| Window::whole(width, height))
            };
            let image = self.job.images.decode(i, &looked_at)?;
            if image.damaged {
                damaged.push(i);
                self.job.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(i);
            }
            for Pixels { preprocessing, shown, len, values } in &mut self.pixels {
                if preprocessing.shown(image.width, image.height) != *shown {
                    return Err(advise(
                        format!("`{}` is now {} × {} pixels and was not", self.job.images.ids[i], image.width, image.height),
                        "an image was replaced during the run: start again, and leave the images alone meanwhile",
                    ));
                }
                preprocessing.apply(&image, &mut values[slot * *len..][..*len]);
            }
        }
        for Pixels { len, values, .. } in &mut self.pixels {
            values[real * *len..].fill(0.0);
        }
        let spent = start.elapsed().as_secs_f64();
        self.seconds.iter_mut().for_each(|seconds| seconds.decoding += spent);
        Ok(damaged)
    }

    fn forward(&mut self, turn: usize, number: usize, images: Range<usize>) -> Result<()> {
        let Worker { job, device, pixels, room, seconds, .. } = self;
        let (run, seconds) = (&job.runs[number], &mut seconds[number]);
        let takes_turns = matches!(run.model.device, Device::Cuda(_));
        if takes_turns {
            device.wait_for(turn * job.runs.len() + number)?;
        }
        let start = Instant::now();
        let mut writing = Duration::ZERO;
        let size = self::size(run, images.len(), job.resources.batch_size);
        let (tensor, texts) = match &run.shown {
            Shown::Image(preprocessing, shown) => {
                let pixels = pixels.iter().find(|other| other.preprocessing == preprocessing).expect("made in `new`");
                let [height, width] = shown.map(|size| size as i64);
                let values = Tensor::f_from_slice(&pixels.values[..size * pixels.len])?;
                (values.f_view([size as i64, 3, height, width])?, None)
            }
            Shown::Text(texts) => (texts.batch(images.clone(), size)?, Some(texts.places(images.clone(), size)?)),
        };
        let mut keep = |slot: usize, activation: &Tensor| -> Result<()> {
            let start = Instant::now();
            let features = run.readout.apply(activation, run.layers[slot].places, texts.as_ref())?;
            let write = run.sinks[slot].write(turn, images.clone(), &features, room);
            write.with_context(|| format!("layer `{}`", run.layers[slot].name))?;
            writing += start.elapsed();
            Ok(())
        };
        run.model.run(&run.plan, &run.model.take(&tensor)?, &mut keep)?;
        if takes_turns {
            device.end_one();
        }
        seconds.network += (start.elapsed() - writing).as_secs_f64();
        seconds.writing += writing.as_secs_f64();
        Ok(())
    }
}

/// The number of images in a pass for a batch of `images`.
fn size(run: &Run, images: usize, batch_size: usize) -> usize {
    // One row alone would be multiplied by other kernels than several.
    if run.model.is_fused() && run.model.rows_stand_alone() { images.max(2).min(batch_size) } else { batch_size }
}
