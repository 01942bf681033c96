//! How a layer chooses among three stimuli, and how that agrees with judgements.

use super::judgements::Judgement;
use crate::parallel::parallel;
use crate::rdm::Similarities;
use anyhow::Result;

/// Judgements that are scored at a time; sums are added up in their order, whatever the number of cores.
const BLOCK: usize = 1 << 16;

/// Similarities that differ by no more than this share of the largest squared length of the three are tied: the rest is rounding.
const TIED: f64 = 1e-12;

/// The credit of a choice that is right; of two tied ones half of it, of three a third.
pub(super) const FULL: u8 = 6;

/// The odd ones of a layer against those of people.
pub(super) struct Scored {
    /// Of each judgement, in sixths.
    pub(super) credits: Vec<u8>,
    /// In how many judgements the pair that people kept is tied with another for the most similar.
    pub(super) ties: usize,
}

impl Scored {
    pub(super) fn of(similarities: &Similarities, judgements: &[Judgement]) -> Result<Scored> {
        let credit_of = |&judgement: &Judgement| {
            let [kept, one, other] = alike(similarities, judgement);
            let largest = judgement.stimuli().map(|i| similarities.row(i)[i]).into_iter().fold(0.0, f64::max);
            credit(kept, [one, other], TIED * largest)
        };
        let credits = by_block(judgements, &|block| block.iter().map(credit_of).collect::<Vec<u8>>())?.concat();
        let ties = credits.iter().filter(|&&credit| (1..FULL).contains(&credit)).count();
        Ok(Scored { credits, ties })
    }

    /// The mean credit.
    pub(super) fn accuracy(&self) -> f64 {
        let sum: u64 = self.credits.iter().map(|&credit| u64::from(credit)).sum();
        sum as f64 / (u64::from(FULL) * self.credits.len() as u64) as f64
    }
}

/// How alike the two that people kept together are, and the one and the other with the odd one.
pub(super) fn alike(similarities: &Similarities, judgement: Judgement) -> [f64; 3] {
    let [a, b, c] = judgement.stimuli();
    let (row, bc) = (similarities.row(a), similarities.row(b)[c]);
    match judgement.odd() {
        0 => [bc, row[b], row[c]],
        1 => [row[c], row[b], bc],
        _ => [row[b], row[c], bc],
    }
}

/// In sixths, of the pair that people kept.
fn credit(kept: f64, others: [f64; 2], rounding: f64) -> u8 {
    let most = others[0].max(others[1]).max(kept);
    if most - kept > rounding {
        return 0;
    }
    let tied = others.iter().filter(|&&other| most - other <= rounding).count();
    FULL / (1 + tied as u8)
}

/// `f` of each block of judgements, in order.
pub(super) fn by_block<T: Send>(judgements: &[Judgement], f: &(dyn Fn(&[Judgement]) -> T + Sync)) -> Result<Vec<T>> {
    let blocks: Vec<&[Judgement]> = judgements.chunks(BLOCK).collect();
    parallel(blocks.len(), &|block| Ok(f(blocks[block])))
}

#[cfg(test)]
mod tests {
    use super::credit;

    #[test]
    fn tied_pairs_share_the_credit() {
        assert_eq!(credit(0.5, [0.4, 0.3], 1e-12), 6);
        assert_eq!(credit(0.5, [0.5 + 1e-13, 0.3], 1e-12), 3);
        assert_eq!(credit(0.5, [0.5, 0.5], 1e-12), 2);
        assert_eq!(credit(0.5, [0.3, 0.6], 1e-12), 0);
        assert_eq!(credit(-1.0, [-2.0, -1.5], 0.0), 6);
    }
}
