//! The inverse cosine transform of a block: the exact integer one ("islow") of libjpeg-turbo's vector code, to the bit.
//!
//! Loeffler, Ligtenberg & Moschytz 1989, "Practical fast 1-D DCT algorithms with 11 multiplications": 8 columns, then 8
//! rows, in fixed point with 13 fractional bits. Sums of inputs wrap and results between the passes saturate at 16 bits as
//! in the vector registers there; only damaged files get so far, and Pillow shows them so.

#![allow(unsafe_code)] // one call of what is compiled for AVX2

#[cfg(target_arch = "x86_64")]
mod avx2;

use std::array;

const SIZE: usize = 8;
const FRACTION_BITS: i32 = 13;
/// Kept between the passes.
const EXTRA_BITS: i32 = 2;

// Sums of cosines, called as libjpeg calls them.
const C_0_298: i32 = fixed(0.298631336);
const C_0_390: i32 = fixed(0.390180644);
const C_0_541: i32 = fixed(0.541196100);
const C_0_765: i32 = fixed(0.765366865);
const C_0_899: i32 = fixed(0.899976223);
const C_1_175: i32 = fixed(1.175875602);
const C_1_501: i32 = fixed(1.501321110);
const C_1_847: i32 = fixed(1.847759065);
const C_1_961: i32 = fixed(1.961570560);
const C_2_053: i32 = fixed(2.053119869);
const C_2_562: i32 = fixed(2.562915447);
const C_3_072: i32 = fixed(3.072711026);

const fn fixed(value: f64) -> i32 {
    (value * (1 << FRACTION_BITS) as f64 + 0.5) as i32
}

/// `samples` `[8, 8]` from `coefficients` `[8, 8]` times `steps`.
pub fn inverse_dct(coefficients: &[i16; 64], steps: &[u16; 64], samples: &mut [u8; 64]) {
    #[cfg(target_arch = "x86_64")]
    if crate::images::vector::has_avx2() {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { avx2::inverse_dct(coefficients, steps, samples) };
    }
    plain(coefficients, steps, samples);
}

/// Eight numbers that go through the same steps.
type Lanes = [i32; SIZE];

fn plain(coefficients: &[i16; 64], steps: &[u16; 64], samples: &mut [u8; 64]) {
    let value = |at: usize| i32::from(coefficients[at].wrapping_mul(steps[at] as i16));
    let block: [Lanes; SIZE] = array::from_fn(|row| array::from_fn(|column| value(row * SIZE + column)));
    let is_flat = coefficients[SIZE..].iter().all(|coefficient| *coefficient == 0);
    // What the first pass makes of a block that is the same in all rows.
    let flat = || [block[0].map(|value| i32::from((value << EXTRA_BITS) as i16)); SIZE];
    let columns = if is_flat { flat() } else { pass::<{ FRACTION_BITS - EXTRA_BITS }>(&block) };
    let rows = pass::<{ FRACTION_BITS + EXTRA_BITS + 3 }>(&transpose(&columns));
    for (samples, values) in samples.chunks_exact_mut(SIZE).zip(transpose(&rows)) {
        for (sample, value) in samples.iter_mut().zip(values) {
            *sample = (value.clamp(-128, 127) + 128) as u8;
        }
    }
}

fn transpose(block: &[Lanes; SIZE]) -> [Lanes; SIZE] {
    array::from_fn(|i| array::from_fn(|j| block[j][i]))
}

/// The transform of each column, shifted down by `BITS`. The names are those of the paper's figure 1 as in libjpeg.
fn pass<const BITS: i32>(x: &[Lanes; SIZE]) -> [Lanes; SIZE] {
    let mut y = [[0; SIZE]; SIZE];
    for i in 0..SIZE {
        let even_3 = x[2][i] * (C_0_541 + C_0_765) + x[6][i] * C_0_541;
        let even_2 = x[2][i] * C_0_541 + x[6][i] * (C_0_541 - C_1_847);
        let even_0 = word(x[0][i] + x[4][i]) << FRACTION_BITS;
        let even_1 = word(x[0][i] - x[4][i]) << FRACTION_BITS;
        let even =
            [even_0.wrapping_add(even_3), even_1.wrapping_add(even_2), even_1.wrapping_sub(even_2), even_0.wrapping_sub(even_3)];

        let (z3, z4) = (word(x[7][i] + x[3][i]), word(x[5][i] + x[1][i]));
        let z3_turned = z3 * (C_1_175 - C_1_961) + z4 * C_1_175;
        let z4_turned = z3 * C_1_175 + z4 * (C_1_175 - C_0_390);
        let odd_3 = x[7][i] * (C_0_298 - C_0_899) - x[1][i] * C_0_899;
        let odd_2 = x[5][i] * (C_2_053 - C_2_562) - x[3][i] * C_2_562;
        let odd_1 = x[3][i] * (C_3_072 - C_2_562) - x[5][i] * C_2_562;
        let odd_0 = x[1][i] * (C_1_501 - C_0_899) - x[7][i] * C_0_899;
        let odd = [
            odd_0.wrapping_add(z4_turned),
            odd_1.wrapping_add(z3_turned),
            odd_2.wrapping_add(z4_turned),
            odd_3.wrapping_add(z3_turned),
        ];

        let half = 1 << (BITS - 1);
        for k in 0..4 {
            y[k][i] = saturated(even[k].wrapping_add(odd[k]).wrapping_add(half) >> BITS);
            y[7 - k][i] = saturated(even[k].wrapping_sub(odd[k]).wrapping_add(half) >> BITS);
        }
    }
    y
}

fn word(value: i32) -> i32 {
    i32::from(value as i16)
}

fn saturated(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Σ c(u) c(v) F(u, v) cos((2x + 1) u π / 16) cos((2y + 1) v π / 16) / 4 + 128`, the definition (T.81 A.3.3).
    fn by_definition(block: &[f64; 64], x: usize, y: usize) -> f64 {
        let c = |k: usize| if k == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let wave = |at: usize, k: usize| (((2 * at + 1) * k) as f64 * std::f64::consts::PI / 16.0).cos();
        let term = |i: usize| c(i % 8) * c(i / 8) * block[i] * wave(x, i % 8) * wave(y, i / 8);
        (0..64).map(term).sum::<f64>() / 4.0 + 128.0
    }

    fn blocks() -> impl Iterator<Item = ([i16; 64], [u16; 64])> {
        (0..2000u32).map(|number| {
            let mut state = number.wrapping_mul(2_654_435_761) | 1;
            let mut next = |range: u32| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state % range
            };
            let filled = next(65) as usize;
            let largest = [3, 40, 400, 65_536][number as usize % 4];
            let coefficients =
                std::array::from_fn(|i| if i < filled { (next(largest) as i32 - largest as i32 / 2) as i16 } else { 0 });
            (coefficients, std::array::from_fn(|_| next(20) as u16 + 1))
        })
    }

    #[test]
    fn any_processor_computes_the_same() {
        for (coefficients, steps) in blocks() {
            let (mut vector, mut plain) = ([0; 64], [0; 64]);
            inverse_dct(&coefficients, &steps, &mut vector);
            super::plain(&coefficients, &steps, &mut plain);
            assert_eq!(vector, plain);
        }
    }

    #[test]
    fn ordinary_blocks_are_within_one_level_of_the_definition() {
        for (coefficients, steps) in blocks().filter(|(coefficients, _)| coefficients.iter().all(|value| value.abs() < 3)) {
            let mut samples = [0; 64];
            inverse_dct(&coefficients, &steps, &mut samples);
            let block = std::array::from_fn(|i| f64::from(coefficients[i]) * f64::from(steps[i]));
            for (i, &sample) in samples.iter().enumerate() {
                let exact = by_definition(&block, i % 8, i / 8).clamp(0.0, 255.0);
                assert!((f64::from(sample) - exact).abs() < 1.0, "{sample} {exact}");
            }
        }
    }
}
