//! The weights of a change of size in one direction.

use super::Interpolation;
use std::ops::Range;

/// Of the weights.
pub const FRACTION_BITS: u32 = 22;
/// Of rounding.
pub const HALF: i32 = 1 << (FRACTION_BITS - 1);
/// In which a weight is split: `weight = high · 2¹¹ + low`.
pub const LOW_BITS: i32 = 11;

pub struct ResizeAxis {
    size_in: usize,
    size_out: usize,
    scale: f64,
    widening: f64,
    interpolation: Interpolation,
}

impl ResizeAxis {
    pub fn new(size_in: usize, size_out: usize, interpolation: Interpolation) -> Self {
        let scale = size_in as f64 / size_out as f64;
        Self { size_in, size_out, scale, widening: scale.max(1.0), interpolation }
    }

    fn center(&self, output: usize) -> f64 {
        (output as f64 + 0.5) * self.scale
    }

    /// Which inputs an output is a mean of.
    fn inputs(&self, output: usize) -> Range<usize> {
        if self.size_in == self.size_out {
            return output..output + 1;
        }
        let (center, support) = (self.center(output), self.interpolation.support() * self.widening);
        let first = ((center - support + 0.5) as i64).max(0) as usize;
        first..((center + support + 0.5) as i64).min(self.size_in as i64) as usize
    }

    /// From the first to the last input of a range of outputs.
    pub fn all_inputs(&self, outputs: &Range<usize>) -> Range<usize> {
        self.inputs(outputs.start).start..self.inputs(outputs.end - 1).end
    }

    fn weights_of(&self, output: usize, inputs: Range<usize>, weights: &mut Vec<f64>) {
        weights.clear();
        if self.size_in == self.size_out {
            return weights.push(1.0);
        }
        let center = self.center(output);
        weights.extend(inputs.map(|i| self.interpolation.weight((i as f64 - center + 0.5) * (1.0 / self.widening))));
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
    }

    pub fn weights(&self, outputs: &Range<usize>) -> FilterWeights {
        let taps = outputs.clone().map(|output| self.inputs(output).len()).max().unwrap_or(1);
        let needed = self.all_inputs(outputs);
        // An even number suits the vector instructions.
        let taps = taps.next_multiple_of(2).min(needed.len());
        let mut all = FilterWeights { outputs: outputs.clone(), taps, firsts: vec![], weights: vec![], pairs: vec![] };
        let mut weights = Vec::new();
        for output in outputs.clone() {
            let inputs = self.inputs(output);
            self.weights_of(output, inputs.clone(), &mut weights);
            // As many for each: some get zeros after, or at the end before their own.
            let before = inputs.start - inputs.start.min(needed.end - taps);
            let start = all.weights.len() + before;
            all.firsts.push(inputs.start - before);
            all.weights.resize(start - before + taps, 0);
            all.weights[start..start + inputs.len()].iter_mut().zip(&weights).for_each(|(to, weight)| *to = fixed_point(*weight));
        }
        if taps.is_multiple_of(2) {
            all.pairs = all.weights.as_chunks().0.iter().map(|pair| split(*pair)).collect();
        }
        all
    }
}

/// For each of a range of outputs the first of its inputs, and the weights of as many inputs for each.
pub struct FilterWeights {
    pub outputs: Range<usize>,
    pub taps: usize,
    pub firsts: Vec<usize>,
    /// `[outputs, taps]`, with 22 fractional bits.
    pub weights: Vec<i32>,
    /// `[outputs, taps / 2]`, if `taps` is even: the high parts of two weights in one number, their low parts in another.
    pub pairs: Vec<[i32; 2]>,
}

fn split([first, second]: [i32; 2]) -> [i32; 2] {
    let pack = |first: i32, second: i32| (first & 0xffff) | (second << 16);
    let low = (1 << LOW_BITS) - 1;
    [pack(first >> LOW_BITS, second >> LOW_BITS), pack(first & low, second & low)]
}

/// Rounded half away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << FRACTION_BITS);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}
