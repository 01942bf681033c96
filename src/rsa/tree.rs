//! Counts by rank, of which all below a rank are asked for.

/// Children of a node.
const FAN: usize = 16;

/// `AFTER[k]` has all bits of the children after k.
const AFTER: [[u32; FAN]; FAN] = {
    let mut after = [[0; FAN]; FAN];
    let mut k = 0;
    while k < FAN {
        let mut child = k + 1;
        while child < FAN {
            after[k][child] = u32::MAX;
            child += 1;
        }
        k += 1;
    }
    after
};

/// A tree of sums: each level holds, for every child, the sum of those before it in the same node. One number a level is
/// read for a sum, and one node, side by side in memory and without branches, is added to for a change.
pub(super) struct Tree {
    counts: Vec<u32>,
    nodes: Vec<[u32; FAN]>,
    /// Where the nodes of each level begin, the leaves first.
    levels: Vec<usize>,
}

impl Tree {
    /// For ranks 0 … `ranks`, all with a count of 0.
    pub(super) fn new(ranks: usize) -> Tree {
        let (mut levels, mut nodes) = (Vec::new(), 0);
        let mut children = ranks + 1;
        while children > 1 {
            levels.push(nodes);
            children = children.div_ceil(FAN);
            nodes += children;
        }
        Tree { counts: vec![0; ranks + 1], nodes: vec![[0; FAN]; nodes], levels }
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
        self.nodes.fill([0; FAN]);
    }

    /// Adds to the count of `rank`, and returns the sum of the counts below it.
    pub(super) fn add(&mut self, rank: usize, weight: u32) -> i64 {
        self.counts[rank] += weight;
        let (mut child, mut below) = (rank, 0);
        for level in &self.levels {
            let node = &mut self.nodes[level + child / FAN];
            below += i64::from(node[child % FAN]);
            node.iter_mut().zip(&AFTER[child % FAN]).for_each(|(sum, after)| *sum += weight & after);
            child /= FAN;
        }
        below
    }

    pub(super) fn at(&self, rank: usize) -> i64 {
        i64::from(self.counts[rank])
    }

    pub(super) fn below(&self, rank: usize) -> i64 {
        let (mut child, mut below) = (rank, 0);
        for level in &self.levels {
            below += i64::from(self.nodes[level + child / FAN][child % FAN]);
            child /= FAN;
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_below_a_rank_equal_a_plain_count() {
        for ranks in [0, 1, 15, 16, 17, 300, 5000] {
            let (mut tree, mut counts) = (Tree::new(ranks), vec![0u32; ranks + 1]);
            for k in 0..200 {
                let (rank, weight) = (k * 7919 % (ranks + 1), (k % 5) as u32);
                assert_eq!(tree.add(rank, weight), i64::from(counts[..rank].iter().sum::<u32>()), "{ranks} {rank}");
                counts[rank] += weight;
                let asked = k * 104729 % (ranks + 1);
                assert_eq!(tree.at(asked), i64::from(counts[asked]));
                assert_eq!(tree.below(asked), i64::from(counts[..asked].iter().sum::<u32>()), "{ranks} {asked}");
            }
        }
    }
}
