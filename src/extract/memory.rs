//! How much memory a worker needs, and how many workers there is memory for.

use crate::advice::advise;
use crate::nn::Trace;
use anyhow::Result;

/// Blocks of the size of the largest activation that libtorch holds at once: input, output, a residual, and the
/// rearranged copies of a convolution. From the resident size of VGG16, ResNet50 and CLIP at batches of 16.
const BLOCKS: usize = 6;

/// The share of the available memory that may be planned with.
const SHARE: f64 = 0.9;

/// The bytes that one image takes in a pass through the traced network.
pub fn per_image(trace: &Trace) -> usize {
    let sizes = trace.calls.iter().map(|call| call.shape.iter().product::<i64>() as usize * 4);
    sizes.max().unwrap_or(0) * BLOCKS
}

/// At most `wanted` workers of `each` bytes beside `weights` bytes. Fails if not even one has room.
pub fn workers(wanted: usize, each: usize, weights: usize) -> Result<usize> {
    let Some(available) = available() else { return Ok(wanted) };
    let room = (available as f64 * SHARE) as usize;
    let fit = room.saturating_sub(weights) / each.max(1);
    if fit == 0 {
        let bytes = |number: usize| indicatif::DecimalBytes(number as u64).to_string();
        return Err(advise(
            format!(
                "one batch needs about {}, the weights {}, and {} are available",
                bytes(each),
                bytes(weights),
                bytes(available)
            ),
            "take a smaller --batch-size, or fewer models at once",
        ));
    }
    Ok(wanted.min(fit))
}

/// The memory that can be had without swapping, where the system tells (Linux).
fn available() -> Option<usize> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_workers_than_memory_allows() {
        let Some(available) = available() else { return };
        assert_eq!(workers(3, 1, 0).unwrap(), 3);
        assert!(workers(1000, available / 5, 0).unwrap() <= 5);
        assert!(workers(1, available * 2, 0).unwrap_err().to_string().starts_with("one batch needs about"));
        assert!(workers(1, 1, available * 2).is_err());
    }
}
