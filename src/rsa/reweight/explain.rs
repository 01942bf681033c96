//! What was done, in sentences for a methods section.

use super::Reweighted;
use super::validate::PENALTIES;

impl Reweighted {
    /// What was done, in sentences for a methods section, a paragraph a line.
    pub fn explained(&self) -> String {
        let mut text = vec![self.model(), self.validation()];
        text.extend(self.rows[0].draws.map(|draws| {
            format!(
                "95 % intervals are the 2.5 and 97.5 percentiles of {draws} bootstraps over subjects (seed {}), of the scores as they were \
                 cross-validated.",
                self.request.seed
            )
        }));
        if self.rows.iter().any(|row| row.ceiling_lower.is_some()) {
            text.push(
                "The noise ceiling is that of the same pairs (Nili et al. 2014): how well the subjects' mean RDM agrees with each subject, \
                 of all for the upper bound, of all others for the lower, the mean over the parts."
                    .into(),
            );
        }
        text.join("\n")
    }

    fn model(&self) -> String {
        let mean =
            if self.rows.iter().any(|row| row.subjects > 1) { " Each subject of a target had weights of its own." } else { "" };
        format!(
            "Feature-reweighted RSA (Kaniuth & Hebart 2022): the dissimilarity y of two stimuli was predicted as b + Σₖ wₖ (zᵢₖ − zⱼₖ)², zᵢₖ \
             the activation of unit k to stimulus i, less its mean over the stimuli that were fitted and in units of its standard deviation \
             over them. Weights and intercept are those with the smallest Σ(y − b − Σwx)²/m + λ V Σw² over the m pairs of the fitted \
             stimuli, V the sum over units of the variance of x. Weights may be negative.{mean}"
        )
    }

    fn validation(&self) -> String {
        let (wanted, seed) = (&self.request.regression, self.request.seed);
        let folds = wanted.folds();
        let times = match wanted.repeats.unwrap_or(1) {
            1 => String::new(),
            repeats => format!(", which was done {repeats} times with other parts"),
        };
        let penalty = match wanted.penalty {
            Some(penalty) => format!("λ was {penalty}."),
            None => format!(
                "λ was chosen within the fitted stimuli, of {} powers of ten from {} to {}: that with the smallest squared errors when \
                 {folds} parts of them were left out in turn, of all subjects of a target together.",
                PENALTIES.len(),
                PENALTIES[0],
                PENALTIES[PENALTIES.len() - 1]
            ),
        };
        format!(
            "{folds} random parts of the {} stimuli were left out in turn (seed {seed}){times}. {penalty} The score is the {} of the predicted \
             and the real dissimilarities of the pairs whose two stimuli are both in the part that was left out, the mean over parts and \
             subjects. Beside it is the score of the same pairs with all weights 1, squared Euclidean distances.",
            self.rows[0].stimuli,
            self.analysis.comparison.title()
        )
    }
}
