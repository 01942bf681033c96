//! Writes simulated EEG, `[trials, channels, times]`, and the condition and run of each trial: `cargo run --release --example make_eeg`.
#![allow(clippy::print_stdout)]

use anyhow::Result;
use ndarray::Array3;
use std::path::Path;
use thingsvision::npy;

const CONDITIONS: [&str; 6] = ["balls", "blocks", "bottles", "houses", "rings", "trees"];
const RUNS: usize = 4;
const CHANNELS: usize = 8;
/// From -100 to 480 ms, one sample every 20 ms.
const TIMES: usize = 30;

/// Numbers with mean 0 and variance 1, nearly normal: sums of twelve that are spread evenly (splitmix64).
struct Noise(u64);

impl Noise {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn next(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

/// How strongly a condition shows at a sample: from about 80 ms on, most at 180 ms.
fn course(time: usize) -> f64 {
    let ms = time as f64 * 20.0 - 100.0;
    if ms < 60.0 { 0.0 } else { (-((ms - 180.0) / 70.0).powi(2)).exp() }
}

fn main() -> Result<()> {
    let mut noise = Noise(1);
    let patterns: Vec<Vec<f64>> = CONDITIONS.iter().map(|_| (0..CHANNELS).map(|_| noise.next()).collect()).collect();
    let trials = RUNS * CONDITIONS.len();
    let eeg = Array3::from_shape_fn((trials, CHANNELS, TIMES), |(trial, channel, time)| {
        (2.0 * patterns[trial % CONDITIONS.len()][channel] * course(time) + noise.next()) as f32
    });
    let folder = Path::new("examples");
    npy::write(&folder.join("eeg.npy"), &eeg.into_dyn())?;
    let conditions: String = (0..trials).map(|trial| format!("{}\n", CONDITIONS[trial % CONDITIONS.len()])).collect();
    let runs: String = (0..trials).map(|trial| format!("{}\n", trial / CONDITIONS.len() + 1)).collect();
    std::fs::write(folder.join("eeg.conditions.txt"), conditions)?;
    std::fs::write(folder.join("eeg.runs.txt"), runs)?;
    println!("examples/eeg.npy");
    Ok(())
}
