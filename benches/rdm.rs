//! How fast a correlation RDM is made: `cargo bench --bench rdm -- [STIMULI UNITS]`, 8,192 × 4,096 unless said otherwise.
//!
//! Beside it the rate at which libtorch multiplies float32 matrices on all cores, of which the RDM needs half the
//! products. `benches/rdm.py` does the same with NumPy and SciPy.

#![allow(clippy::print_stdout)]

// The one of the program.
#[path = "../src/allocator.rs"]
mod allocator;

use anyhow::{Context, Result};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use thingsvision::npy::{self, Matrix};
use thingsvision::observer::Silent;
use thingsvision::rdm::{Job, Metric, OnConstant, Shape};

fn main() -> Result<()> {
    let sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (n, d) = if let [n, d] = sizes[..] { (n, d) } else { (8192, 4096) };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("features.npy");
    let mut random = ChaCha8Rng::seed_from_u64(0);
    npy::write(&path, &Array2::from_shape_fn((n, d), |_| random.random::<f32>()).into_dyn())?;

    let rate = gemm_rate()?;
    println!("float32 matrix product: {:.0} GFLOP/s", rate / 1e9);
    let mut seconds = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let job = Job::new(Metric::Correlation, Matrix::open(&path)?, None, OnConstant::Error, &|row| row.to_string())?;
        job.write(&folder.path().join("rdm.npy"), Shape::Square, &Silent)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let best = seconds.iter().copied().reduce(f64::min).context("three runs")?;
    let flops = (n * n * d) as f64;
    println!(
        "{n} × {d}: {best:.2} s, {:.0} GFLOP/s on half the products, {:.0} % of the rate",
        flops / best / 1e9,
        100.0 * flops / best / rate
    );
    Ok(())
}

/// Floating-point operations in a second of a large product.
fn gemm_rate() -> Result<f64> {
    let side = 4096;
    let x = Tensor::f_rand([side, side], (Kind::Float, Device::Cpu))?;
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let start = Instant::now();
        let _product = x.f_matmul(&x)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * (side as f64).powi(3) / best)
}
