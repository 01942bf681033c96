//! Products of many relabelled RDMs with a few that stay: the squares of eight lie side by side, so that one look-up in memory
//! serves eight, and each is multiplied with all that stay while it is in a register. A row of the squares is used for all orders
//! before the next, which leaves the memory to what stays, row after row.
#![allow(unsafe_code)] // the processor's vectors, asked for before

use super::relabel::{LARGE, square};
use std::ops::{Add, Mul};

/// RDMs side by side.
const LANES: usize = 8;

/// Those that stay and are multiplied at a time: as many as have room in registers.
const TOGETHER: usize = 6;

/// RDMs of n stimuli, prepared pairs, of which some are relabelled and some stay.
pub(super) struct SideBySide {
    n: usize,
    moved: usize,
    staying: usize,
    values: Values,
}

/// In float64, or, where so many numbers are added that ties do not happen, in float32, of which more has room in the cache.
enum Values {
    Double(Lanes<f64>),
    Single(Lanes<f32>),
}

struct Lanes<T> {
    /// For every eight RDMs that are moved `[n, n, 8]`, of a diagonal of 0.
    squares: Vec<Vec<[T; LANES]>>,
    /// For every six that stay `[pairs, 6]`.
    staying: Vec<Vec<[T; TOGETHER]>>,
}

impl SideBySide {
    pub(super) fn new(n: usize, moved: &[&[f64]], staying: &[&[f64]]) -> SideBySide {
        let values = match n < LARGE {
            true => Values::Double(Lanes::new(n, moved, staying, |value| value)),
            false => Values::Single(Lanes::new(n, moved, staying, |value| value as f32)),
        };
        SideBySide { n, moved: moved.len(), staying: staying.len(), values }
    }

    /// `Σ_{i<j} moved[order[i], order[j]] · staying[i, j]`, `[moved][staying]` of each order.
    pub(super) fn products(&self, orders: &[Vec<u32>]) -> Vec<Vec<Vec<f64>>> {
        let mut products = match &self.values {
            Values::Double(lanes) => lanes.products(self.n, orders),
            Values::Single(lanes) => lanes.products(self.n, orders),
        };
        for of_order in &mut products {
            of_order.truncate(self.moved);
            of_order.iter_mut().for_each(|of| of.truncate(self.staying));
        }
        products
    }
}

impl<T: Number> Lanes<T> {
    fn new(n: usize, moved: &[&[f64]], staying: &[&[f64]], round: impl Fn(f64) -> T + Copy) -> Lanes<T> {
        let squares = moved.chunks(LANES).map(|some| {
            let mut all = vec![[T::default(); LANES]; n * n];
            for (lane, pairs) in some.iter().enumerate() {
                let of_lane = square(n, pairs, round);
                all.iter_mut().zip(of_lane).for_each(|(lanes, value)| lanes[lane] = value);
            }
            all
        });
        let staying = staying.chunks(TOGETHER).map(|some| {
            let mut all = vec![[T::default(); TOGETHER]; some[0].len()];
            for (place, pairs) in some.iter().enumerate() {
                all.iter_mut().zip(*pairs).for_each(|(values, &value)| values[place] = round(value));
            }
            all
        });
        Lanes { squares: squares.collect(), staying: staying.collect() }
    }

    fn products(&self, n: usize, orders: &[Vec<u32>]) -> Vec<Vec<Vec<f64>>> {
        let orders: Vec<Order> = orders.iter().map(|order| Order::new(n, order)).collect();
        let mut products = vec![Vec::new(); orders.len()];
        for square in &self.squares {
            let mut of_lanes: Vec<[Vec<f64>; LANES]> = vec![Default::default(); orders.len()];
            for staying in &self.staying {
                for (of_order, sums) in of_lanes.iter_mut().zip(sums(square, staying, &orders)) {
                    of_order.iter_mut().zip(sums).for_each(|(of_lane, sums)| of_lane.extend(sums));
                }
            }
            products.iter_mut().zip(of_lanes).for_each(|(of_order, of_lanes)| of_order.extend(of_lanes));
        }
        products
    }
}

/// An order of the stimuli, and where each has come to.
struct Order<'a> {
    order: &'a [u32],
    place: Vec<usize>,
}

impl Order<'_> {
    fn new(n: usize, order: &[u32]) -> Order<'_> {
        assert!(order.len() == n, "an order of all stimuli");
        let mut place = vec![0; n];
        order.iter().enumerate().for_each(|(i, &stimulus)| place[stimulus as usize] = i);
        Order { order, place }
    }
}

/// The sums of products of eight that are moved with six that stay.
type Sums = [[f64; TOGETHER]; LANES];

/// Those of each order.
fn sums<T: Number>(square: &[[T; LANES]], staying: &[[T; TOGETHER]], orders: &[Order]) -> Vec<Sums> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has these.
        return unsafe { sums_by_vectors(square, staying, orders) };
    }
    sums_by(square, staying, orders, |sum, a, b| a * b + sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn sums_by_vectors<T: Number>(square: &[[T; LANES]], staying: &[[T; TOGETHER]], orders: &[Order]) -> Vec<Sums> {
    sums_by(square, staying, orders, |sum, a, b| a.times_plus(b, sum))
}

#[inline(always)]
fn sums_by<T: Number>(
    square: &[[T; LANES]],
    staying: &[[T; TOGETHER]],
    orders: &[Order],
    add: impl Fn(T, T, T) -> T + Copy,
) -> Vec<Sums> {
    let mut all = vec![Sums::default(); orders.len()];
    let n = orders.first().map_or(0, |order| order.order.len());
    for (stimulus, row) in square.chunks_exact(n.max(1)).enumerate() {
        for (all, Order { order, place }) in all.iter_mut().zip(orders) {
            let i = place[stimulus];
            let sums = sums_of_row(row, &staying[i * (2 * n - i - 1) / 2..], &order[i + 1..], add);
            for (all, sums) in all.iter_mut().zip(sums) {
                all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum.into());
            }
        }
    }
    all
}

/// Those of one row, in `T`.
#[inline(always)]
fn sums_of_row<T: Number>(
    row: &[[T; LANES]],
    staying: &[[T; TOGETHER]],
    others: &[u32],
    add: impl Fn(T, T, T) -> T,
) -> [[T; TOGETHER]; LANES] {
    let mut sums = [[T::default(); LANES]; TOGETHER];
    for (&other, stay) in others.iter().zip(staying) {
        let lanes = row[other as usize];
        for place in 0..TOGETHER {
            for lane in 0..LANES {
                sums[place][lane] = add(sums[place][lane], lanes[lane], stay[place]);
            }
        }
    }
    std::array::from_fn(|lane| std::array::from_fn(|place| sums[place][lane]))
}

/// float32 and float64.
trait Number: Copy + Default + Into<f64> + Add<Output = Self> + Mul<Output = Self> {
    /// `self · by + sum`, rounded once.
    fn times_plus(self, by: Self, sum: Self) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn times_plus(self, by: f32, sum: f32) -> f32 {
        self.mul_add(by, sum)
    }
}

impl Number for f64 {
    #[inline(always)]
    fn times_plus(self, by: f64, sum: f64) -> f64 {
        self.mul_add(by, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdm::{pair, pairs_of};

    fn slices(all: &[Vec<f64>]) -> Vec<&[f64]> {
        all.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn products_equal_sums_over_relabelled_pairs() {
        let n = 23;
        let count = n * (n - 1) / 2;
        let rdm =
            |seed: usize| -> Vec<f64> { (0..count).map(|pair| ((pair * 37 + seed * 101) % 97) as f64 / 97.0 - 0.5).collect() };
        let (moved, staying): (Vec<_>, Vec<_>) = ((0..11).map(rdm).collect(), (20..27).map(rdm).collect());
        let order: Vec<u32> = (0..n).map(|i| (i * 9 % n) as u32).collect();
        let found = SideBySide::new(n, &slices(&moved), &slices(&staying)).products(std::slice::from_ref(&order)).remove(0);
        assert_eq!((found.len(), found[0].len()), (11, 7));
        for (a, of) in moved.iter().zip(&found) {
            for (b, &product) in staying.iter().zip(of) {
                let moved = pairs_of(n).map(|(i, j)| a[pair(n, order[i] as usize, order[j] as usize)]);
                let expected: f64 = moved.zip(b).map(|(a, b)| a * b).sum();
                assert!((product - expected).abs() < 1e-12, "{product} {expected}");
            }
        }
    }
}
