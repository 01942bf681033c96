//! The main job: images through a network, batch by batch, and the rows of each wanted layer to its file.
//!
//! The batch is the unit of work: batch `b` is images `b·B … (b+1)·B − 1` of the list, the last one padded to `B`. A
//! worker takes the next batch, decodes its images, runs the network on one libtorch thread and writes the rows at their
//! place. So a row's bytes depend neither on the number of workers nor on how many images there are.

mod layers;
mod readout;
mod record;

pub use layers::{Layer, describe, resolve};
pub use readout::Readout;
pub use record::{LayerRecord, Record, RunFolder, Seconds, is_run, read_record};

use crate::images::{ImageList, Preprocessing, decode};
use crate::models::Model;
use crate::nn::Plan;
use crate::npy::{Dtype, RowFile};
use anyhow::{Context, Result, ensure};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// All that an extraction needs, checked and opened.
pub struct Extraction<'a> {
    /// The network.
    pub model: &'a Model,
    /// The wanted calls; slot `i` goes to file `i`.
    pub plan: &'a Plan,
    /// The names of the layers, for messages.
    pub layers: &'a [Layer],
    /// Where the rows of each layer go.
    pub files: &'a [RowFile],
    /// The images, one a row.
    pub images: &'a ImageList,
    /// What the network is shown of them.
    pub preprocessing: &'a Preprocessing,
    /// How an activation becomes a row.
    pub readout: Readout,
    /// The element type of the files.
    pub dtype: Dtype,
    /// Images per pass.
    pub batch_size: usize,
    /// Threads, each with its own batches.
    pub workers: usize,
    /// Told the number of images of each finished batch.
    pub progress: &'a (dyn Fn(usize) + Sync),
}

impl Extraction<'_> {
    /// Runs all batches. On an error the other workers stop after their batch, and the first error is returned.
    pub fn run(&self) -> Result<Seconds> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let device = Mutex::new(());
        let results: Vec<Result<Seconds>> = std::thread::scope(|scope| {
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
        let mut sum = Seconds::default();
        for seconds in results {
            sum.add(&seconds?);
        }
        Ok(sum)
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.images.len().div_ceil(self.batch_size)
    }
}

struct Worker<'a> {
    job: &'a Extraction<'a>,
    /// Held while the network runs on a GPU, which the workers take in turn.
    device: &'a Mutex<()>,
    /// The preprocessed images of a batch, `[B, 3, H, W]`.
    pixels: Vec<f32>,
    /// The rows of a layer, as bytes of the file.
    rows: Vec<u8>,
    spent: [Duration; 3],
}

const DECODING: usize = 0;
const NETWORK: usize = 1;
const WRITING: usize = 2;

impl<'a> Worker<'a> {
    fn new(job: &'a Extraction<'a>, device: &'a Mutex<()>) -> Self {
        let pixels = vec![0.0; job.batch_size * job.preprocessing.len()];
        Self { job, device, pixels, rows: Vec::new(), spent: Default::default() }
    }

    fn work(mut self, next: &AtomicUsize, stop: &AtomicBool) -> Result<Seconds> {
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
            self.forward(images.clone())?;
            (self.job.progress)(images.len());
        }
        let [decoding, network, writing] = self.spent.map(|spent| spent.as_secs_f64());
        Ok(Seconds { decoding, network, writing, ..Seconds::default() })
    }

    fn decode(&mut self, images: Range<usize>) -> Result<()> {
        let start = Instant::now();
        let len = self.job.preprocessing.len();
        let (real, padding) = self.pixels.split_at_mut(images.len() * len);
        for (i, tensor) in images.zip(real.chunks_exact_mut(len)) {
            self.job.preprocessing.apply(&decode(&self.job.images.path(i))?, tensor);
        }
        padding.fill(0.0);
        self.spent[DECODING] += start.elapsed();
        Ok(())
    }

    fn forward(&mut self, images: Range<usize>) -> Result<()> {
        let Worker { job, device, pixels, rows, spent } = self;
        let turn = matches!(job.model.device, Device::Cuda(_)).then(|| device.lock());
        let start = Instant::now();
        let mut writing = Duration::ZERO;
        let side = job.preprocessing.crop as i64;
        let batch = Tensor::f_from_slice(pixels)?.f_view([job.batch_size as i64, 3, side, side])?;
        let mut keep = |slot: usize, activation: &Tensor| -> Result<()> {
            let start = Instant::now();
            let features = job.readout.apply(activation)?;
            write(job, slot, &features, images.clone(), rows).with_context(|| format!("layer `{}`", job.layers[slot].name))?;
            writing += start.elapsed();
            Ok(())
        };
        job.model.run(job.plan, &batch.f_to_device(job.model.device)?, &mut keep)?;
        drop(turn);
        spent[NETWORK] += start.elapsed() - writing;
        spent[WRITING] += writing;
        Ok(())
    }
}

/// Writes the rows of the real images of a batch; those of the padding are dropped.
fn write(job: &Extraction, slot: usize, features: &Tensor, images: Range<usize>, bytes: &mut Vec<u8>) -> Result<()> {
    let features = features.f_narrow(0, 0, images.len() as i64)?.f_to_device(Device::Cpu)?;
    let features = match job.dtype {
        Dtype::F32 => features.f_to_kind(Kind::Float)?,
        Dtype::F16 => half(&features)?,
    };
    let file = &job.files[slot];
    bytes.resize(images.len() * file.row_bytes(), 0);
    features.f_contiguous()?.f_copy_data_u8(bytes, features.numel())?;
    file.write(images.start, bytes)
}

fn half(features: &Tensor) -> Result<Tensor> {
    let half = features.f_to_kind(Kind::Half)?;
    let lost = half.f_isfinite()?.f_logical_not()?.f_logical_and(&features.f_isfinite()?)?;
    ensure!(
        lost.f_any()?.f_int64_value(&[])? == 0,
        crate::advice::Advice {
            problem: "a value is too large for float16 (more than 65,504)".into(),
            hint: "store float32: --dtype f32".into(),
        }
    );
    Ok(half)
}
