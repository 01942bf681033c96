//! Clusters of stimuli, and the order of stimuli in which they stand side by side.

use super::Rdms;
use crate::error::advise;
use anyhow::Result;
use kodama::{Method, linkage};

/// Stimuli in clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    /// All stimuli, cluster after cluster.
    pub order: Vec<usize>,
    /// The cluster of each stimulus, counted from 0 in that order.
    pub of: Vec<usize>,
}

impl Clusters {
    /// The `count` clusters of the stimuli of the first RDM in `rdms`, by the average dissimilarity of two clusters (UPGMA);
    /// stimuli in the order of the tree's leaves. Fails if a pair is missing, or if there are fewer stimuli than clusters.
    pub fn find(rdms: &Rdms, count: usize) -> Result<Clusters> {
        let (n, pairs) = (rdms.stimuli, &rdms.subjects[0]);
        if !(1..=n).contains(&count) {
            return Err(advise(format!("{n} stimuli cannot be in {count} clusters"), format!("ask for 1 to {n}")));
        }
        if pairs.iter().any(|pair| pair.is_nan()) {
            return Err(advise(
                "clusters need the dissimilarity of every pair, and some are missing",
                "cluster by another RDM; `thingsvision rdm check` says which pairs are missing",
            ));
        }
        Ok(by_average(n, pairs, count))
    }

    /// Stimuli by the number of their category, otherwise in the given order.
    pub fn of_categories(of: Vec<usize>) -> Clusters {
        let mut order: Vec<usize> = (0..of.len()).collect();
        order.sort_by_key(|&stimulus| of[stimulus]);
        Clusters { order, of }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.of.iter().max().map_or(0, |last| last + 1)
    }
}

/// As SciPy's `linkage(pairs, "average")`, `leaves_list` and `fcluster(…, count, "maxclust")`, which may give fewer clusters
/// where merges are tied.
fn by_average(n: usize, pairs: &[f64], count: usize) -> Clusters {
    let tree = linkage(&mut pairs.to_vec(), n, Method::Average);
    let children = |node: usize| (node >= n).then(|| [tree[node - n].cluster1, tree[node - n].cluster2]);
    // The last merges are undone; what is left are the roots of the clusters.
    let first_undone = 2 * n - count;
    let (mut order, mut of) = (Vec::with_capacity(n), vec![0; n]);
    let mut clusters = 0;
    // The nodes still to be visited, with the cluster that they are in.
    let mut open = vec![(2 * n - 2, None)];
    while let Some((node, cluster)) = open.pop() {
        let cluster = cluster.or_else(|| {
            (node < first_undone).then(|| {
                clusters += 1;
                clusters - 1
            })
        });
        match children(node) {
            Some([left, right]) => open.extend([(right, cluster), (left, cluster)]),
            None => {
                order.push(node);
                of[node] = cluster.expect("a leaf is in a cluster");
            }
        }
    }
    Clusters { order, of }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_pairs_are_refused() {
        let rdms = Rdms { stimuli: 4, ids: None, subjects: vec![vec![f64::NAN, 2., 3., 4., 5., 6.]] };
        assert!(Clusters::find(&rdms, 2).unwrap_err().to_string().contains("are missing"));
    }
}
