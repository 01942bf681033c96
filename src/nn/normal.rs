//! Normal draws as libtorch makes them on x86 with AVX2, for other processors.
//!
//! libtorch fills a tensor of 16 numbers or more by Box & Muller's method, sixteen at a time. With AVX2 it does so with the logarithm,
//! sine and cosine of Cephes in float32 (`normal_fill_16_AVX2`, `avx_mathfun.h`), and elsewhere with those of the system, whose last
//! digits are others. Here are the same steps as in the former, each product that is rounded once with its sum written as `mul_add`:
//! so the compiler joined them. The seeds of a paper then give the same networks on every processor.

#![allow(clippy::disallowed_methods)] // filled in place here, before anyone shares them
#![allow(clippy::excessive_precision)] // as its sources have them

use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Numbers that are made together: eight cosines, then eight sines.
const BLOCK: usize = 16;

/// Whether libtorch itself draws so here.
pub(super) fn is_libtorchs() -> bool {
    #[cfg(target_arch = "x86_64")]
    let is_so = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let is_so = false;
    is_so
}

/// `tensor.normal_(mean, std)` with libtorch's generator. `tensor` is float32, contiguous and on the CPU.
pub(super) fn fill(tensor: &mut Tensor, mean: f64, std: f64) -> Result<()> {
    let count = tensor.numel();
    if count < BLOCK {
        // One after the other, in float64.
        let _ = tensor.f_normal_(mean, std)?;
        return Ok(());
    }
    let mut values = uniform(count)?;
    let is_whole = count.is_multiple_of(BLOCK);
    let (mean, std) = (mean as f32, std as f32);
    values.as_chunks_mut().0.iter_mut().for_each(|block| make_normal(block, mean, std));
    if !is_whole && let Some(last) = values.last_chunk_mut::<BLOCK>() {
        // The last sixteen are drawn anew.
        last.copy_from_slice(&uniform(BLOCK)?);
        make_normal(last, mean, std);
    }
    tensor.f_copy_(&Tensor::f_from_slice(&values)?.f_view(tensor.size().as_slice())?)?;
    Ok(())
}

/// In `[0, 1)`.
fn uniform(count: usize) -> Result<Vec<f32>> {
    let drawn = Tensor::f_empty([count as i64], (Kind::Float, Device::Cpu))?.f_uniform_(0.0, 1.0)?;
    let mut values = vec![0.0; count];
    drawn.f_copy_data(&mut values, count)?;
    Ok(values)
}

/// `√(−2 ln(1 − u)) cos 2πv · std + mean`, and the same of the sine, for the `u` in the first half of the block and the `v` in the
/// second.
fn make_normal(block: &mut [f32; BLOCK], mean: f32, std: f32) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (u, v) in first.iter_mut().zip(second) {
        let radius = (-2.0 * ln(1.0 - *u)).sqrt();
        let (sin, cos) = sin_cos(std::f64::consts::TAU as f32 * *v);
        *u = (radius * cos).mul_add(std, mean);
        *v = (radius * sin).mul_add(std, mean);
    }
}

/// `y x + c₁`, that times `x` plus `c₂`, and so on.
fn polynomial(x: f32, coefficients: &[f32]) -> f32 {
    coefficients.iter().copied().reduce(|y, coefficient| y.mul_add(x, coefficient)).unwrap_or_default()
}

/// The natural logarithm of a normal number above 0.
fn ln(x: f32) -> f32 {
    const MANTISSA: u32 = 0x807f_ffff;
    const HALF: u32 = 0x3f00_0000;
    let mantissa = f32::from_bits(x.to_bits() & MANTISSA | HALF);
    let exponent = (x.to_bits() >> 23) as i32 - 126;
    let is_small = mantissa < std::f32::consts::FRAC_1_SQRT_2;
    let exponent = (exponent - i32::from(is_small)) as f32;
    let x = mantissa - 1.0 + if is_small { mantissa } else { 0.0 };
    let y = x * polynomial(
        x,
        &[
            7.0376836292e-2,
            -1.1514610310e-1,
            1.1676998740e-1,
            -1.2420140846e-1,
            1.4249322787e-1,
            -1.6668057665e-1,
            2.0000714765e-1,
            -2.4999993993e-1,
            3.3333331174e-1,
        ],
    );
    let square = x * x;
    let y = y.mul_add(square, exponent * -2.12194440e-4);
    let y = (-square).mul_add(0.5, y);
    exponent.mul_add(0.693359375, x + y)
}

/// Sine and cosine of a number from 0 on.
fn sin_cos(x: f32) -> (f32, f32) {
    // The nearest even number of eighths of a circle; the factor is 4 / π.
    let octant = ((x * 1.27323954473516) as i32 + 1) & !1;
    let turned = octant as f32;
    let x = turned.mul_add(-0.78515625, x);
    let x = turned.mul_add(-2.4187564849853515625e-4, x);
    let x = turned.mul_add(-3.77489497744594108e-8, x);
    let square = x * x;
    let y = square * polynomial(square, &[2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]);
    let cos = square.mul_add(y, -(square * 0.5)) + 1.0;
    let y = square * polynomial(square, &[-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]);
    let sin = x.mul_add(y, x);
    let (sin, cos) = if octant & 2 == 0 { (sin, cos) } else { (cos, sin) };
    let signed = |value: f32, is_negative: bool| if is_negative { -value } else { value };
    (signed(0.0 + sin, octant & 4 != 0), signed(0.0 + cos, (octant + 2) & 4 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_libtorch_with_avx2() {
        if !is_libtorchs() {
            // There the tests of seeded weights compare with what PyTorch drew elsewhere.
            return;
        }
        let _alone = super::super::init::alone();
        for (seed, (count, mean, std)) in
            [(5, 0.0, 1.0), (16, 0.0, 1.0), (17, 0.5, 2.0), (31, 0.0, 0.02), (1_000_003, 0.0, 1.0), (4096, -3.0, 0.1)]
                .into_iter()
                .enumerate()
        {
            let mut ours = Tensor::empty([count], (Kind::Float, Device::Cpu));
            tch::manual_seed(seed as i64);
            fill(&mut ours, mean, std).unwrap();
            // What is drawn next shows that as much was drawn.
            let next = uniform(3).unwrap();
            tch::manual_seed(seed as i64);
            let theirs = Tensor::empty([count], (Kind::Float, Device::Cpu)).normal_(mean, std);
            assert_eq!(next, uniform(3).unwrap());
            assert!(ours.equal(&theirs), "{count} numbers: {:?}", (ours - theirs).abs().max());
        }
    }
}
