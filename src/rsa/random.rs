//! Random draws, each from its own stream of one seed: the same whatever the number of threads.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the draws are for: their streams are apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Permutation,
    Bootstrap,
    Folds,
}

/// The generator of draw number `draw`.
pub(crate) fn generator(seed: u64, purpose: Purpose, draw: usize) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let draw = draw as u64;
    random.set_stream(match purpose {
        Purpose::Permutation => draw << 1,
        Purpose::Bootstrap => draw << 1 | 1,
        // From the other end.
        Purpose::Folds => u64::MAX - draw,
    });
    random
}

/// A random order of 0 … n − 1.
pub(crate) fn shuffled(n: usize, random: &mut ChaCha8Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(random);
    order
}

/// How often each of n is drawn in n draws with replacement.
pub(crate) fn multiplicities(n: usize, random: &mut ChaCha8Rng) -> Vec<u32> {
    let mut counts = vec![0; n];
    (0..n).for_each(|_| counts[random.random_range(0..n)] += 1);
    counts
}
