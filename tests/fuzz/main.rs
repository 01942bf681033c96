//! Some mutants of foreign bytes for each parser, the same in every run; `docs/fuzzing.md` has the long form.
#![allow(clippy::unwrap_used)] // helpers of tests

mod bombs;
#[path = "../../fuzz/harnesses/mod.rs"]
mod harnesses;

use harnesses::{Mutator, PARSERS, Parser};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// For one mutant.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn no_mutant_makes_a_parser_panic_or_run_on() {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut faults = Vec::new();
        while let Some(parser) = PARSERS.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.extend(faults_of(parser));
        }
        faults
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let faults: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

fn faults_of(parser: &'static Parser) -> Vec<String> {
    let (mutator, mut faults) = (Mutator::new(parser), Vec::new());
    for number in 0..parser.tested {
        let (bytes, start) = (mutator.mutant(0, number), Instant::now());
        let is_fine = panic::catch_unwind(AssertUnwindSafe(|| (parser.read)(&bytes))).is_ok();
        if !is_fine || start.elapsed() > PATIENCE {
            let why = if is_fine { "takes too long" } else { "panics" };
            faults.push(format!("{} {why}: cargo run --release --example fuzz -- {} --show {number}", parser.name, parser.name));
        }
    }
    faults
}
