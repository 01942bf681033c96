//! The numbers of a regression, as files for people and programs.

use super::folds::Predicted;
use super::statistics::Layout;
use super::{Fit, Regression};
use crate::atomic_file;
use crate::error::advise;
use crate::plain_file;
use crate::rdm::outputs;
use crate::rsa::bootstrap::Bootstrap;
use crate::rsa::ceiling::Ceiling;
use crate::rsa::permutation::Permuted;
use crate::rsa::table::{csv_of_objects, write_if_any};
use crate::rsa::{Over, Request, benjamini_hochberg, holm};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A target's regression. What was not asked for is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRow {
    /// The name of the behavioural or fMRI RDM.
    pub target: String,
    /// `behavior` or `fmri`.
    pub kind: String,
    /// `pearson`: of values; `spearman`: of ranks.
    pub compare: String,
    /// How weights were found.
    pub fit: Fit,
    /// The penalty λ of ridge.
    pub penalty: Option<f64>,
    /// How many stimuli all RDMs have.
    pub stimuli: usize,
    /// How many pairs of stimuli were compared.
    pub pairs: usize,
    /// How many subjects the target has.
    pub subjects: usize,
    /// R², the mean over subjects.
    pub explained: f64,
    /// Its 95 % interval.
    pub explained_low: Option<f64>,
    /// The upper end.
    pub explained_high: Option<f64>,
    /// Of the permutation test of R², one-sided.
    pub explained_p: Option<f64>,
    /// Corrected by the maximum over all targets.
    pub explained_p_family: Option<f64>,
    /// What was left out of the fit to be predicted.
    pub cross_validated: Option<Over>,
    /// R² of what was left out; also empty if over some fold something does not vary.
    pub explained_predicted: Option<f64>,
    /// Pearson's r of what was left out with its prediction, the mean over folds.
    pub correlation_predicted: Option<f64>,
    /// The lower bound of what the best model could correlate with the target.
    pub ceiling_lower: Option<f64>,
    /// The upper bound.
    pub ceiling_upper: Option<f64>,
    /// What was drawn for the intervals.
    pub over: Option<Over>,
    /// How often.
    pub draws: Option<usize>,
    /// How many draws have no fit, for something does not vary in them or predictors are not apart.
    pub draws_left_out: Option<usize>,
    /// Each predictor.
    pub predictors: Vec<Predictor>,
    /// The parts of R²; empty with more than six predictors.
    pub parts: Vec<Part>,
}

/// A predictor of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    /// Its name.
    pub predictor: String,
    /// The weight, the mean over subjects: by how much the target's dissimilarity grows with the predictor's.
    pub weight: f64,
    /// Its 95 % interval.
    pub weight_low: Option<f64>,
    /// The upper end.
    pub weight_high: Option<f64>,
    /// The same of RDMs that are divided by their standard deviations.
    pub standardised: f64,
    /// Its 95 % interval.
    pub standardised_low: Option<f64>,
    /// The upper end.
    pub standardised_high: Option<f64>,
    /// By how much R² is less without it.
    pub unique: f64,
    /// Its 95 % interval.
    pub unique_low: Option<f64>,
    /// The upper end.
    pub unique_high: Option<f64>,
    /// The same of what was left out of the fit.
    pub unique_predicted: Option<f64>,
    /// The partial correlation with the target given the other predictors; none if these explain the target entirely.
    pub partial: Option<f64>,
    /// Of its permutation test, two-sided.
    pub p: Option<f64>,
    /// Corrected by the maximum over all predictors and targets.
    pub p_family: Option<f64>,
    /// Corrected by Holm.
    pub p_holm: Option<f64>,
    /// The false discovery rate of Benjamini and Hochberg.
    pub q: Option<f64>,
    /// By how much the other predictors inflate the variance of its weight.
    pub inflation: f64,
}

/// A part of the variance of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The predictors that share it, and no other.
    pub predictors: Vec<String>,
    /// Its share of the variance; negative where predictors suppress each other.
    pub variance: f64,
    /// Its 95 % interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

impl Part {
    /// With the names of the predictors in one cell.
    fn line(&self) -> Value {
        let Part { variance, low, high, .. } = *self;
        serde_json::json!({ "predictors": self.predictors.join(" + "), "variance": variance, "low": low, "high": high })
    }
}

/// What was computed of a regression.
pub(super) struct Numbers {
    /// Of every target in every subject.
    pub(super) by_subject: Vec<Vec<f64>>,
    pub(super) inflations: Vec<Vec<f64>>,
    pub(super) penalties: Vec<Option<f64>>,
    pub(super) predicted: Option<Vec<Predicted>>,
    pub(super) ceilings: Vec<Option<Ceiling>>,
    /// Of the predictors, and of R².
    pub(super) tested: Option<[Permuted; 2]>,
    pub(super) bootstrap: Option<Bootstrap>,
}

/// Not NaN, which is no test.
fn known(p: Option<f64>) -> Option<f64> {
    p.filter(|p| !p.is_nan())
}

/// All that was computed.
pub struct Regressed {
    /// What was asked for.
    pub request: Request,
    /// Predictors and targets.
    pub regression: Regression,
    /// The result of each target.
    pub targets: Vec<TargetRow>,
    /// The permutation test of the predictors, if there was one.
    pub permuted: Option<Permuted>,
    /// Of the stimuli of the analysis, if they have names.
    pub ids: Option<Vec<String>>,
    /// Whether an RDM without IDs was taken to be in the order of the others.
    pub assumed: bool,
    /// Of what there are too few, in sentences.
    pub few: Vec<String>,
    /// Which RDMs have negative pairs, in sentences.
    pub negative: Vec<String>,
}

impl Regressed {
    /// The files that [`Regressed::write`] writes.
    pub(super) fn files(prefix: &Path) -> [PathBuf; 3] {
        outputs::with_endings(prefix, ["regression.csv", "regression.json", "regression.variance.csv"])
    }

    /// Writes `<prefix>.regression.csv` (a row for each target and predictor), `<prefix>.regression.json` (all of
    /// it) and, of predictors that are not too many, `<prefix>.regression.variance.csv` (a row for each target and part of its variance); returns their paths.
    pub fn write(&self) -> Result<Vec<PathBuf>> {
        let paths = Self::files(&self.request.out);
        outputs::make_folder(&self.request.out)?;
        let predictors = self.lines(|of| of.predictors.iter().map(|one| Ok(serde_json::to_value(one)?)).collect())?;
        let parts = self.lines(|of| Ok(of.parts.iter().map(Part::line).collect()))?;
        atomic_file::write(&paths[0], &csv_of_objects(&predictors)?)?;
        atomic_file::write(&paths[1], self.json()?.as_bytes())?;
        let written = if write_if_any(&paths[2], &parts)? { 3 } else { 2 };
        Ok(paths.into_iter().take(written).collect())
    }

    /// For each target and each of its `parts` an object, the target's name before the part and the rest of its numbers behind.
    fn lines(&self, parts: impl Fn(&TargetRow) -> Result<Vec<Value>>) -> Result<Vec<Value>> {
        let mut lines = Vec::new();
        for of in &self.targets {
            let whole = TargetRow { predictors: Vec::new(), parts: Vec::new(), ..of.clone() };
            for part in parts(of)? {
                let mut line = serde_json::json!({ "target": of.target, "kind": of.kind });
                // A part has its own `predictors`, in one cell.
                let numbers = serde_json::to_value(&whole)?;
                let numbers = numbers.as_object().into_iter().flatten().filter(|(_, value)| !value.is_array());
                for (name, value) in part.as_object().into_iter().flatten().chain(numbers) {
                    line[name] = value.clone();
                }
                lines.push(line);
            }
        }
        Ok(lines)
    }

    /// The results of all targets as a JSON array.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.targets)? + "\n")
    }
}

/// Reads the regressions in the `.json` file at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<TargetRow>> {
    let hint = "name the .regression.json that `thingsvision rsa --regress` writes";
    let text =
        plain_file::read_to_string(path).map_err(|error| advise(format!("cannot read `{}`: {error}", path.display()), hint))?;
    let rows: Vec<TargetRow> =
        serde_json::from_str(&text).map_err(|error| advise(format!("`{}` is no regression: {error}", path.display()), hint))?;
    ensure!(!rows.is_empty(), "`{}` holds no regressions", path.display());
    Ok(rows)
}

impl Numbers {
    /// The result of each target.
    pub(super) fn rows(&self, request: &Request, regression: &Regression) -> Vec<TargetRow> {
        let corrected = self.tested.as_ref().map(|[tested, _]| [holm(&tested.p), benjamini_hochberg(&tested.p)]);
        (0..regression.analysis.targets.len()).map(|t| self.row(request, regression, corrected.as_ref(), t)).collect()
    }

    fn row(&self, request: &Request, regression: &Regression, corrected: Option<&[Vec<f64>; 2]>, t: usize) -> TargetRow {
        let (analysis, layout) = (&regression.analysis, regression.layout());
        let target = &analysis.targets[t];
        let (all, ceiling) = (self.tested.as_ref().map(|[_, all]| all), self.ceilings[t]);
        let (explained, [explained_low, explained_high]) = self.number(layout, t, Layout::EXPLAINED);
        let test = t * layout.len();
        let predicted = self.predicted.as_ref().map(|of| &of[t]).filter(|of| of.is_number());
        TargetRow {
            target: target.title(),
            kind: target.kind.to_owned(),
            compare: analysis.comparison.name().to_owned(),
            fit: regression.fit,
            penalty: self.penalties[t],
            stimuli: analysis.stimuli,
            pairs: analysis.kept(target).len(),
            subjects: target.subjects.len(),
            explained,
            explained_low,
            explained_high,
            explained_p: all.map(|test| test.p[t]),
            explained_p_family: all.map(|test| test.family[t]),
            cross_validated: request.regression.cross_validate,
            explained_predicted: predicted.map(|predicted| predicted.explained),
            correlation_predicted: predicted.map(|predicted| predicted.correlation),
            ceiling_lower: ceiling.map(|ceiling| ceiling.lower),
            ceiling_upper: ceiling.map(|ceiling| ceiling.upper),
            over: self.bootstrap.as_ref().map(|bootstrap| bootstrap.over_of(test)),
            draws: self.bootstrap.as_ref().map(|bootstrap| bootstrap.draws),
            draws_left_out: self.bootstrap.as_ref().map(|bootstrap| bootstrap.left_out(&[test])),
            predictors: (0..layout.predictors).map(|own| self.predictor(regression, predicted, corrected, [t, own])).collect(),
            parts: self.parts(regression, t),
        }
    }

    /// The mean over subjects of a number of a target, and its interval.
    fn number(&self, layout: Layout, t: usize, number: usize) -> (f64, [Option<f64>; 2]) {
        let test = t * layout.len() + number;
        let subjects = &self.by_subject[test];
        let mean = subjects.iter().sum::<f64>() / subjects.len() as f64;
        let interval = self.bootstrap.as_ref().and_then(|bootstrap| bootstrap.interval(test, mean));
        (mean, [interval.map(|[low, _]| low), interval.map(|[_, high]| high)])
    }

    fn predictor(
        &self,
        regression: &Regression,
        predicted: Option<&Predicted>,
        corrected: Option<&[Vec<f64>; 2]>,
        [t, own]: [usize; 2],
    ) -> Predictor {
        let layout = regression.layout();
        let test = t * layout.predictors + own;
        let tested = self.tested.as_ref().map(|[predictors, _]| predictors);
        let (weight, [weight_low, weight_high]) = self.number(layout, t, layout.weight(own));
        let (standardised, [standardised_low, standardised_high]) = self.number(layout, t, layout.standardised(own));
        let (unique, [unique_low, unique_high]) = self.number(layout, t, layout.unique(own));
        Predictor {
            predictor: regression.analysis.models[own].name(),
            weight,
            weight_low,
            weight_high,
            standardised,
            standardised_low,
            standardised_high,
            unique,
            unique_low,
            unique_high,
            unique_predicted: predicted.map(|of| of.unique[own]),
            partial: Some(self.number(layout, t, layout.partial(own)).0).filter(|partial| !partial.is_nan()),
            p: known(tested.map(|tested| tested.p[test])),
            p_family: known(tested.map(|tested| tested.family[test])),
            p_holm: known(corrected.map(|[holm, _]| holm[test])),
            q: known(corrected.map(|[_, q]| q[test])),
            inflation: self.inflations[t][own],
        }
    }

    fn parts(&self, regression: &Regression, t: usize) -> Vec<Part> {
        let layout = regression.layout();
        let part = |(number, subset): (usize, Vec<usize>)| {
            let (variance, [low, high]) = self.number(layout, t, layout.part(number));
            let names = subset.iter().map(|&own| regression.analysis.models[own].name());
            Part { predictors: names.collect(), variance, low, high }
        };
        layout.subsets().into_iter().enumerate().map(part).collect()
    }
}
