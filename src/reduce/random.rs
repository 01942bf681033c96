//! Random numbers that NumPy makes again in a few lines: SplitMix64 (Steele, Lea & Flood 2014), of which any is had without those before it.

use sha2::{Digest, Sha256};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number `at` of the stream `key`.
pub(super) fn number(key: u64, at: u64) -> u64 {
    mix(key.wrapping_add(at.wrapping_add(1).wrapping_mul(STEP)))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The stream of a layer: the first eight bytes, little-endian, of the SHA-256 of `SEED LAYER`.
pub(super) fn key(seed: u64, layer: &str) -> u64 {
    let hash = Sha256::digest(format!("{seed} {layer}"));
    u64::from_le_bytes(hash[..8].try_into().expect("a hash has more than eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // The first three of the reference implementation for the seed 1234567 (Vigna, splitmix64.c).
        let first: Vec<u64> = (0..3).map(|at| number(1_234_567, at)).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
