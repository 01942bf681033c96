//! The memory of this machine.

use crate::error::advise;
use anyhow::Result;

/// Less than this is not worth a look.
const LITTLE: u64 = 256 << 20;

/// Fails if `what` takes more `bytes` than there are: a small file may unpack to anything.
pub(crate) fn check(what: &dyn std::fmt::Display, bytes: u64) -> Result<()> {
    let available = if bytes < LITTLE { None } else { available() };
    match available.filter(|available| bytes > *available as u64) {
        None => Ok(()),
        Some(available) => {
            let text = |bytes: u64| indicatif::DecimalBytes(bytes).to_string();
            Err(advise(
                format!("{what} needs about {} of memory, and {} are available", text(bytes), text(available as u64)),
                "is it what it should be? take a smaller one, or a machine with more memory",
            ))
        }
    }
}

/// The memory that can be had without swapping, where the system tells (Linux).
pub fn available() -> Option<usize> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
