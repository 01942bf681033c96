//! The main job: images through networks, batch by batch, and the rows of each wanted layer to its file.
//!
//! The batch is the unit of work: batch `b` is images `b·B … (b+1)·B − 1` of the list, the last one padded to `B`. A
//! worker takes the next batch, decodes its images, runs the network on one libtorch thread and writes the rows at their
//! place. So a row's bytes depend neither on the number of workers nor on how many images there are.

mod folder;
mod layers;
mod memory;
mod record;

pub use folder::RunFolder;
pub use layers::{Layer, describe, resolve};
pub use memory::{per_image, workers};
pub use record::{LayerRecord, Record, Seconds, is_run, read_record};

use crate::advice::advise;
use crate::images::{ImageList, Preprocessing, decode};
use crate::models::Model;
use crate::nn::Plan;
use crate::npy::{Dtype, RowFile};
use crate::readout::Readout;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// One network's part of an extraction: what it is to give of each image, and where that goes.
pub struct Run {
    /// The network.
    pub model: Model,
    /// The wanted calls; slot `i` goes to file `i`.
    pub plan: Plan,
    /// The names of the layers, for messages.
    pub layers: Vec<Layer>,
    /// Where the rows of each layer go.
    pub files: Vec<RowFile>,
    /// What the network is shown of an image.
    pub preprocessing: Preprocessing,
    /// How an activation becomes a row.
    pub readout: Readout,
    /// The element type of the files.
    pub dtype: Dtype,
}

/// Images through one network or several.
pub struct Extraction<'a> {
    /// The networks. An image is decoded once for all, and preprocessed once for all with the same preprocessing.
    pub runs: &'a [Run],
    /// The images, one a row.
    pub images: &'a ImageList,
    /// Images per pass.
    pub batch_size: usize,
    /// Threads, each with its own batches.
    pub workers: usize,
    /// Gets the numbers of images that are damaged, but not so that Pillow would refuse them.
    pub damaged: &'a Mutex<BTreeSet<usize>>,
    /// Told the number of images of each finished batch.
    pub progress: &'a (dyn Fn(usize) + Sync),
}

impl Extraction<'_> {
    /// Runs all batches, and returns the time spent on each run. On an error the other workers stop after their batch,
    /// and the first error is returned.
    pub fn run(&self) -> Result<Vec<Seconds>> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let device = Mutex::new(());
        let results: Vec<Result<Vec<Seconds>>> = std::thread::scope(|scope| {
            let worker = || {
                let result = Worker::new(self, &device).work(&next, &stop);
                if result.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                result
            };
            let workers: Vec<_> = (0..self.workers).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
        });
        let mut sums = vec![Seconds::default(); self.runs.len()];
        for seconds in results {
            sums.iter_mut().zip(seconds?).for_each(|(sum, seconds)| sum.add(&seconds));
        }
        Ok(sums)
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.images.len().div_ceil(self.batch_size)
    }
}

struct Worker<'a> {
    job: &'a Extraction<'a>,
    /// Held while a network runs on a GPU, which the workers take in turn.
    device: &'a Mutex<()>,
    /// The images of a batch, `[B, 3, H, W]`, for each preprocessing that differs.
    pixels: Vec<(&'a Preprocessing, Vec<f32>)>,
    /// The rows of a layer, as bytes of the file.
    rows: Vec<u8>,
    seconds: Vec<Seconds>,
}

impl<'a> Worker<'a> {
    fn new(job: &'a Extraction<'a>, device: &'a Mutex<()>) -> Self {
        let mut pixels: Vec<(&Preprocessing, Vec<f32>)> = Vec::new();
        for Run { preprocessing, .. } in job.runs {
            if pixels.iter().all(|(other, _)| *other != preprocessing) {
                pixels.push((preprocessing, vec![0.0; job.batch_size * preprocessing.len()]));
            }
        }
        Self { job, device, pixels, rows: Vec::new(), seconds: vec![Seconds::default(); job.runs.len()] }
    }

    fn work(mut self, next: &AtomicUsize, stop: &AtomicBool) -> Result<Vec<Seconds>> {
        // For this thread only; the workers together use the cores.
        tch::set_num_threads(1);
        while !stop.load(Ordering::Relaxed) {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= self.job.batches() {
                break;
            }
            let first = batch * self.job.batch_size;
            let images = first..self.job.images.len().min(first + self.job.batch_size);
            self.decode(images.clone())?;
            for run in 0..self.job.runs.len() {
                self.forward(run, images.clone())?;
            }
            (self.job.progress)(images.len());
        }
        Ok(self.seconds)
    }

    fn decode(&mut self, images: Range<usize>) -> Result<()> {
        let start = Instant::now();
        let real = images.len();
        for (slot, i) in images.enumerate() {
            let image = decode(&self.job.images.path(i))?;
            if image.damaged {
                self.job.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(i);
            }
            for (preprocessing, pixels) in &mut self.pixels {
                let len = preprocessing.len();
                preprocessing.apply(&image, &mut pixels[slot * len..][..len]);
            }
        }
        for (preprocessing, pixels) in &mut self.pixels {
            pixels[real * preprocessing.len()..].fill(0.0);
        }
        let spent = start.elapsed().as_secs_f64();
        self.seconds.iter_mut().for_each(|seconds| seconds.decoding += spent);
        Ok(())
    }

    fn forward(&mut self, run: usize, images: Range<usize>) -> Result<()> {
        let Worker { job, device, pixels, rows, seconds } = self;
        let (run, seconds) = (&job.runs[run], &mut seconds[run]);
        let (_, pixels) = pixels.iter().find(|(other, _)| *other == &run.preprocessing).expect("made in `new`");
        let turn = matches!(run.model.device, Device::Cuda(_)).then(|| device.lock());
        let start = Instant::now();
        let mut writing = Duration::ZERO;
        let side = run.preprocessing.crop as i64;
        let batch = Tensor::f_from_slice(pixels)?.f_view([job.batch_size as i64, 3, side, side])?;
        let mut keep = |slot: usize, activation: &Tensor| -> Result<()> {
            let start = Instant::now();
            let features = run.readout.apply(activation)?;
            write(run, slot, &features, images.clone(), rows).with_context(|| format!("layer `{}`", run.layers[slot].name))?;
            writing += start.elapsed();
            Ok(())
        };
        run.model.run(&run.plan, &batch.f_to_device(run.model.device)?, &mut keep)?;
        drop(turn);
        seconds.network += (start.elapsed() - writing).as_secs_f64();
        seconds.writing += writing.as_secs_f64();
        Ok(())
    }
}

/// Writes the rows of the real images of a batch; those of the padding are dropped.
fn write(run: &Run, slot: usize, features: &Tensor, images: Range<usize>, bytes: &mut Vec<u8>) -> Result<()> {
    let features = features.f_narrow(0, 0, images.len() as i64)?.f_to_device(Device::Cpu)?;
    let features = match run.dtype {
        Dtype::F32 => features.f_to_kind(Kind::Float)?,
        Dtype::F16 => half(&features)?,
    };
    let file = &run.files[slot];
    bytes.resize(images.len() * file.row_bytes(), 0);
    features.f_contiguous()?.f_copy_data_u8(bytes, features.numel())?;
    file.write(images.start, bytes)
}

fn half(features: &Tensor) -> Result<Tensor> {
    let half = features.f_to_kind(Kind::Half)?;
    let lost = half.f_isfinite()?.f_logical_not()?.f_logical_and(&features.f_isfinite()?)?;
    if lost.f_any()?.f_int64_value(&[])? != 0 {
        return Err(advise("a value is too large for float16 (more than 65,504)", "store float32: --dtype f32"));
    }
    Ok(half)
}
