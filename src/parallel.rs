//! Work on all cores, in an order that does not show in the result.

use anyhow::Result;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `work(0)`, …, `work(count − 1)` on all cores, each on one libtorch thread; the results in order. After an error no
/// further item is begun, and the error of the first item that failed is returned, whichever worker was sooner.
pub fn parallel<T: Send>(count: usize, work: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    on_threads(threads, count, work)
}

/// The same on this many threads.
pub fn on_threads<T: Send>(threads: usize, count: usize, work: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let worker = || -> Vec<(usize, Result<T>)> {
        tch::set_num_threads(1);
        let mut done = Vec::new();
        loop {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= count {
                return done;
            }
            done.push((item, work(item).inspect_err(|_| next.store(count, Ordering::Relaxed))));
        }
    };
    let mut done = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(count)).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            done.extend(worker.join().expect("a worker does not panic"));
        }
    });
    done.sort_by_key(|(item, _)| *item);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn of_several_errors_that_of_the_first_item_is_returned() {
        // The first takes longest.
        let work = |item: usize| -> Result<()> {
            std::thread::sleep(Duration::from_millis([50, 5, 1, 1][item]));
            anyhow::bail!("{item}")
        };
        for _ in 0..5 {
            assert_eq!(on_threads(4, 4, &work).unwrap_err().to_string(), "0");
        }
    }
}
