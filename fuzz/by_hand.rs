//! Mutants of one parser, or of all, on the stable compiler: `cargo run --release --example fuzz -- png --inputs 1000000 --seed 0`.
//!
//! The parser runs in a process of its own, which is started again behind an input that ends it. An input that panics, aborts,
//! takes too long or too much memory is written to `fuzz/found`; `--show NUMBER` writes any other.
#![allow(clippy::unwrap_used)] // as in tests
#![allow(clippy::print_stdout)] // it is here for that

#[path = "harnesses/mod.rs"]
mod harnesses;

use clap::Parser as _;
use harnesses::{Mutator, PARSERS, Parser, parser};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(clap::Parser)]
struct Arguments {
    /// The parsers; all if none is named.
    parsers: Vec<String>,
    /// How many mutants each is given.
    #[arg(long, default_value_t = 100_000)]
    inputs: u64,
    /// Of the mutants.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The number of the first mutant.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only write the mutant of this number.
    #[arg(long)]
    show: Option<u64>,
    /// Where the process that does the work notes how far it is.
    #[arg(long, hide = true)]
    progress: Option<PathBuf>,
}

/// One input may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
const TOO_LONG: i32 = 3;

fn main() {
    let arguments = Arguments::parse();
    let named = |name: &String| parser(name);
    let parsers: Vec<_> =
        if arguments.parsers.is_empty() { PARSERS.iter().collect() } else { arguments.parsers.iter().map(named).collect() };
    if let Some(progress) = &arguments.progress {
        return work(parsers[0], &arguments, progress);
    }
    for parser in parsers {
        match arguments.show {
            Some(number) => keep(parser, &Mutator::new(parser), arguments.seed, number, "shown"),
            None => supervise(parser, &arguments),
        }
    }
}

/// Lets another process do the work, and starts it again where it was ended.
fn supervise(parser: &'static Parser, arguments: &Arguments) {
    let (start, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let (progress, end) = (folder.path().join("progress"), arguments.from + arguments.inputs);
    let (mut from, mut ended) = (arguments.from, 0);
    while from < end {
        let numbers = [("--inputs", end - from), ("--seed", arguments.seed), ("--from", from)];
        let mut work = Command::new(std::env::current_exe().unwrap());
        work.arg(parser.name).arg("--progress").arg(&progress).env("TMPDIR", folder.path());
        let status =
            work.args(numbers.iter().flat_map(|(flag, number)| [(*flag).to_owned(), number.to_string()])).status().unwrap();
        if status.success() {
            break;
        }
        let number = number_in(&progress);
        let why = match status.signal() {
            Some(signal) => format!("signal-{signal}"),
            None if status.code() == Some(TOO_LONG) => "too-long".to_owned(),
            None => format!("exit-{}", status.code().unwrap_or_default()),
        };
        keep(parser, &Mutator::new(parser), arguments.seed, number, &why);
        (from, ended) = (number + 1, ended + 1);
    }
    let (name, seed, seconds) = (parser.name, arguments.seed, start.elapsed().as_secs());
    println!(
        "{name}: {} inputs from {} of seed {seed} in {seconds} s, {ended} ended the process",
        arguments.inputs, arguments.from
    );
}

fn number_in(progress: &Path) -> u64 {
    u64::from_le_bytes(fs::read(progress).unwrap().try_into().unwrap())
}

static NUMBER: AtomicU64 = AtomicU64::new(u64::MAX);

fn work(parser: &'static Parser, arguments: &Arguments, progress: &Path) {
    let mutator = Mutator::new(parser);
    let progress = File::options().create(true).write(true).truncate(false).open(progress).unwrap();
    std::thread::spawn(watch);
    static PLACE: Mutex<String> = Mutex::new(String::new());
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        *PLACE.lock().unwrap() = format!("{place} {}", text.unwrap_or_default());
    }));
    let mut panics: BTreeMap<String, u64> = BTreeMap::new();
    let (mut slowest, mut largest, mut known) = ((Duration::ZERO, 0), (0, 0), 0);
    for number in arguments.from..arguments.from + arguments.inputs {
        progress.write_all_at(&number.to_le_bytes(), 0).unwrap();
        let bytes = mutator.mutant(arguments.seed, number);
        NUMBER.store(number, Ordering::Relaxed);
        let start = Instant::now();
        if panic::catch_unwind(AssertUnwindSafe(|| (parser.read)(&bytes))).is_err() {
            let place = PLACE.lock().unwrap().clone();
            let count = panics.entry(place.clone()).or_default();
            *count += 1;
            if *count == 1 {
                println!("{}: input {number} panics at {place}", parser.name);
                keep(parser, &mutator, arguments.seed, number, "panic");
            }
        }
        let time = start.elapsed();
        NUMBER.store(u64::MAX, Ordering::Relaxed);
        slowest = slowest.max((time, number));
        if time > Duration::from_millis(5) {
            let peak = peak_megabytes();
            largest = largest.max((peak, number));
            if peak > parser.most_megabytes && peak > known {
                println!("{}: input {number} takes {peak} MB", parser.name);
                keep(parser, &mutator, arguments.seed, number, "memory");
                known = peak;
            }
            // From here on the peak is that of the next.
            fs::write("/proc/self/clear_refs", "5").ok();
        }
    }
    let panicked: u64 = panics.values().sum();
    let (name, inputs, (slowest, slow), (largest, large)) = (parser.name, arguments.inputs, slowest, largest);
    println!(
        "{name}: {inputs} inputs, {panicked} panics at {} places; at most {slowest:.1?} (input {slow}), {largest} MB (input {large})",
        panics.len()
    );
}

/// Ends the process if an input takes too long.
fn watch() {
    let (mut seen, mut since) = (u64::MAX, Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let number = NUMBER.load(Ordering::Relaxed);
        if number != seen {
            (seen, since) = (number, Instant::now());
        }
        if seen != u64::MAX && since.elapsed() > PATIENCE {
            println!("input {seen} takes longer than {PATIENCE:?}");
            std::process::exit(TOO_LONG);
        }
    }
}

/// The most memory this process has had, where the system tells (Linux).
fn peak_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn keep(parser: &Parser, mutator: &Mutator, seed: u64, number: u64, why: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/found");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}-{seed}-{number}-{why}", parser.name));
    fs::write(&path, mutator.mutant(seed, number)).unwrap();
    println!("{}: input {number} ({why}): {}", parser.name, path.display());
}
