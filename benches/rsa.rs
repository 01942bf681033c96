//! How long inference takes: `cargo bench --bench rsa -- [PART]`, parts `permutations`, `kendall`, `bootstrap`.
//!
//! `benches/rsa.py` does the same with NumPy, SciPy and rsatoolbox.

#![allow(clippy::print_stdout)]

// The one of the program.
#[path = "../src/allocator.rs"]
mod allocator;

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
use thingsvision::rsa::{Analysis, Comparison, ModelRdm, Over, TargetRdm, bootstrap, kendall, permute};

fn main() -> Result<()> {
    let part = std::env::args().skip(1).find(|argument| argument != "--bench");
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("permutations") {
        for (comparison, models, targets) in
            [(Comparison::Pearson, 1, 1), (Comparison::Pearson, 8, 6), (Comparison::Spearman, 1, 1), (Comparison::RhoA, 8, 6)]
        {
            let analysis = analysis(comparison, 1854, models, targets, 1);
            let count = 1000;
            let seconds = time(|| permute(&analysis, count, 0).map(drop))?;
            let name = comparison.name();
            println!("{count} permutations, n = 1,854, {name}, {models} models × {targets} targets: {seconds:.2} s");
        }
    }
    if wanted("kendall") {
        let analysis = analysis(Comparison::KendallTauB, 1854, 1, 1, 1);
        let (x, y) = (&analysis.models[0].pairs, &analysis.targets[0].subjects[0]);
        println!(
            "Kendall once, n = 1,854: {:.2} s",
            time(|| {
                let _tau = kendall(x, y);
                Ok(())
            })?
        );
    }
    if wanted("bootstrap") {
        for comparison in [Comparison::Pearson, Comparison::Spearman, Comparison::RhoA, Comparison::KendallTauA] {
            let analysis = analysis(comparison, 118, 8, 1, 15);
            for over in [Over::Stimuli, Over::Both] {
                let seconds = time(|| bootstrap(&analysis, over, 1000, 0).map(drop))?;
                println!("1000 bootstraps, n = 118, 15 subjects, 8 models, {}, {over:?}: {seconds:.3} s", comparison.name());
            }
        }
    }
    Ok(())
}

fn time(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn analysis(comparison: Comparison, n: usize, models: usize, targets: usize, subjects: usize) -> Analysis {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut pairs = move || -> Vec<f64> { (0..n * (n - 1) / 2).map(|_| random.random()).collect() };
    let models = (0..models).map(|_| ModelRdm { model: String::new(), layer: String::new(), pairs: pairs() }).collect();
    let target =
        |_| TargetRdm { name: String::new(), kind: "fmri", time: None, subjects: (0..subjects).map(|_| pairs()).collect() };
    Analysis { comparison, stimuli: n, controls: Vec::new(), targets: (0..targets).map(target).collect(), models }
}
