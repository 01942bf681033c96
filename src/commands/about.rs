//! `thingsvision about`: what the author of a bug report has to be asked.

use crate::cli::About;
use crate::printer::{Printer, columns};
use anyhow::Result;
use serde_json::{Map, Value};
use std::thread;
use thingsvision::device::{self, Preference};
use thingsvision::extract::Request;
use thingsvision::libtorch;
use thingsvision::numbers::bytes;
use thingsvision::weights::Store;

/// Prints the versions, the processor, the GPU and the places of this installation.
pub fn run(arguments: &About, places: &Request, printer: Printer) -> Result<()> {
    let unknown = || String::from("unknown");
    let cuda = match device::open(Preference::Cuda(0)) {
        Ok(_) => "available".into(),
        Err(error) => format!("not available: {}", thingsvision::error::text_of(&error)),
    };
    let cache = Store::open(places.cache.as_deref(), places.offline);
    let facts = [
        ("thingsvision", env!("CARGO_PKG_VERSION").to_owned()),
        ("program", std::env::current_exe().map_or_else(|_| unknown(), |path| path.display().to_string())),
        ("libtorch", libtorch::version().to_owned()),
        ("libtorch folder", libtorch::folder().map_or_else(unknown, |folder| folder.display().to_string())),
        ("cuda", cuda),
        ("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("processor", processor().unwrap_or_else(unknown)),
        ("vector instructions", libtorch::cpu_capability().unwrap_or_else(unknown)),
        ("cores", thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string())),
        ("memory available", thingsvision::memory::available().map_or_else(unknown, |memory| bytes(memory as u64))),
        ("weights folder", cache.map_or_else(|error| format!("{error:#}"), |store| store.folder().display().to_string())),
    ];
    if arguments.json {
        let facts: Map<String, Value> = facts.into_iter().map(|(name, value)| (name.replace(' ', "_"), value.into())).collect();
        return printer.data(&serde_json::to_string_pretty(&facts)?);
    }
    let rows: Vec<_> = facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    printer.data(&columns(&rows, &[]))
}

/// The processor's name, where the system tells (Linux on x86).
fn processor() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
