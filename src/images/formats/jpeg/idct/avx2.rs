//! The same transform with the instructions of AVX2: eight columns at a time, products of pairs (`vpmaddwd`).

use super::*;
use std::arch::x86_64::*;

/// Eight columns of 16 bits.
type Row = __m128i;
/// Eight columns of 32 bits, 0 to 3 and 4 to 7.
type Wide = __m256i;

/// `samples` `[8, 8]` from `coefficients` `[8, 8]` times `steps`.
#[target_feature(enable = "avx2")]
pub fn inverse_dct(coefficients: &[i16; 64], steps: &[u16; 64], samples: &mut [u8; 64]) {
    let coefficients: [Row; 8] = bytemuck::cast(*coefficients);
    let steps: [Row; 8] = bytemuck::cast(*steps);
    let mut block = [_mm_setzero_si128(); 8];
    let mut any = _mm_setzero_si128();
    for i in 0..8 {
        block[i] = _mm_mullo_epi16(coefficients[i], steps[i]);
        any = if i == 0 { any } else { _mm_or_si128(any, coefficients[i]) };
    }
    let is_flat = _mm_testz_si128(any, any) == 1;
    let columns =
        if is_flat { [_mm_slli_epi16::<EXTRA_BITS>(block[0]); 8] } else { pass::<{ FRACTION_BITS - EXTRA_BITS }>(&block) };
    let rows = transpose(&pass::<{ FRACTION_BITS + EXTRA_BITS + 3 }>(&transpose(&columns)));
    let center = _mm_set1_epi8(-128);
    let pair = |i: usize| _mm_xor_si128(_mm_packs_epi16(rows[i], rows[i + 1]), center);
    *samples = bytemuck::cast([pair(0), pair(2), pair(4), pair(6)]);
}

/// The transform of each column, shifted down by `BITS`.
#[inline]
#[target_feature(enable = "avx2")]
fn pass<const BITS: i32>(x: &[Row; 8]) -> [Row; 8] {
    let p26 = pairs(x[2], x[6]);
    let even_3 = times(p26, C_0_541 + C_0_765, C_0_541);
    let even_2 = times(p26, C_0_541, C_0_541 - C_1_847);
    let even_0 = scaled(_mm_add_epi16(x[0], x[4]));
    let even_1 = scaled(_mm_sub_epi16(x[0], x[4]));
    let even = [
        _mm256_add_epi32(even_0, even_3),
        _mm256_add_epi32(even_1, even_2),
        _mm256_sub_epi32(even_1, even_2),
        _mm256_sub_epi32(even_0, even_3),
    ];

    let z = pairs(_mm_add_epi16(x[7], x[3]), _mm_add_epi16(x[5], x[1]));
    let z3 = times(z, C_1_175 - C_1_961, C_1_175);
    let z4 = times(z, C_1_175, C_1_175 - C_0_390);
    let (p71, p53) = (pairs(x[7], x[1]), pairs(x[5], x[3]));
    let odd = [
        _mm256_add_epi32(times(p71, -C_0_899, C_1_501 - C_0_899), z4),
        _mm256_add_epi32(times(p53, -C_2_562, C_3_072 - C_2_562), z3),
        _mm256_add_epi32(times(p53, C_2_053 - C_2_562, -C_2_562), z4),
        _mm256_add_epi32(times(p71, C_0_298 - C_0_899, -C_0_899), z3),
    ];

    let half = _mm256_set1_epi32(1 << (BITS - 1));
    let mut y = [_mm_setzero_si128(); 8];
    for k in 0..4 {
        let sum = _mm256_srai_epi32::<BITS>(_mm256_add_epi32(_mm256_add_epi32(even[k], odd[k]), half));
        let difference = _mm256_srai_epi32::<BITS>(_mm256_add_epi32(_mm256_sub_epi32(even[k], odd[k]), half));
        let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(sum, difference));
        y[k] = _mm256_castsi256_si128(both);
        y[7 - k] = _mm256_extracti128_si256::<1>(both);
    }
    y
}

/// Of each column a value of `a` and one of `b`, side by side.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs(a: Row, b: Row) -> Wide {
    _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b))
}

/// `a · first + b · second` of [`pairs`].
#[inline]
#[target_feature(enable = "avx2")]
fn times(pairs: Wide, first: i32, second: i32) -> Wide {
    _mm256_madd_epi16(pairs, _mm256_set1_epi32((first & 0xffff) | (second << 16)))
}

/// Widened to 32 bits, with the fractional bits.
#[inline]
#[target_feature(enable = "avx2")]
fn scaled(row: Row) -> Wide {
    _mm256_slli_epi32::<FRACTION_BITS>(_mm256_cvtepi16_epi32(row))
}

#[inline]
#[target_feature(enable = "avx2")]
fn transpose(x: &[Row; 8]) -> [Row; 8] {
    // A value's place has three bits of the row and three of the column; each round turns them by one.
    let mut block = *x;
    for _ in 0..3 {
        let mut interleaved = block;
        for i in 0..4 {
            interleaved[2 * i] = _mm_unpacklo_epi16(block[i], block[i + 4]);
            interleaved[2 * i + 1] = _mm_unpackhi_epi16(block[i], block[i + 4]);
        }
        block = interleaved;
    }
    block
}
