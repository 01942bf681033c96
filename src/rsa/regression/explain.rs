//! What was done, in sentences for a methods section.

use super::{Fit, Regressed};
use crate::rsa::Over;

impl Regressed {
    /// What was done, in sentences for a methods section, a paragraph a line.
    pub fn explained(&self) -> String {
        let mut text = vec![self.model()];
        text.push(
            "R² is 1 − Σ(y − ŷ)² / Σ(y − ȳ)². The unique variance of a predictor is the R² of all less that of all others; what \
             predictors share is C(A) = Σ_{T ⊆ A} (−1)^{|A| − |T|} (R²(all) − R²(all without T)) (commonality analysis, Newton & Spurrell \
             1967), all of which add up to R² and of which some may be negative."
                .into(),
        );
        text.extend(self.targets[0].cross_validated.map(|over| self.predicted(over)));
        text.extend(self.permuted.as_ref().map(|permuted| {
            format!(
                "The partial correlation of a target with each predictor given the others was tested by {} permutations of the stimuli \
                 (seed {}): what the others leave of the predictor was relabelled, rows and columns together, and the partial correlation \
                 computed anew (Dekker, Krackhardt & Snijders 2007); two-sided, the labels as they are counted as one. R² was tested by \
                 relabelling the target, one-sided. The family-wise p is that of the largest statistic, each in units of its root mean \
                 square over the permutations (Nichols & Holmes 2002).",
                permuted.permutations, self.request.seed
            )
        }));
        text.extend(self.targets[0].draws.map(|draws| {
            format!(
                "95 % intervals are from {draws} bootstraps over {} (seed {}), as `thingsvision rsa` draws them for scores; the penalty \
                 of ridge stayed as it was.",
                self.request.over.words(),
                self.request.seed
            )
        }));
        text.join("\n")
    }

    fn model(&self) -> String {
        let first = &self.targets[0];
        let names: Vec<String> = first.predictors.iter().map(|one| format!("`{}`", one.predictor)).collect();
        let ranks = if first.compare == "spearman" { " All RDMs were ranked before." } else { "" };
        let how = match first.fit {
            Fit::Ordinary => "by ordinary least squares".to_owned(),
            Fit::NonNegative => "by least squares with no weight below 0 (the active set of Lawson & Hanson 1974)".to_owned(),
            Fit::Ridge => {
                let chosen =
                    if self.request.regression.penalty.is_some() { "" } else { ", the λ that predicted left-out stimuli best" };
                format!("by ridge regression, the smallest Σ(y − Σwx)²/m + λ Σw² of z-scored predictors{chosen}")
            }
        };
        let mean = if self.targets.iter().any(|of| of.subjects > 1) {
            " All numbers are means over the subjects of a target."
        } else {
            ""
        };
        format!(
            "The pairs of each target's RDM of {} stimuli were regressed on those of {} with an intercept {how}.{ranks}{mean}",
            first.stimuli,
            names.join(", ")
        )
    }

    fn predicted(&self, over: Over) -> String {
        let folds = self.request.regression.folds();
        let what = match over {
            Over::Stimuli => format!(
                "Cross-validation over stimuli: {folds} random parts of the stimuli were left out in turn (seed {}), and the pairs \
                 within a part predicted from a fit to the pairs within the others.",
                self.request.seed
            ),
            Over::Subjects => {
                "Cross-validation over subjects: each subject was predicted from a fit to the mean of all others, z-scored."
                    .to_owned()
            }
            Over::Both => format!(
                "Cross-validation over stimuli and subjects: {folds} random parts of the stimuli were left out in turn (seed {}), and the \
                 pairs within a part predicted for each subject from a fit of the mean of all others, z-scored, to the pairs within the \
                 other parts.",
                self.request.seed
            ),
        };
        format!(
            "{what} Targets and predictors are in units of their mean and standard deviation over what was fitted; R² of what was left out is in relation to the mean of what was fitted, r its mean over the parts."
        )
    }
}
