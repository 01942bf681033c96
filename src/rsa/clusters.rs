//! Clusters over time: times side by side at which the score of a model deviates more than by chance, all in the same direction, are
//! tested as one, by the sum of their deviations (Maris & Oostenveld 2007).

use std::ops::Range;

/// A deviation, in units of its spread over the permutations, beyond which a time belongs to a cluster.
pub(super) const THRESHOLD: f64 = 1.96;

/// A cluster of a chain of tests.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cluster {
    /// The chain, and the places in it.
    pub(super) chain: usize,
    pub(super) places: Range<usize>,
    /// The sum of the deviations, in units of their spread; negative if they are.
    pub(super) mass: f64,
}

/// The clusters of a chain of deviations in units of their spread. A deviation that is not known is as large as can be.
pub(super) fn clusters(chain: usize, deviations: impl Iterator<Item = f64>) -> Vec<Cluster> {
    let mut found: Vec<Cluster> = Vec::new();
    for (place, deviation) in deviations.enumerate() {
        let deviation = if deviation.is_nan() { f64::INFINITY } else { deviation };
        if deviation.abs() <= THRESHOLD {
            continue;
        }
        match found.last_mut().filter(|last| last.places.end == place && last.mass.signum() == deviation.signum()) {
            Some(last) => {
                last.places.end += 1;
                last.mass += deviation;
            }
            None => found.push(Cluster { chain, places: place..place + 1, mass: deviation }),
        }
    }
    found
}

/// The largest mass of any cluster of some chains, whatever its direction; 0 without any.
pub(super) fn largest_mass(chains: &[Vec<usize>], deviation: impl Fn(usize) -> f64) -> f64 {
    let of_chain = |(number, chain): (usize, &Vec<usize>)| {
        let masses = clusters(number, chain.iter().map(|&test| deviation(test))).into_iter().map(|cluster| cluster.mass.abs());
        masses.fold(0.0, f64::max)
    };
    chains.iter().enumerate().map(of_chain).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_side_by_side_in_one_direction_are_a_cluster() {
        let found = clusters(7, [0.0, 2.0, 3.0, -2.5, 1.0, 2.2].into_iter());
        let expected = [(1..3, 5.0), (3..4, -2.5), (5..6, 2.2)];
        assert_eq!(found, expected.map(|(places, mass)| Cluster { chain: 7, places, mass }));
        let deviations = [0.0, 2.0, -3.0, f64::NAN, 4.0];
        assert_eq!(largest_mass(&[vec![0, 1], vec![1, 2, 4]], |test| deviations[test]), 4.0);
        assert_eq!(largest_mass(&[vec![1, 3]], |test| deviations[test]), f64::INFINITY);
        assert_eq!(largest_mass(&[vec![0]], |test| deviations[test]), 0.0);
    }
}
