//! Kendall's τ by counting: each element is counted against those before it in one pass along `x`, in a tree over the
//! ranks of `y`. O(m log m); equal to `scipy.stats.kendalltau` (τ-b).

use super::tree::Tree;
use crate::ranks::order;

/// What both τ follow from, of a sample in which element i comes `wᵢ` times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kendall {
    /// Concordant less discordant pairs.
    pub difference: i64,
    /// All pairs, W (W − 1) / 2.
    pub pairs: u128,
    /// Pairs with equal x, and with equal y.
    pub tied: [u128; 2],
}

impl Kendall {
    /// `(C − D) / (W (W − 1) / 2)`.
    pub fn tau_a(&self) -> f64 {
        self.difference as f64 / self.pairs as f64
    }

    /// `(C − D) / √((T − Tx)(T − Ty))`; NaN if x or y does not vary.
    pub fn tau_b(&self) -> f64 {
        let [x, y] = self.tied.map(|tied| (self.pairs - tied) as f64);
        (self.difference as f64 / (x.sqrt() * y.sqrt())).clamp(-1.0, 1.0)
    }
}

/// Which τ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tau {
    A,
    B,
}

impl Tau {
    pub(super) fn of(self, counts: &Kendall) -> f64 {
        match self {
            Tau::A => counts.tau_a(),
            Tau::B => counts.tau_b(),
        }
    }
}

/// Counts the pairs of `x` and `y`.
pub fn kendall(x: &[f64], y: &[f64]) -> Kendall {
    let weights = vec![1; x.len()];
    let (x, y) = (Order::new(x), Order::new(y));
    let difference = difference(&x.sequence(), &y.rank, &mut Tree::new(weights.len()));
    Kendall { difference, pairs: pairs(&weights), tied: [x.tied(&weights), y.tied(&weights)] }
}

/// A sample in order: what does not change when its elements are weighted.
pub(super) struct Order {
    /// The elements from the smallest to the largest.
    sorted: Vec<u32>,
    /// The number of different values below that of each element.
    pub(super) rank: Vec<u32>,
}

impl Order {
    pub(super) fn new(values: &[f64]) -> Order {
        let sorted = order(values);
        let mut rank = vec![0; values.len()];
        let groups = sorted.chunk_by(|&a, &b| values[a as usize] == values[b as usize]);
        for (number, group) in groups.enumerate() {
            group.iter().for_each(|&i| rank[i as usize] = number as u32);
        }
        Order { sorted, rank }
    }

    /// All elements in order, each once.
    pub(super) fn sequence(&self) -> Sequence {
        let groups = self.sorted.chunk_by(|&a, &b| self.rank[a as usize] == self.rank[b as usize]);
        let groups = groups.map(|group| group.len() as u32).collect();
        Sequence { groups, weights: vec![1; self.sorted.len()], elements: self.sorted.clone() }
    }

    /// The elements with weight in order. Element i is called `place[i]` in it.
    pub(super) fn sequence_of(&self, weights: &[u32], place: &[u32]) -> Sequence {
        let drawn: Vec<u32> = self.sorted.iter().copied().filter(|&i| weights[i as usize] > 0).collect();
        let groups = drawn.chunk_by(|&a, &b| self.rank[a as usize] == self.rank[b as usize]);
        let of = |of: &[u32]| drawn.iter().map(|&i| of[i as usize]).collect();
        Sequence { groups: groups.map(|group| group.len() as u32).collect(), weights: of(weights), elements: of(place) }
    }

    /// Pairs of equal elements, of which element i comes `weights[i]` times.
    pub(super) fn tied(&self, weights: &[u32]) -> u128 {
        let mut sizes = vec![0u64; self.rank.len()];
        self.rank.iter().zip(weights).for_each(|(&rank, &weight)| sizes[rank as usize] += u64::from(weight));
        sizes.into_iter().map(|size| u128::from(size) * u128::from(size.saturating_sub(1)) / 2).sum()
    }

    /// The ranks of the `drawn` elements, of which element i comes `weights[i]` times, copies and other ties sharing
    /// their mean rank.
    pub(super) fn mean_ranks(&self, drawn: &[u32], weights: &[u32]) -> Vec<f64> {
        let mut ranks = vec![0.0; self.rank.len()];
        drawn.iter().for_each(|&i| ranks[self.rank[i as usize] as usize] += f64::from(weights[i as usize]));
        let mut before = 0.0;
        for size in &mut ranks {
            let rank = before + (*size + 1.0) / 2.0;
            before += *size;
            *size = rank;
        }
        drawn.iter().map(|&i| ranks[self.rank[i as usize] as usize]).collect()
    }

    /// Of each of the `drawn` elements the number of different values below it among them.
    pub(super) fn ranks_among(&self, drawn: &[u32]) -> Vec<u32> {
        let mut ranks = vec![0; self.rank.len() + 1];
        drawn.iter().for_each(|&i| ranks[self.rank[i as usize] as usize + 1] = 1);
        (1..ranks.len()).for_each(|rank| ranks[rank] += ranks[rank - 1]);
        drawn.iter().map(|&i| ranks[self.rank[i as usize] as usize]).collect()
    }
}

/// Elements from the smallest to the largest.
pub(super) struct Sequence {
    elements: Vec<u32>,
    /// How often each of them comes, together less than 2³².
    weights: Vec<u32>,
    /// How many elements in a row are equal.
    groups: Vec<u32>,
}

/// All pairs of elements of which element i comes `weights[i]` times.
pub(super) fn pairs(weights: &[u32]) -> u128 {
    let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    total * total.saturating_sub(1) / 2
}

/// Concordant less discordant pairs of x, by its sequence, and y, by the rank of each element. Copies of an element are
/// tied in both.
pub(super) fn difference(x: &Sequence, y: &[u32], tree: &mut Tree) -> i64 {
    tree.clear();
    let (mut difference, mut total) = (0, 0);
    let mut elements = x.elements.iter().map(|&i| y[i as usize] as usize).zip(&x.weights);
    let mut group = Vec::new();
    for &size in &x.groups {
        group.clear();
        group.extend(elements.by_ref().take(size as usize));
        difference += add(&group, total, tree);
        total += group.iter().map(|(_, weight)| i64::from(**weight)).sum::<i64>();
    }
    difference
}

/// Adds elements of equal x, given by the rank of y and the weight, to the `total` in the tree, and returns how many of
/// those are below them less how many are above. They are not counted against each other.
fn add(group: &[(usize, &u32)], total: i64, tree: &mut Tree) -> i64 {
    if let &[(rank, &weight)] = group {
        let tied = tree.at(rank);
        return i64::from(weight) * (2 * tree.add(rank, weight) + tied - total);
    }
    let counted = |&(rank, &weight): &(usize, &u32)| i64::from(weight) * (2 * tree.below(rank) + tree.at(rank) - total);
    let difference = group.iter().map(counted).sum();
    group.iter().for_each(|&(rank, &weight)| {
        tree.add(rank, weight);
    });
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_copies() {
        let x = [3., 1., 4., 1., 5., 9., 2., 6.];
        let y = [2., 7., 1., 8., 2., 8., 1., 8.];
        let weights = [1, 0, 3, 2, 1, 1, 0, 4];
        let copies = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(weights).flat_map(|(&value, weight)| std::iter::repeat_n(value, weight as usize)).collect()
        };
        let expected = kendall(&copies(&x), &copies(&y));
        let (x, y) = (Order::new(&x), Order::new(&y));
        let ranks = y.ranks_among(&[0, 2, 3, 4, 5, 7]);
        assert_eq!(ranks, [1, 0, 2, 1, 2, 2]);
        let sequence = x.sequence_of(&weights, &[0, 9, 1, 2, 3, 4, 9, 5]);
        assert_eq!(difference(&sequence, &ranks, &mut Tree::new(3)), expected.difference);
        assert_eq!(pairs(&weights), expected.pairs);
        assert_eq!([x.tied(&weights), y.tied(&weights)], expected.tied);
    }
}
