//! Sparse random projection: a matrix of −1, 0 and 1 in proportions 1 : 2√D − 2 : 1, times a constant (Achlioptas 2003, *Database-friendly
//! random projections*; Li, Hastie & Church 2006, *Very sparse random projections*; the default of scikit-learn's `SparseRandomProjection`).
//!
//! Element `[i, j]` of the matrix `[N, D]` differs from 0 with probability 1/√D, and then is ±√(√D / N) by a coin. Row `i` has a stream of
//! random numbers of its own, so that it can be made when it is needed: each number says how many zeros come before the next element, and its
//! lowest bit the sign. `examples/srp_matrix.py` makes the same matrix with NumPy.

use super::random;
use crate::run::ReducedLayer;
use crate::values;
use anyhow::{Result, ensure};
use serde::Serialize;
use std::ops::Range;
use std::sync::OnceLock;
use tch::Tensor;

/// Rows that are projected at once: a number of the matrix is looked up once for all, and their values lie in one cache line.
const LANES: usize = 16;

/// Places whose values stay in a cache while all rows of the matrix are looked at.
const BLOCK: usize = 8192;

/// Rows of a matrix that is not kept which are made at a time.
const COMPONENTS: usize = 512;

/// The projection of rows of `units` numbers to `components`.
#[derive(Debug)]
pub(crate) struct Srp {
    units: usize,
    /// Channels and places of a convolution's output; of others the units, and 1.
    shape: [usize; 2],
    components: usize,
    key: u64,
    /// What the sum of signed units is multiplied by.
    scale: f32,
    /// The probability of 1, 2, … zeros and more before the next element.
    zeros: Vec<f64>,
    /// 1 / ln of the first.
    per_zero: f64,
    /// All rows of the matrix, if it is small enough to be kept.
    kept: Option<OnceLock<Signs>>,
}

/// Some rows of the matrix: the places of units that have a sign, of each block of places.
#[derive(Debug)]
struct Signs {
    blocks: Vec<SignsOfBlock>,
}

/// The places of a block, counted from its first, whose units have a sign: of each row the positive ones, then the negative ones.
#[derive(Debug, Default, Clone)]
struct SignsOfBlock {
    units: Vec<u16>,
    /// Where the positive and the negative ones of each row end.
    ends: Vec<[u32; 2]>,
}

/// What a file beside the rows says, for others who make the matrix again.
#[derive(Serialize)]
struct Description<'a> {
    layer: &'a str,
    components: usize,
    units: usize,
    seed: u64,
    key: String,
    density: f64,
    scale: f32,
}

/// The name of that file.
pub(crate) fn description_file(layer: &str) -> String {
    format!("{layer}.srp.json")
}

impl Srp {
    /// That of a layer with rows of this shape, for a seed; kept in memory if `keep` says so.
    pub(crate) fn new(seed: u64, layer: &str, components: usize, shape: &[usize], keep: bool) -> Result<Srp> {
        let units = shape.iter().product();
        ensure!(units <= u32::MAX as usize, "a layer has at most {} units", u32::MAX);
        let density = 1.0 / (units as f64).sqrt();
        // Beyond the last the probability is less than any that a random number of 53 bits tells apart.
        let most = (38.0 / density).ceil() as usize;
        let mut left = 1.0;
        let zeros = (0..most).map(|_| {
            left *= 1.0 - density;
            left
        });
        Ok(Srp {
            units,
            shape: if let [channels, height, width] = *shape { [channels, height * width] } else { [units, 1] },
            components,
            key: random::key(seed, layer),
            scale: scale(units, components),
            zeros: zeros.collect(),
            per_zero: 1.0 / (1.0 - density).ln(),
            kept: keep.then(OnceLock::new),
        })
    }

    /// Makes the matrix, if it is kept.
    pub(crate) fn prepare(&self) {
        self.kept.iter().for_each(|kept| _ = kept.get_or_init(|| self.signs(0..self.components)));
    }

    /// What the matrix takes in memory if it is kept, in bytes, about.
    pub(crate) fn size(components: usize, units: usize) -> usize {
        let ends = units.div_ceil(BLOCK) * size_of::<[u32; 2]>();
        (components as f64 * ((units as f64).sqrt() * size_of::<u16>() as f64 + ends as f64)) as usize
    }

    /// The text of the file beside the rows.
    pub(crate) fn describe(seed: u64, layer: &str, reduced: &ReducedLayer, components: usize) -> Result<String> {
        let units = reduced.shape.iter().product();
        let description = Description {
            layer,
            components,
            units,
            seed,
            key: format!("{:#018x}", random::key(seed, layer)),
            density: 1.0 / (units as f64).sqrt(),
            scale: scale(units, components),
        };
        Ok(serde_json::to_string_pretty(&description)? + "\n")
    }

    /// Where the values of a unit, counted in C order, stand among those of a row: the channels of a place together, as convolutions write
    /// them.
    fn place(&self, unit: usize) -> usize {
        let [channels, places] = self.shape;
        unit % places * channels + unit / places
    }

    /// Projects float32 rows `[N, …]` on the CPU: `[N, components]`. A value depends on its row alone, and sums are formed in one order: block
    /// by block of places, in it those with 1, then those with −1. `room` is used again and again.
    pub(crate) fn apply(&self, rows: &Tensor, room: &mut Vec<f32>) -> Result<Tensor> {
        let n = rows.size()[0] as usize;
        let (rows, place_major) = match rows.size()[..] {
            [_, _, _, _] if rows.f_permute([0, 2, 3, 1])?.is_contiguous() => (rows.f_permute([0, 2, 3, 1])?, true),
            _ => (rows.f_contiguous()?, self.shape[1] == 1),
        };
        let values: &[f32] = values::memory(&rows)?;
        ensure!(values.len() == n * self.units, "rows of {} units are projected", self.units);
        room.resize(self.units.next_multiple_of(BLOCK) * LANES, 0.0);
        let lanes = room.as_chunks_mut().0;
        let mut out = vec![0.0; n * self.components];
        for (group, rows) in values.chunks(LANES * self.units).enumerate() {
            interleave(rows, self.shape, place_major, lanes);
            let out = &mut out[group * LANES * self.components..];
            self.each_part(&mut |first, signs| {
                for (component, sums) in signs.sums(lanes).into_iter().enumerate() {
                    let out = out.chunks_exact_mut(self.components).map(|row| &mut row[first + component]);
                    out.zip(sums).for_each(|(out, sum)| *out = sum * self.scale);
                }
            });
        }
        Ok(Tensor::f_from_slice(&out)?.f_view([n as i64, self.components as i64])?)
    }

    /// Gives rows of the matrix, some at a time, with the number of the first.
    fn each_part(&self, take: &mut dyn FnMut(usize, &Signs)) {
        match &self.kept {
            Some(kept) => take(0, kept.get_or_init(|| self.signs(0..self.components))),
            None => {
                for first in (0..self.components).step_by(COMPONENTS) {
                    take(first, &self.signs(first..self.components.min(first + COMPONENTS)));
                }
            }
        }
    }

    fn signs(&self, components: Range<usize>) -> Signs {
        let mut blocks = vec![SignsOfBlock::default(); self.units.div_ceil(BLOCK)];
        let mut minus = vec![Vec::new(); blocks.len()];
        for component in components {
            self.row(component, |unit, is_negative| {
                let place = self.place(unit);
                let units = if is_negative { &mut minus[place / BLOCK] } else { &mut blocks[place / BLOCK].units };
                units.push((place % BLOCK) as u16);
            });
            for (SignsOfBlock { units, ends }, minus) in blocks.iter_mut().zip(&mut minus) {
                let end = units.len() as u32;
                units.append(minus);
                ends.push([end, units.len() as u32]);
            }
        }
        Signs { blocks }
    }

    /// The units of row `component` that are not 0, and whether they are negative.
    fn row(&self, component: usize, mut take: impl FnMut(usize, bool)) {
        let key = random::number(self.key, component as u64);
        let mut unit = 0;
        for at in 0.. {
            let number = random::number(key, at);
            unit += self.zeros_before(((number >> 11) as f64 + 0.5) * 2f64.powi(-53));
            if unit >= self.units {
                return;
            }
            take(unit, number & 1 == 1);
            unit += 1;
        }
    }

    /// How many zeros come before the next element: as many as have a probability of more than `uniform` to come. A logarithm is a first
    /// guess, and the table decides, for logarithms differ in their last digit from machine to machine.
    fn zeros_before(&self, uniform: f64) -> usize {
        let guess = uniform.ln() * self.per_zero;
        let mut zeros = (guess.max(0.0) as usize).min(self.zeros.len());
        while zeros > 0 && self.zeros[zeros - 1] <= uniform {
            zeros -= 1;
        }
        while zeros < self.zeros.len() && self.zeros[zeros] > uniform {
            zeros += 1;
        }
        zeros
    }
}

/// √(√D / N), what an element of the matrix is beside its sign.
fn scale(units: usize, components: usize) -> f32 {
    ((units as f64).sqrt() / components as f64).sqrt() as f32
}

impl Signs {
    /// The signed sum of the units of each row, of values `[units, LANES]`.
    fn sums(&self, lanes: &[[f32; LANES]]) -> Vec<[f32; LANES]> {
        let mut sums = vec![[0.0; LANES]; self.blocks[0].ends.len()];
        let (lanes, _) = lanes.as_chunks::<BLOCK>();
        for (SignsOfBlock { units, ends }, lanes) in self.blocks.iter().zip(lanes) {
            let mut start = 0;
            for (sums, [middle, end]) in sums.iter_mut().zip(ends.iter().map(|ends| ends.map(|end| end as usize))) {
                let mut sum = *sums;
                let of = |unit: &u16| &lanes[usize::from(*unit) % BLOCK];
                units[start..middle].iter().for_each(|unit| sum.iter_mut().zip(of(unit)).for_each(|(sum, value)| *sum += value));
                units[middle..end].iter().for_each(|unit| sum.iter_mut().zip(of(unit)).for_each(|(sum, value)| *sum -= value));
                (*sums, start) = (sum, end);
            }
        }
        sums
    }
}

/// Rows `[≤ LANES, units]` to `[units, LANES]`, in the order of [`Srp::place`]; lanes without a row are 0. `place_major` rows have that order
/// already, others have C order.
fn interleave(rows: &[f32], [channels, places]: [usize; 2], place_major: bool, lanes: &mut [[f32; LANES]]) {
    // What is read at a time stays in the nearest cache.
    const CHANNELS: usize = 8;
    let rows: Vec<&[f32]> = rows.chunks_exact(channels * places).collect();
    let line = |unit: usize| {
        let mut line = [0.0; LANES];
        line.iter_mut().zip(&rows).for_each(|(value, row)| *value = row[unit]);
        line
    };
    if place_major {
        lanes.iter_mut().zip(0..channels * places).for_each(|(lane, unit)| *lane = line(unit));
        return;
    }
    for first in (0..channels).step_by(CHANNELS) {
        for place in 0..places {
            (first..channels.min(first + CHANNELS)).for_each(|c| lanes[place * channels + c] = line(c * places + place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(srp: &Srp) -> Vec<Vec<f32>> {
        let row = |component| {
            let mut row = vec![0.0; srp.units];
            srp.row(component, |unit, is_negative| row[unit] = if is_negative { -srp.scale } else { srp.scale });
            row
        };
        (0..srp.components).map(row).collect()
    }

    #[test]
    fn elements_are_as_frequent_as_they_should_be() {
        let srp = Srp::new(3, "conv1", 400, &[2500], false).unwrap();
        let all = matrix(&srp).concat();
        let share = |wanted: f32| all.iter().filter(|value| **value == wanted).count() as f64 / all.len() as f64;
        // 1/√2500, half of each sign; four standard deviations of a million are 0.0004.
        assert!((share(srp.scale) - 0.01).abs() < 4e-4 && (share(-srp.scale) - 0.01).abs() < 4e-4);
        assert_eq!(srp.scale, (1.0f32 / 8.0).sqrt());
        assert_ne!(
            matrix(&Srp::new(4, "conv1", 1, &[2500], false).unwrap()),
            matrix(&Srp::new(3, "conv1", 1, &[2500], false).unwrap())
        );
    }

    /// What NumPy makes (`tests/fixtures/make_reduce_fixtures.py`).
    #[derive(serde::Deserialize)]
    struct Made {
        layer: String,
        components: usize,
        units: usize,
        seed: u64,
        elements: Vec<(usize, usize, f32)>,
        rows: Vec<Vec<f64>>,
    }

    #[test]
    fn the_matrix_is_the_one_that_numpy_makes() {
        let fixtures: serde_json::Value = serde_json::from_str(include_str!("../../tests/fixtures/reduce.json")).unwrap();
        for made in serde_json::from_value::<Vec<Made>>(fixtures["srp"].clone()).unwrap() {
            let srp = Srp::new(made.seed, &made.layer, made.components, &[made.units], true).unwrap();
            let mut elements = Vec::new();
            for component in 0..made.components {
                srp.row(component, |unit, is_negative| elements.push((component, unit, if is_negative { -1.0 } else { 1.0 })));
            }
            assert_eq!(elements, made.elements, "{}", made.layer);
            let x = crate::reduce::pca::features(5, made.units);
            let rows = Tensor::from_slice(&x).view([5, made.units as i64]);
            let found = Vec::<f32>::try_from(srp.apply(&rows, &mut Vec::new()).unwrap().view(-1)).unwrap();
            for (found, wanted) in found.iter().zip(made.rows.concat()) {
                assert!((f64::from(*found) - wanted).abs() <= 1e-6 * wanted.abs().max(1e4), "{}: {found} {wanted}", made.layer);
            }
        }
    }

    #[test]
    fn rows_are_products_in_whatever_order_they_lie() {
        let (n, c, h, w) = (19, 6, 3, 5);
        let x: Vec<f32> = (0..n * c * h * w).map(|i| ((i * 7919) % 1013) as f32 / 100.0 - 5.0).collect();
        let plain = Tensor::from_slice(&x).view([n as i64, c as i64, h as i64, w as i64]);
        let channels_last = plain.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let mirrored = plain.permute([0, 1, 3, 2]).contiguous().permute([0, 1, 3, 2]);
        let srp = |keep| Srp::new(0, "a", 40, &[c, h, w], keep).unwrap();
        let values = |x: &Tensor, keep| Vec::<f32>::try_from(srp(keep).apply(x, &mut Vec::new()).unwrap().view(-1)).unwrap();
        let found = values(&plain, true);
        for (other, keep) in [(&plain, false), (&channels_last, true), (&channels_last, false), (&mirrored, true)] {
            assert_eq!(values(other, keep), found);
        }
        // A row alone is the same.
        assert_eq!(values(&plain.narrow(0, 17, 1), true), found[17 * 40..18 * 40]);
        let matrix = matrix(&srp(true));
        for (row, found) in x.chunks(c * h * w).zip(found.chunks(40)) {
            for (component, found) in matrix.iter().zip(found) {
                let exact: f64 = row.iter().zip(component).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                assert!((exact - f64::from(*found)).abs() < 1e-4, "{exact} {found}");
            }
        }
    }
}
