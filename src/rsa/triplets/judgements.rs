//! Judgements of three stimuli, in an order in which those of the same three stand together.

/// Three stimuli, by their numbers, and which of them is the odd one: numbers of 16 bits each, rising, and the place of the odd one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Judgement(u64);

impl Judgement {
    /// Of different numbers below 2¹⁶, the odd one last.
    pub(super) fn new(judged: [usize; 3]) -> Judgement {
        let odd = judged[2];
        let mut stimuli = judged;
        stimuli.sort_unstable();
        let place = stimuli.iter().position(|&stimulus| stimulus == odd).unwrap_or_default();
        Judgement(stimuli.iter().fold(0, |bits, &stimulus| bits << 16 | stimulus as u64) << 2 | place as u64)
    }

    /// The stimuli, the numbers rising.
    pub(super) fn stimuli(self) -> [usize; 3] {
        [34, 18, 2].map(|shift| (self.0 >> shift & 0xffff) as usize)
    }

    /// The place of the odd one among them.
    pub(super) fn odd(self) -> usize {
        (self.0 & 3) as usize
    }

    /// Whether the other is of the same three stimuli.
    pub(super) fn is_repeat(&self, other: &Judgement) -> bool {
        self.0 >> 2 == other.0 >> 2
    }
}

/// How well a choice could be told from those of others on the same three stimuli.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Repeats {
    /// How many triplets were judged more than once.
    pub(super) triplets: usize,
    /// How many judgements they have.
    pub(super) judgements: usize,
    /// The share of judgements that the most frequent one among the others of the triplet predicts; of tied ones each with its share.
    pub(super) lower: f64,
    /// The share of judgements that agree with the most frequent one of their triplet.
    pub(super) upper: f64,
}

impl Repeats {
    /// Of judgements in order; `None` if none is repeated.
    pub(super) fn of(sorted: &[Judgement]) -> Option<Repeats> {
        let (mut triplets, mut judgements, mut lower, mut upper) = (0, 0, 0.0, 0);
        for group in sorted.chunk_by(Judgement::is_repeat).filter(|group| group.len() > 1) {
            let mut counts = [0usize; 3];
            group.iter().for_each(|judgement| counts[judgement.odd()] += 1);
            triplets += 1;
            judgements += group.len();
            upper += counts.into_iter().max().unwrap_or_default();
            lower += (0..3).map(|choice| counts[choice] as f64 * predicted(counts, choice)).sum::<f64>();
        }
        let share = |sum: f64| sum / judgements as f64;
        (triplets > 0).then(|| Repeats { triplets, judgements, lower: share(lower), upper: share(upper as f64) })
    }
}

/// The probability that the most frequent of the other judgements is this choice, one of which is left out.
fn predicted(counts: [usize; 3], choice: usize) -> f64 {
    let mut others = counts;
    others[choice] = others[choice].saturating_sub(1);
    let most = others.into_iter().max().unwrap_or_default();
    let tied = others.iter().filter(|&&count| count == most).count();
    if others[choice] == most { 1.0 / tied as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(judged: &[[usize; 3]]) -> Vec<Judgement> {
        let mut all: Vec<Judgement> = judged.iter().map(|&judged| Judgement::new(judged)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_judgement_is_what_it_was_made_of() {
        for judged in [[0, 1, 2], [65_535, 3, 65_534], [7, 40_000, 9], [9, 7, 8]] {
            let judgement = Judgement::new(judged);
            let mut stimuli = judged;
            stimuli.sort_unstable();
            assert_eq!(judgement.stimuli(), stimuli);
            assert_eq!(judgement.stimuli()[judgement.odd()], judged[2]);
        }
    }

    #[test]
    fn the_ceiling_is_of_triplets_that_were_judged_again() {
        assert_eq!(Repeats::of(&sorted(&[[0, 1, 2], [0, 1, 3], [4, 5, 6]])), None);
        // Odd: 2, 2, 2, 1 of the first three, and 3 and 0 of other three.
        let judged = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1, 0, 2], [0, 1, 3], [3, 1, 0], [7, 8, 9]];
        let repeats = Repeats::of(&sorted(&judged)).unwrap();
        assert_eq!((repeats.triplets, repeats.judgements), (2, 6));
        // 3 of 4 and 1 of 2 agree with the most frequent one.
        assert!((repeats.upper - 4.0 / 6.0).abs() < 1e-15);
        // Of 2, 2, 1 the most frequent one is right for the three, that of 2, 2, 2 wrong for the one; each of two is wrong.
        assert!((repeats.lower - 3.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn ties_among_the_others_count_with_their_share() {
        // Odd: 0, 1, 2 of the same three; the other two are tied, and neither is right. Then twice 0, twice 1: of 0, 1, 1 not 0.
        let of = |judged: &[[usize; 3]]| Repeats::of(&sorted(judged)).unwrap().lower;
        assert_eq!(of(&[[1, 2, 0], [0, 2, 1], [0, 1, 2]]), 0.0);
        assert_eq!(of(&[[1, 2, 0], [1, 2, 0], [0, 2, 1]]), 2.0 / 3.0 * 0.5);
    }
}
