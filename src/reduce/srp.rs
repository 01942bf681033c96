//! Sparse random projection: a matrix of −1, 0 and 1 in proportions 1 : 2√D − 2 : 1, times a constant (Achlioptas 2003, *Database-friendly
//! random projections*; Li, Hastie & Church 2006, *Very sparse random projections*; the default of scikit-learn's `SparseRandomProjection`).
//!
//! Element `[i, j]` of the matrix `[N, D]` differs from 0 with probability 1/√D, and then is ±√(√D / N) by a coin. Row `i` has a stream of
//! random numbers of its own, so that it can be made when it is needed: each number says how many zeros come before the next element, and its
//! lowest bit the sign. `examples/srp_matrix.py` makes the same matrix with NumPy.

use super::random;
use crate::run::ReducedLayer;
use anyhow::{Result, ensure};
use serde::Serialize;
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// Rows that are projected at once: a number of the matrix is looked up once for all, and their values lie in one cache line.
const LANES: usize = 16;

/// The projection of rows of `units` numbers to `components`.
#[derive(Debug)]
pub(crate) struct Srp {
    units: usize,
    components: usize,
    key: u64,
    /// What the sum of signed units is multiplied by.
    scale: f32,
    /// The probability of 1, 2, … zeros and more before the next element.
    zeros: Vec<f64>,
    /// If the matrix is small enough to be kept.
    kept: Option<[OnceLock<Signs>; 2]>,
}

/// The units that have a sign in each row of the matrix: of row `i` the positive ones are those from `starts[2 i]` on, then the negative ones.
#[derive(Debug, Default)]
struct Signs {
    starts: Vec<usize>,
    units: Vec<u32>,
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
    /// That of a layer, for a seed; kept in memory if `keep` says so.
    pub(crate) fn new(seed: u64, layer: &str, components: usize, units: usize, keep: bool) -> Result<Srp> {
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
            components,
            key: random::key(seed, layer),
            scale: scale(units, components),
            zeros: zeros.collect(),
            kept: keep.then(Default::default),
        })
    }

    /// What the matrix takes in memory if it is kept, in bytes, about.
    pub(crate) fn size(components: usize, units: usize) -> usize {
        (components as f64 * ((units as f64).sqrt() * size_of::<u32>() as f64 + 2.0 * size_of::<usize>() as f64)) as usize
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

    /// Projects float32 rows `[N, …]`, units in C order: `[N, components]`. A value depends on its row alone, and sums are formed in one
    /// order: the units with 1, then those with −1, each from the first on.
    pub(crate) fn apply(&self, rows: &Tensor) -> Result<Tensor> {
        let n = rows.size()[0] as usize;
        let (memory, layout) = Layout::of(rows)?;
        ensure!(memory.numel() == n * self.units, "rows of {} units are projected", self.units);
        let values = Vec::<f32>::try_from(&memory)?;
        let mut out = vec![0.0; n * self.components];
        let mut lanes = vec![[0f32; LANES]; self.units];
        for (group, rows) in values.chunks(LANES * self.units).enumerate() {
            transpose(rows, self.units, &mut lanes);
            let out = &mut out[group * LANES * self.components..];
            self.each_row(layout, &mut |component, plus, minus| {
                let sums = sum(&lanes, plus).into_iter().zip(sum(&lanes, minus)).map(|(plus, minus)| (plus - minus) * self.scale);
                let out = out.chunks_exact_mut(self.components).map(|row| &mut row[component]);
                out.zip(sums).for_each(|(out, sum)| *out = sum);
            });
        }
        Ok(Tensor::f_from_slice(&out)?.f_view([n as i64, self.components as i64])?)
    }

    /// Gives each row of the matrix: its number, and where in memory the positive and the negative units are.
    fn each_row(&self, layout: Layout, take: &mut dyn FnMut(usize, &[u32], &[u32])) {
        let Some(kept) = &self.kept else {
            let mut signs = Signs::default();
            for component in 0..self.components {
                signs.units.clear();
                signs.starts.clear();
                self.add_row(component, layout, &mut signs);
                let (plus, minus) = signs.units.split_at(signs.starts[1]);
                take(component, plus, minus);
            }
            return;
        };
        let signs = kept[usize::from(layout != Layout::Plain)].get_or_init(|| {
            let mut signs = Signs::default();
            (0..self.components).for_each(|component| self.add_row(component, layout, &mut signs));
            signs.starts.push(signs.units.len());
            signs
        });
        for (component, starts) in signs.starts.windows(3).step_by(2).enumerate() {
            take(component, &signs.units[starts[0]..starts[1]], &signs.units[starts[1]..starts[2]]);
        }
    }

    /// Adds row `component` of the matrix.
    fn add_row(&self, component: usize, layout: Layout, signs: &mut Signs) {
        let mut minus = Vec::new();
        signs.starts.push(signs.units.len());
        self.row(component, |unit, is_negative| {
            let place = layout.place(unit) as u32;
            if is_negative { minus.push(place) } else { signs.units.push(place) }
        });
        signs.starts.push(signs.units.len());
        signs.units.extend(minus);
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
        let guess = libm::log(uniform) / libm::log(self.zeros[0]);
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

fn sum(lanes: &[[f32; LANES]], units: &[u32]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for &unit in units {
        sums.iter_mut().zip(&lanes[unit as usize]).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// Rows `[≤ LANES, units]` to `[units, LANES]`; lanes without a row are 0.
fn transpose(rows: &[f32], units: usize, lanes: &mut [[f32; LANES]]) {
    /// Units at a time: what is read and written stays in the nearest cache.
    const BLOCK: usize = 256;
    for first in (0..units).step_by(BLOCK) {
        let lanes = &mut lanes[first..units.min(first + BLOCK)];
        lanes.fill([0.0; LANES]);
        for (lane, row) in rows.chunks_exact(units).enumerate() {
            lanes.iter_mut().zip(&row[first..]).for_each(|(lanes, value)| lanes[lane] = *value);
        }
    }
}

/// Where the units of a row are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// In their own order.
    Plain,
    /// Unit `[channel, place]` at `[place, channel]`.
    ChannelsLast { channels: usize, places: usize },
}

impl Layout {
    /// The values of `rows` as they lie in memory, if that is one of these orders, else in C order.
    fn of(rows: &Tensor) -> Result<(Tensor, Layout)> {
        let rows = rows.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?;
        if let [_, channels, height, width] = rows.size()[..] {
            let last = rows.f_permute([0, 2, 3, 1])?;
            if last.is_contiguous() && !rows.is_contiguous() {
                let layout = Layout::ChannelsLast { channels: channels as usize, places: (height * width) as usize };
                return Ok((last.f_view(-1)?, layout));
            }
        }
        Ok((rows.f_contiguous()?.f_view(-1)?, Layout::Plain))
    }

    fn place(self, unit: usize) -> usize {
        match self {
            Layout::Plain => unit,
            Layout::ChannelsLast { channels, places } => unit % places * channels + unit / places,
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
        let srp = Srp::new(3, "conv1", 400, 2500, false).unwrap();
        let all = matrix(&srp).concat();
        let share = |wanted: f32| all.iter().filter(|value| **value == wanted).count() as f64 / all.len() as f64;
        // 1/√2500, half of each sign; four standard deviations of a million are 0.0004.
        assert!((share(srp.scale) - 0.01).abs() < 4e-4 && (share(-srp.scale) - 0.01).abs() < 4e-4);
        assert_eq!(srp.scale, (1.0f32 / 8.0).sqrt());
        assert_ne!(
            matrix(&Srp::new(4, "conv1", 1, 2500, false).unwrap()),
            matrix(&Srp::new(3, "conv1", 1, 2500, false).unwrap())
        );
    }

    #[test]
    fn rows_are_products_in_whatever_order_they_lie() {
        let (n, c, h, w) = (19, 6, 3, 5);
        let x: Vec<f32> = (0..n * c * h * w).map(|i| ((i * 7919) % 1013) as f32 / 100.0 - 5.0).collect();
        let plain = Tensor::from_slice(&x).view([n as i64, c as i64, h as i64, w as i64]);
        let channels_last = plain.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let mirrored = plain.permute([0, 1, 3, 2]).contiguous().permute([0, 1, 3, 2]);
        let srp = |keep| Srp::new(0, "a", 40, c * h * w, keep).unwrap();
        let values = |x: &Tensor, keep| Vec::<f32>::try_from(srp(keep).apply(x).unwrap().view(-1)).unwrap();
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
