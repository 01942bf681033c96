//! Work on all cores, in an order that does not show in the result.

use anyhow::Result;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `work(0)`, …, `work(count − 1)` on all cores, each on one libtorch thread; the results in order. After an error no
/// further item is begun, and the first error is returned.
pub fn parallel<T: Send>(count: usize, work: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    on_threads(threads, count, work)
}

/// The same on this many threads.
pub fn on_threads<T: Send>(threads: usize, count: usize, work: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(usize, T)>> {
        tch::set_num_threads(1);
        let mut done = Vec::new();
        loop {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= count {
                return Ok(done);
            }
            done.push((item, work(item).inspect_err(|_| next.store(count, Ordering::Relaxed))?));
        }
    };
    let mut done = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(count)).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            done.extend(worker.join().expect("a worker does not panic")?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    done.sort_by_key(|(item, _)| *item);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
