//! How the work is divided among cores: the size of batches, and how many workers there are batches and memory for.

use crate::error::advise;
use crate::memory::available;
use crate::nn::Trace;
use anyhow::Result;

/// Blocks of the size of the largest activation that libtorch holds at once: input, output, a residual, and the
/// rearranged copies of a convolution. From the resident size of VGG16, ResNet50 and CLIP at batches of 16.
const BLOCKS: usize = 6;

/// The share of the available memory that may be planned with.
const SHARE: f64 = 0.9;

/// Images in a batch at most, unless a user wants more. Measured on two cores, in images a second at batches of 1, 4, 16 and
/// 32: ResNet50 23.9, 24.3, 25.0, 25.2; VGG16 6.5, 7.1, 7.2, 7.2; AlexNet, whose large linear maps are read once a batch, 68,
/// 125, 152, 156.
const BATCH_SIZE: usize = 16;

/// How the work is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Images in a pass.
    pub batch_size: usize,
    /// Threads that take batches.
    pub workers: usize,
    /// Threads of libtorch within each.
    pub threads: usize,
}

/// What has to be done, and what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// The number of images.
    pub images: usize,
    /// What an image takes in a pass, in bytes.
    pub per_image: usize,
    /// What is in memory beside, in bytes.
    pub beside: usize,
    /// Whether each module is computed by itself, so that the sizes of batches and the number of threads may show in the
    /// last digits.
    pub exact: bool,
    /// Whether otherwise they do not ([`rows_stand_alone`](crate::models::Model::rows_stand_alone)).
    pub rows_stand_alone: bool,
    /// The size of a batch, if the user chose it.
    pub batch_size: Option<usize>,
    /// The number of workers, if the user chose it.
    pub workers: Option<usize>,
}

impl Demand {
    /// One worker a core, with one libtorch thread each: nothing waits, and results do not depend on how many there are.
    /// Few images make smaller batches, so that there is one for each of up to 16 cores. Where batches or memory are too few
    /// for one worker a core, the cores are shared out among the workers: on 64 cores with memory for 20 batches, 20
    /// workers have 3 threads each. Fails if not even one worker has room.
    pub fn meet(&self) -> Result<Resources> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.meet_with(cores, available())
    }

    fn meet_with(&self, cores: usize, memory: Option<usize>) -> Result<Resources> {
        let few = if self.exact { BATCH_SIZE } else { (self.images / 16).clamp(2, BATCH_SIZE) };
        let batch_size = self.batch_size.unwrap_or(few);
        let wanted = self.workers.unwrap_or(cores).min(self.images.div_ceil(batch_size)).max(1);
        let workers = wanted.min(self.fit(batch_size, memory)?);
        let one = self.exact || !self.rows_stand_alone || self.workers.is_some();
        let threads = if one { 1 } else { (cores / workers).max(1) };
        Ok(Resources { batch_size, workers, threads })
    }

    /// How many workers have room.
    fn fit(&self, batch_size: usize, memory: Option<usize>) -> Result<usize> {
        let Some(available) = memory else { return Ok(usize::MAX) };
        let each = self.per_image.saturating_mul(batch_size);
        let room = (available as f64 * SHARE) as usize;
        match room.saturating_sub(self.beside) / each.max(1) {
            0 => {
                let bytes = |number: usize| indicatif::DecimalBytes(number as u64).to_string();
                let (each, weights, available) = (bytes(each), bytes(self.beside), bytes(available));
                Err(advise(
                    format!("one batch needs about {each}, the weights {weights}, and {available} are available"),
                    "take a smaller --batch-size, or fewer models at once",
                ))
            }
            workers => Ok(workers),
        }
    }
}

/// The bytes that one image takes in a pass through the traced network.
pub fn per_image(trace: &Trace) -> usize {
    let sizes = trace.calls.iter().map(|call| call.shape.iter().product::<i64>() as usize * 4);
    sizes.max().unwrap_or(0) * BLOCKS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(images: usize) -> Demand {
        Demand { images, per_image: 1, beside: 0, exact: false, rows_stand_alone: true, batch_size: None, workers: None }
    }

    #[test]
    fn there_are_no_more_workers_than_batches_cores_and_memory_allow() {
        let met = |demand: Demand, cores, memory| {
            let Resources { batch_size, workers, threads } = demand.meet_with(cores, Some(memory)).unwrap();
            [batch_size, workers, threads]
        };
        assert_eq!(met(demand(10_000), 2, 1000), [16, 2, 1]);
        assert_eq!(met(demand(10_000), 64, 100_000), [16, 64, 1]);
        assert_eq!(met(demand(10_000), 64, 16 * 20 * 10 / 9 + 1), [16, 20, 3]);
        assert_eq!(met(demand(128), 2, 1000), [8, 2, 1]);
        assert_eq!(met(demand(40), 64, 1000), [2, 20, 3]);
        assert_eq!(met(demand(1), 8, 1000), [2, 1, 8]);
        assert_eq!(met(Demand { exact: true, ..demand(1) }, 8, 1000), [16, 1, 1]);
        assert_eq!(met(Demand { rows_stand_alone: false, ..demand(48) }, 64, 1000), [3, 16, 1]);
        assert_eq!(met(Demand { batch_size: Some(5), workers: Some(3), ..demand(100) }, 8, 1000), [5, 3, 1]);
    }

    #[test]
    fn a_batch_that_has_no_room_is_an_error() {
        let too_large = Demand { per_image: 100, ..demand(1000) }.meet_with(2, Some(1000)).unwrap_err();
        assert!(too_large.to_string().starts_with("one batch needs about"));
        assert!(Demand { beside: 1000, ..demand(1000) }.meet_with(2, Some(1000)).is_err());
    }
}
