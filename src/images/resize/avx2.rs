//! The horizontal pass with the instructions of AVX2: two rows and two inputs at a time, products of pairs (`vpmaddwd`), which
//! multiply 16 bits, so that each weight comes in two parts.

use super::weights::{FRACTION_BITS, FilterWeights, HALF, LOW_BITS};
use crate::images::rgb::Pixel;
use std::arch::x86_64::*;

/// `rows` begin at column `offset`; the number of inputs of an output must be even.
#[target_feature(enable = "avx2")]
pub fn rows_across(rows: [&[Pixel]; 2], offset: usize, columns: &FilterWeights, lines: [&mut [Pixel]; 2]) {
    let pairs = columns.taps / 2;
    let [line, other_line] = lines;
    let outputs = line.iter_mut().zip(other_line).zip(&columns.firsts).zip(columns.pairs.chunks_exact(pairs));
    for (((out, other_out), first), weights) in outputs {
        let of = |row: usize| rows[row][first - offset..][..columns.taps].as_chunks::<2>().0;
        let (mut high, mut low) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for ((pixels, others), [high_weights, low_weights]) in of(0).iter().zip(of(1)).zip(weights) {
            let values = colours_of_pairs(pixels, others);
            high = _mm256_add_epi32(high, _mm256_madd_epi16(values, _mm256_set1_epi32(*high_weights)));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(values, _mm256_set1_epi32(*low_weights)));
        }
        let sum = _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32::<LOW_BITS>(high), low), _mm256_set1_epi32(HALF));
        let words = _mm256_srai_epi32::<{ FRACTION_BITS as i32 }>(sum);
        let bytes = _mm256_packus_epi16(_mm256_packs_epi32(words, words), words);
        *out = _mm256_extract_epi32::<0>(bytes).to_le_bytes();
        *other_out = _mm256_extract_epi32::<4>(bytes).to_le_bytes();
    }
}

/// Of two pixels the reds side by side, the greens, the blues, in 16 bits; in the upper half those of `others`.
#[inline]
#[target_feature(enable = "avx2")]
fn colours_of_pairs(pixels: &[Pixel; 2], others: &[Pixel; 2]) -> __m256i {
    let number = |pair: &[Pixel; 2]| i64::from_le_bytes(bytemuck::cast(*pair));
    let both = _mm256_set_epi64x(0, number(others), 0, number(pixels));
    let order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1));
    _mm256_shuffle_epi8(both, order)
}
