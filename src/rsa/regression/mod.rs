//! Multiple regression of RDMs on RDMs: what several models explain of a target together, what each explains that the others do not,
//! and what they share.
//!
//! A [`Regression`] holds predictors and targets of the same stimuli; [`regress()`] does what a [`Request`](super::Request) wants.

mod explain;
mod fit;
mod folds;
#[cfg(test)]
mod goldens;
mod report;
mod statistics;
mod test;
mod variance;
mod work;

pub use fit::Fit;
pub use folds::Predicted;
pub(super) use folds::{Turn, check_stimuli};

pub(crate) use folds::divided;
pub(crate) use report::read;
pub use report::{Part, Predictor, Regressed, TargetRow};
pub use work::regress;

use super::analysis::{Analysis, pick};
use super::bootstrap::{Bootstrap, Draws, Over, draw};
use super::controls::fewest_pairs;
use super::resample::Prepared;
use super::{Comparison, TargetRdm};
use crate::error::advise;
use anyhow::Result;
use fit::{Penalised, Reduced, collinear};
use serde::{Deserialize, Serialize};
use statistics::{Layout, row};

/// What is asked of a regression.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// A predictor of a multiple regression of the targets: an RDM. Repeat for each; models are not compared one by one then
    #[arg(long, value_name = "[NAME=]RDM", help_heading = HEADING)]
    pub regress: Vec<String>,

    /// Layers of the runs that are named (or of all in activations/) as predictors: 'layer4.*'. Repeat for more
    #[arg(long, value_name = "GLOB", help_heading = HEADING)]
    pub regress_layers: Vec<String>,

    /// How weights are found [default: ordinary]
    #[arg(long, value_enum, hide_default_value = true, help_heading = HEADING)]
    pub fit: Option<Fit>,

    /// The penalty λ of --fit ridge or --reweight [default: the one that predicts left-out stimuli best, of 1e-4 to 100, or of 1e-6 to
    /// 10]
    #[arg(long, value_name = "NUMBER", help_heading = HEADING, allow_hyphen_values = true)]
    pub penalty: Option<f64>,

    /// Predict what was left out of the fit, to say how well weights generalise
    #[arg(long, value_enum, help_heading = HEADING)]
    pub cross_validate: Option<Over>,

    /// Into how many parts the stimuli are divided, of which each is left out once [default: 5]
    #[arg(long, value_name = "K", help_heading = HEADING)]
    pub folds: Option<u32>,

    /// Fit a weight for each unit of each layer to the targets, and score the pairs of left-out stimuli (feature-reweighted RSA,
    /// Kaniuth & Hebart 2022). Instead of RDMs files of features [stimuli, units] may be named
    #[arg(long, help_heading = HEADING)]
    pub reweight: bool,

    /// How often --reweight divides the stimuli anew, of which scores are the mean [default: 1]
    #[arg(long, value_name = "R", help_heading = HEADING)]
    pub repeats: Option<u32>,
}

const HEADING: &str = "Regression";

/// The default of `--folds`.
const FOLDS: u32 = 5;

impl Wanted {
    /// Whether a regression is wanted at all.
    pub fn is_regression(&self) -> bool {
        !self.regress.is_empty() || !self.regress_layers.is_empty()
    }

    pub(super) fn fit(&self) -> Fit {
        self.fit.unwrap_or_default()
    }

    pub(super) fn folds(&self) -> usize {
        self.folds.unwrap_or(FOLDS) as usize
    }

    /// Fails for what contradicts itself.
    pub(super) fn check(&self) -> Result<()> {
        if self.reweight {
            return self.check_reweight();
        }
        if self.repeats.is_some() {
            return Err(advise("--repeats are of --reweight, and it is not wanted", "add --reweight, or leave --repeats out"));
        }
        let given = [
            (self.fit.is_some(), "--fit"),
            (self.penalty.is_some(), "--penalty"),
            (self.cross_validate.is_some(), "--cross-validate"),
            (self.folds.is_some(), "--folds"),
        ];
        if let (false, Some((_, flag))) = (self.is_regression(), given.into_iter().find(|(given, _)| *given)) {
            return Err(advise(format!("{flag} is of a regression, and there is none"), "name its predictors: --regress RDM"));
        }
        if self.penalty.is_some() && self.fit() != Fit::Ridge {
            return Err(advise(format!("the {} fit has no penalty", self.fit().name()), "add --fit ridge"));
        }
        self.check_penalty()?;
        let needs_folds = self.cross_validate.is_some_and(|over| over != Over::Subjects)
            || (self.fit() == Fit::Ridge && self.penalty.is_none());
        if self.folds.is_some() && !needs_folds {
            return Err(advise("--folds divide stimuli, and none are left out", "add --cross-validate stimuli"));
        }
        self.check_folds()
    }

    fn check_penalty(&self) -> Result<()> {
        match self.penalty.filter(|penalty| !(penalty.is_finite() && *penalty > 0.0)) {
            Some(penalty) => Err(advise(format!("the penalty is {penalty}"), "give a number above 0, such as 0.1")),
            None => Ok(()),
        }
    }

    fn check_folds(&self) -> Result<()> {
        match self.folds() {
            0..2 => Err(advise(format!("stimuli cannot be divided into {} folds", self.folds()), "take 2 or more")),
            _ => Ok(()),
        }
    }

    /// Fails for what --reweight cannot do.
    fn check_reweight(&self) -> Result<()> {
        if self.is_regression() {
            return Err(advise("--reweight fits the units of a layer, and --regress RDMs", "take one of the two"));
        }
        let given = [(self.fit.is_some(), "--fit"), (self.cross_validate.is_some(), "--cross-validate")];
        if let Some((_, flag)) = given.into_iter().find(|(given, _)| *given) {
            return Err(advise(
                format!("--reweight is by ridge and left-out stimuli always, and {flag} is of --regress"),
                "leave it out",
            ));
        }
        if self.repeats == Some(0) {
            return Err(advise("with no repeat nothing is scored", "take --repeats 1, or more"));
        }
        self.check_penalty()?;
        self.check_folds()
    }
}

/// Predictors and targets of the same stimuli.
#[derive(Debug, Clone)]
pub struct Regression {
    /// The predictors are its models; it is compared by Pearson's or Spearman's measure, of values or of ranks.
    pub analysis: Analysis,
    /// How weights are found.
    pub fit: Fit,
}

/// A target's regression over the pairs that are there, with the penalty that was chosen.
struct Fitted {
    reduced: Reduced,
    how: Penalised,
}

impl Regression {
    fn predictors(&self) -> usize {
        self.analysis.models.len()
    }

    fn layout(&self) -> Layout {
        Layout { predictors: self.predictors() }
    }

    /// Predictors and the subjects of a target, centred values or ranks of the pairs that are there for all.
    fn values(&self, target: &TargetRdm) -> Result<[Vec<Vec<f64>>; 2]> {
        let Some(product) = self.analysis.comparison.partial() else { return Err(not_linear(self.analysis.comparison)) };
        let kept = self.analysis.kept(target);
        let of = |pairs: &Vec<f64>| product.values(&pick(pairs, &kept));
        Ok([self.analysis.models.iter().map(|model| of(&model.pairs)).collect(), target.subjects.iter().map(of).collect()])
    }

    /// The numbers of every target in every subject, `[targets × numbers]` of `[subjects]`.
    fn by_subject(&self, fitted: &[Fitted]) -> Vec<Vec<f64>> {
        let mut all = Vec::new();
        for of in fitted {
            let rows: Vec<Vec<f64>> = (0..of.reduced.targets()).map(|subject| row(&of.reduced, of.how, subject)).collect();
            all.extend((0..self.layout().len()).map(|number| rows.iter().map(|row| row[number]).collect()));
        }
        all
    }

    /// How sure the numbers are: those of [`Regression::by_subject`] on drawn stimuli and subjects. The penalty stays as it is.
    fn bootstrap(&self, fitted: &[Fitted], by_subject: &[Vec<f64>], draws: Draws) -> Result<Bootstrap> {
        let prepared = if draws.over == Over::Subjects { None } else { Prepared::new(&self.analysis) };
        let scores = |stimuli: &[u32], subjects: Option<&[Vec<u32>]>| {
            let mut scores = [Vec::new(), Vec::new()];
            for (t, of) in fitted.iter().enumerate() {
                let Some([models, targets]) = prepared.as_ref().and_then(|prepared| prepared.centred(stimuli, t)) else {
                    continue;
                };
                let pairs = models[0].len();
                let reduced = Reduced::new(models, targets);
                let rows: Vec<Vec<f64>> = (0..reduced.targets()).map(|subject| row(&reduced, of.how, subject)).collect();
                // Few pairs are explained by any predictors.
                let known = |mean: Vec<f64>| -> Vec<f64> {
                    if pairs < fewest_pairs(self.predictors()) { vec![f64::NAN; mean.len()] } else { mean }
                };
                scores[0].extend(known(mean(&rows, &vec![1; rows.len()])));
                if let Some(subjects) = subjects {
                    scores[1].extend(known(mean(&rows, &subjects[t])));
                }
            }
            scores
        };
        draw(&self.analysis, self.layout().len(), draws, by_subject, &scores)
    }

    /// Fails where there are too few pairs, or where a predictor is a linear combination of others, which it names.
    fn check(&self) -> Result<()> {
        for target in &self.analysis.targets {
            let [predictors, _] = self.values(target)?;
            let pairs = predictors[0].len();
            if pairs < fewest_pairs(predictors.len()) {
                return Err(advise(
                    format!("{} predictors explain any RDM of {pairs} pairs", predictors.len()),
                    "compare more stimuli, or leave predictors out",
                ));
            }
            let names: Vec<String> =
                collinear(&predictors).into_iter().map(|number| format!("`{}`", self.analysis.models[number].name())).collect();
            if !names.is_empty() {
                return Err(advise(
                    format!("each of {} is a linear combination of the others, so none has weights of its own", names.join(", ")),
                    "leave one of them out",
                ));
            }
        }
        Ok(())
    }
}

/// That a measure has no linear model.
pub(super) fn not_linear(comparison: Comparison) -> anyhow::Error {
    advise(
        format!("there is no regression by {}: it is of values or of ranks", comparison.title()),
        "compare by --compare pearson or --compare spearman",
    )
}

/// The mean of rows, each counted as often as `counts` say.
fn mean(rows: &[Vec<f64>], counts: &[u32]) -> Vec<f64> {
    let number = |number: usize| {
        let sum: f64 =
            rows.iter().zip(counts).filter(|(_, count)| **count > 0).map(|(row, &count)| row[number] * f64::from(count)).sum();
        sum / rows.len() as f64
    };
    (0..rows[0].len()).map(number).collect()
}
