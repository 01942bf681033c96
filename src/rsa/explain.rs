//! What was done, in sentences for a methods section.

use super::bootstrap::drawn;
use super::{Analysed, Over, Permuted};

impl Analysed {
    /// What was done, in sentences for a methods section, a paragraph a line.
    pub fn explained(&self) -> String {
        let mut text = vec![self.measure()];
        text.extend(self.controls());
        if !self.analysis.is_complete() {
            text.push("Pairs without data in any model or in any subject of a target were left out for all models alike.".into());
        }
        if self.subjects() > 1 {
            text.push(self.ceiling());
        }
        text.extend(self.permuted.as_ref().map(|permuted| self.permutation(permuted)));
        text.extend(self.over_time());
        if let Some(bootstrap) = &self.bootstrap {
            let drawn = drawn(self.request.over, &self.analysis.targets);
            let several = drawn.len() > 1;
            text.extend(drawn.iter().map(|(over, targets)| {
                let of = if several { format!(" Those were of {}.", targets.join(", ")) } else { String::new() };
                self.bootstrapped(*over, bootstrap.draws) + &of
            }));
        }
        text.join("\n")
    }

    fn over_time(&self) -> Option<String> {
        let tested = self.permuted.is_some() && !self.table.courses.is_empty();
        let intervals = match &self.bootstrap {
            Some(_) => {
                " Intervals of peaks are the 2.5 and 97.5 percentiles of those of the draws, of onsets those of the first time \
                        of the largest cluster of a draw that shares times with the one that was found."
            }
            None => "",
        };
        tested.then(|| {
            format!(
                "Each time was a target of its own. Times side by side at which a score deviates from its mean over the permutations by \
                 more than 1.96 times its root mean square over them, in one direction, form a cluster, whose mass is the sum of \
                 these deviations; its p is the share of permutations with a cluster of as large a mass at any time, of any model and \
                 target (Maris & Oostenveld 2007). The onset is the first time of the first cluster with p ≤ 0.05 above chance; it \
                 describes, and is not tested.{intervals}"
            )
        })
    }

    /// The largest number of subjects of a target.
    fn subjects(&self) -> usize {
        self.analysis.targets.iter().map(|target| target.subjects.len()).max().unwrap_or(0)
    }

    fn measure(&self) -> String {
        let formula = self.analysis.comparison.formula();
        let (n, name) = (self.analysis.stimuli, self.analysis.comparison.title());
        let mean = if self.subjects() > 1 { " Scores of a target are the mean over its subjects." } else { "" };
        format!("RDMs of {n} stimuli were compared by {name}, {formula}, over the upper triangle without the diagonal.{mean}")
    }

    fn controls(&self) -> Option<String> {
        let names: Vec<String> = self.analysis.controls.iter().map(|control| format!("`{}`", control.name)).collect();
        let ranks = if self.analysis.comparison.scoring().is_of_ranks() { " All RDMs were ranked before." } else { "" };
        (!names.is_empty()).then(|| {
            format!(
                "Held constant: {}. Scores are partial correlations, Pearson's r of the residuals of model and target after a linear \
                 regression of each, with an intercept, on these RDMs over the same pairs.{ranks}",
                names.join(", ")
            )
        })
    }

    fn ceiling(&self) -> String {
        let pooled = if self.analysis.comparison.scoring().is_of_ranks() {
            "as ranks"
        } else {
            "each scaled to unit length under the measure"
        };
        format!(
            "The noise ceiling is the mean over subjects of the score of the subjects' mean RDM ({pooled}): of all subjects for \
             the upper bound, of all but the one it is compared with for the lower (Nili et al. 2014)."
        )
    }

    fn permutation(&self, permuted: &Permuted) -> String {
        let kind = match permuted.exhaustive {
            true => format!("all {} permutations", permuted.permutations + 1),
            false => format!("{} random permutations (seed {})", permuted.permutations, self.request.seed),
        };
        let what = match self.analysis.controls.is_empty() {
            true => String::new(),
            false => " What was relabelled against the targets and the controls are the residuals of the models, of which the \
                      partial correlation was computed anew (Dekker, Krackhardt & Snijders 2007)."
                .to_owned(),
        };
        format!(
            "Null hypothesis: the labels of the stimuli of the target are exchangeable. p is two-sided, the share of {kind} of the \
             stimuli (rows and columns together, the labels as they are counted as one; smallest possible {:.2e}) under which a \
             score is as far from its expectation under permutation. The same permutations served all {} tests; the family-wise p \
             is that of the largest deviation over all tests, each in units of its root mean square over the permutations (Nichols \
             & Holmes 2002). Holm's correction and Benjamini and Hochberg's are over the same tests.{what}",
            permuted.smallest(),
            self.analysis.tests()
        )
    }

    fn bootstrapped(&self, over: Over, draws: usize) -> String {
        let seed = self.request.seed;
        let stimuli = "pairs of two copies of one stimulus were left out, as were draws in which a model or target does not vary \
                       (if more than 5 %, no interval is given)";
        match over {
            Over::Stimuli => {
                format!("Intervals are the 2.5 and 97.5 percentiles of {draws} bootstraps over stimuli (seed {seed}); {stimuli}.")
            }
            Over::Subjects => {
                format!("Intervals are the 2.5 and 97.5 percentiles of {draws} bootstraps over subjects (seed {seed}).")
            }
            Over::Both => format!(
                "Intervals are score ± t σ, σ² from {draws} bootstraps over stimuli, over subjects and over both (seed {seed}), \
                 combined as Schütt et al. (2023) correct the two-factor bootstrap; {stimuli}."
            ),
        }
    }
}
