//! Models and targets on the same stimuli: what is compared with what, on which pairs; the stimuli and pairs that have data, which
//! must suffice for the measure and vary.

use super::Comparison;
use super::ceiling::{Ceiling, ceiling};
use super::comparison::Scoring;
use super::controls::{Controls, fewest_pairs};
use super::form::{Pairs, Product};
use crate::error::advise;
use crate::parallel::parallel;
use crate::rdm::{aligned, missing, varies};
use anyhow::Result;
use std::ops::Range;

/// An RDM that is to explain others.
#[derive(Debug, Clone)]
pub struct ModelRdm {
    /// The run, as its folder is called.
    pub model: String,
    /// PyTorch's name of the layer; empty for a file.
    pub layer: String,
    /// Its pairs, NaN where there is no data.
    pub pairs: Vec<f64>,
}

/// What is to be explained: the RDM of behaviour or of a brain area, of one subject or of several.
#[derive(Debug, Clone)]
pub struct TargetRdm {
    /// The name in tables.
    pub name: String,
    /// `behavior`, `fmri`, `meg` or `eeg`.
    pub kind: &'static str,
    /// Of a movie, in ms (or as frames are counted): the targets of the same name and kind are its frames, in order.
    pub time: Option<f64>,
    /// The pairs of each subject, NaN where there is no data.
    pub subjects: Vec<Vec<f64>>,
}

/// An RDM that is held constant while models and targets are compared.
#[derive(Debug, Clone)]
pub struct ControlRdm {
    /// The name in tables.
    pub name: String,
    /// Its pairs, NaN where there is no data.
    pub pairs: Vec<f64>,
}

/// Models and targets of the same n stimuli in the same order. Test number `t · models + m` is of target t and model m.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The measure.
    pub comparison: Comparison,
    /// n.
    pub stimuli: usize,
    /// What is held constant; with any, scores are partial correlations given all of them.
    pub controls: Vec<ControlRdm>,
    /// What explains.
    pub models: Vec<ModelRdm>,
    /// What is explained.
    pub targets: Vec<TargetRdm>,
}

impl Analysis {
    /// The number of scores: targets × models.
    pub fn tests(&self) -> usize {
        self.targets.len() * self.models.len()
    }

    /// The frames of each movie, by their numbers among the targets.
    pub(super) fn movies(&self) -> Vec<Range<usize>> {
        let mut movies: Vec<Range<usize>> = Vec::new();
        for (number, target) in self.targets.iter().enumerate().filter(|(_, target)| target.time.is_some()) {
            let same = |movie: &Range<usize>| {
                let first = &self.targets[movie.start];
                movie.end == number && (&first.name, first.kind) == (&target.name, target.kind)
            };
            match movies.last_mut().filter(|movie| same(movie)) {
                Some(movie) => movie.end += 1,
                None => movies.push(number..number + 1),
            }
        }
        movies
    }

    /// The tests of each movie with each model, side by side in time.
    pub(super) fn chains(&self) -> Vec<Vec<usize>> {
        let models = self.models.len();
        let of_movie = |movie: Range<usize>| (0..models).map(move |model| movie.clone().map(|t| t * models + model).collect());
        self.movies().into_iter().flat_map(of_movie).collect()
    }

    /// The pairs on which a target is compared with every model: those of which all models, all controls and all its subjects
    /// have data, so that no model is judged on other pairs than the rest.
    pub fn kept(&self, target: &TargetRdm) -> Vec<u32> {
        self.kept_given(&self.controls, target)
    }

    fn kept_given(&self, controls: &[ControlRdm], target: &TargetRdm) -> Vec<u32> {
        let controls = controls.iter().map(|control| &control.pairs);
        let all = self.models.iter().map(|model| &model.pairs).chain(controls).chain(&target.subjects);
        let mut kept = vec![true; self.stimuli * (self.stimuli - 1) / 2];
        for pairs in all {
            kept.iter_mut().zip(pairs).for_each(|(kept, pair)| *kept &= pair.is_finite());
        }
        (0..).zip(kept).filter(|(_, kept)| *kept).map(|(pair, _)| pair).collect()
    }

    /// Whether no pair is missing anywhere.
    pub(super) fn is_complete(&self) -> bool {
        let complete = |pairs: &Vec<f64>| pairs.iter().all(|pair| pair.is_finite());
        self.models.iter().all(|model| complete(&model.pairs))
            && self.controls.iter().all(|control| complete(&control.pairs))
            && self.targets.iter().all(|target| target.subjects.iter().all(complete))
    }

    /// The score of every test: the mean over subjects of the comparison with each. That there is none is an error.
    pub fn scores(&self) -> Result<Vec<f64>> {
        let scores = means(&self.scores_by_subject()?);
        match scores.iter().position(|score| score.is_nan()) {
            Some(test) => Err(self.no_score(test)),
            None => Ok(scores),
        }
    }

    /// The scores of the same pairs with nothing held constant; `None` without controls.
    pub(super) fn uncontrolled(&self) -> Result<Option<Vec<f64>>> {
        if self.controls.is_empty() {
            return Ok(None);
        }
        let view = |target| View { kept: self.kept(target), controls: None, comparison: self.comparison };
        let by_subject = self.viewed(&self.targets.iter().map(view).collect::<Vec<_>>())?;
        Ok(Some(means(&by_subject)))
    }

    fn no_score(&self, test: usize) -> anyhow::Error {
        let (target, model) = (&self.targets[test / self.models.len()], &self.models[test % self.models.len()]);
        advise(
            format!("there is no {} of `{}` with `{}`", self.comparison.title(), model.name(), target.title()),
            "one of them does not vary in the way that this measure sees: take another with --compare, or leave it out",
        )
    }

    /// The score of every test in each subject.
    pub(super) fn scores_by_subject(&self) -> Result<Vec<Vec<f64>>> {
        self.viewed(&self.targets.iter().map(|target| self.view(target)).collect::<Result<Vec<_>>>()?)
    }

    /// The same, of what is looked at of each target.
    fn viewed(&self, views: &[View]) -> Result<Vec<Vec<f64>>> {
        parallel(self.tests(), &|test| {
            let (t, m) = (test / self.models.len(), test % self.models.len());
            let x = views[t].of(&self.models[m].pairs);
            let compare = |subject: &Vec<f64>| views[t].comparison.compare(self.stimuli, &x, &views[t].of(subject));
            Ok(self.targets[t].subjects.iter().map(compare).collect())
        })
    }

    /// What is looked at of RDMs that are compared with a target.
    pub(super) fn view(&self, target: &TargetRdm) -> Result<View> {
        self.view_given(&self.controls, target)
    }

    /// The same with other controls.
    pub(super) fn view_given(&self, controls: &[ControlRdm], target: &TargetRdm) -> Result<View> {
        let kept = self.kept_given(controls, target);
        if controls.is_empty() {
            return Ok(View { kept, controls: None, comparison: self.comparison });
        }
        let Some(product) = self.comparison.partial() else { return Err(not_partial(self.comparison)) };
        if kept.len() < fewest_pairs(controls.len()) {
            return Err(advise(
                format!("{} controls explain any RDM of {} pairs", controls.len(), kept.len()),
                "compare more stimuli, or leave controls out",
            ));
        }
        match Controls::new(product, controls.iter().map(|control| pick(&control.pairs, &kept))) {
            Ok(controls) => Ok(View { kept, controls: Some(controls), comparison: Comparison::Pearson }),
            Err(number) => Err(advise(
                format!("the control `{}` is a linear combination of the controls before it", controls[number].name),
                "it controls for nothing more: leave it out",
            )),
        }
    }

    /// The noise ceiling of every target; `None` with one subject, or if the subjects cancel out.
    pub(super) fn ceilings(&self) -> Result<Vec<Option<Ceiling>>> {
        parallel(self.targets.len(), &|t| {
            let view = self.view(&self.targets[t])?;
            let subjects: Vec<Vec<f64>> = self.targets[t].subjects.iter().map(|subject| view.of(subject)).collect();
            let ceiling = ceiling(view.comparison, self.stimuli, &subjects);
            // Subjects that are each other's opposites have a mean that does not vary.
            Ok(ceiling.filter(|ceiling| ceiling.lower.is_finite() && ceiling.upper.is_finite()))
        })
    }
}

/// What is looked at of RDMs that are compared with a target.
pub(super) struct View {
    /// The pairs that are compared.
    pub(super) kept: Vec<u32>,
    pub(super) controls: Option<Controls>,
    /// The measure of what [`View::of`] gives.
    pub(super) comparison: Comparison,
}

impl View {
    /// The pairs that are compared; with controls, what these leave of them.
    pub(super) fn of(&self, pairs: &[f64]) -> Vec<f64> {
        let kept = pick(pairs, &self.kept);
        match &self.controls {
            Some(controls) => controls.residual(&kept),
            None => kept,
        }
    }

    /// The pairs before controls take their part: ranked, if the measure is of ranks.
    pub(super) fn values(&self, pairs: &[f64]) -> Vec<f64> {
        let kept = pick(pairs, &self.kept);
        match &self.controls {
            Some(controls) => controls.values(&kept),
            None => kept,
        }
    }
}

/// That a measure has no partial form.
pub(super) fn not_partial(comparison: Comparison) -> anyhow::Error {
    advise(
        format!("there is no partial {}: controls need a correlation", comparison.title()),
        "compare by --compare pearson or --compare spearman",
    )
}

/// Of each test the mean over its subjects.
fn means(by_subject: &[Vec<f64>]) -> Vec<f64> {
    by_subject.iter().map(|scores| scores.iter().sum::<f64>() / scores.len() as f64).collect()
}

/// The numbers of `values` at these places.
pub(super) fn pick(values: &[f64], places: &[u32]) -> Vec<f64> {
    places.iter().map(|&place| values[place as usize]).collect()
}

/// A model or target that has no data at all of some stimuli.
#[derive(Debug, PartialEq)]
pub(super) struct Lacking {
    pub(super) name: String,
    pub(super) stimuli: Vec<usize>,
}

/// The fewest stimuli that can be compared.
const FEWEST: usize = 4;

impl Analysis {
    /// Without the stimuli of which a model, a control or a subject has no data at all, which are left out for all alike; and who
    /// lacks which.
    pub(super) fn with_data(self) -> (Analysis, Vec<Lacking>) {
        let n = self.stimuli;
        let of_models = self.models.iter().map(|model| (model.name(), &model.pairs));
        let of_controls = self.controls.iter().map(|control| (control.name.clone(), &control.pairs));
        let of_targets = self.targets.iter().flat_map(|t| t.subjects.iter().map(|pairs| (t.name.clone(), pairs)));
        let lacking = |(name, pairs): (String, &Vec<f64>)| Lacking { name, stimuli: missing(n, pairs).1 };
        let lacking: Vec<Lacking> =
            of_models.chain(of_controls).chain(of_targets).map(lacking).filter(|lacking| !lacking.stimuli.is_empty()).collect();
        if lacking.is_empty() {
            return (self, lacking);
        }
        let mut without = vec![false; n];
        lacking.iter().flat_map(|lacking| &lacking.stimuli).for_each(|&stimulus| without[stimulus] = true);
        let rows: Vec<usize> = (0..n).filter(|&row| !without[row]).collect();
        (self.of(&rows), lacking)
    }

    /// The same of some stimuli.
    fn of(self, rows: &[usize]) -> Analysis {
        let n = self.stimuli;
        let of = |pairs: Vec<f64>| aligned(n, &pairs, rows);
        let models = self.models.into_iter().map(|model| ModelRdm { pairs: of(model.pairs), ..model }).collect();
        let controls = self.controls.into_iter().map(|control| ControlRdm { pairs: of(control.pairs), ..control }).collect();
        let subjects = |target: TargetRdm| TargetRdm { subjects: target.subjects.into_iter().map(of).collect(), ..target };
        let targets = self.targets.into_iter().map(subjects).collect();
        Analysis { comparison: self.comparison, stimuli: rows.len(), controls, models, targets }
    }

    /// Without the models that the controls explain entirely over the pairs that are compared with some target; and their names.
    pub(super) fn with_models_left(mut self) -> Result<(Analysis, Vec<String>)> {
        if self.controls.is_empty() {
            return Ok((self, Vec::new()));
        }
        let views: Vec<View> = self.targets.iter().map(|target| self.view(target)).collect::<Result<_>>()?;
        let is_explained = |model: &ModelRdm| views.iter().any(|view| view.of(&model.pairs)[0].is_nan());
        let (explained, left): (Vec<_>, Vec<_>) = self.models.into_iter().partition(is_explained);
        let explained = explained.iter().map(ModelRdm::name).collect();
        if left.is_empty() {
            return Err(advise("the controls explain every model entirely", "compare models that are not among the controls"));
        }
        self.models = left;
        Ok((self, explained))
    }

    /// Fails if the stimuli are too few or too many, if pairs are missing that the measure (or the test, if it is to be
    /// `permuted`) cannot do without, or if a model or subject does not vary over the pairs that are compared.
    pub(super) fn check(&self, permuted: bool) -> Result<()> {
        if self.stimuli < FEWEST {
            return Err(advise(
                format!("only {} stimuli have data in all models and targets", self.stimuli),
                "leave out the layer or the subject that has none for most: name the others",
            ));
        }
        if u32::try_from(self.stimuli * (self.stimuli - 1) / 2).is_err() {
            return Err(advise(
                format!("{} stimuli have more pairs than can be compared, which are 2³²", self.stimuli),
                "compare a part of the stimuli, at most 92,682",
            ));
        }
        self.check_missing(permuted)?;
        self.targets.iter().try_for_each(|target| self.check_variation(target))
    }

    fn check_missing(&self, permuted: bool) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        let title = self.comparison.title();
        let what = match self.comparison.scoring() {
            Scoring::Product(Product::Kernels(_)) => title.to_owned(),
            // Its mean over all permutations is not 0, and another for other pairs.
            Scoring::Product(Product::Pairs(Pairs::Values { centred: false })) if permuted => {
                format!("the permutation test of the {title}")
            }
            Scoring::Product(Product::Pairs(Pairs::Values { .. } | Pairs::Ranks { .. })) | Scoring::Tau(_) => return Ok(()),
        };
        Err(advise(format!("{what} needs every pair, and some are missing (NaN)"), "compare by pearson, spearman or rho-a"))
    }

    fn check_variation(&self, target: &TargetRdm) -> Result<()> {
        let kept = self.kept(target);
        if kept.is_empty() {
            return Err(advise(
                format!("no pair of stimuli has data in `{}` and in all models", target.title()),
                "leave out the layer or the subject that lacks most pairs: name the others",
            ));
        }
        let subject = |number: usize| match target.subjects.len() {
            1 => format!("`{}`", target.title()),
            _ => format!("subject {number} of `{}`, counting from 0,", target.title()),
        };
        let models = self.models.iter().map(|model| (format!("`{}`", model.name()), &model.pairs));
        let controls = self.controls.iter().map(|control| (format!("the control `{}`", control.name), &control.pairs));
        let subjects = target.subjects.iter().enumerate().map(|(number, pairs)| (subject(number), pairs));
        match models.chain(controls).chain(subjects).find(|(_, pairs)| !varies(&pick(pairs, &kept))) {
            Some((name, _)) => Err(advise(
                format!("{name} does not vary over the {} pairs that are compared, so nothing correlates with it", kept.len()),
                "leave it out, or compare more stimuli",
            )),
            None if self.controls.is_empty() => Ok(()),
            None => {
                let view = self.view(target)?;
                match target.subjects.iter().position(|pairs| view.of(pairs)[0].is_nan()) {
                    Some(number) => Err(advise(
                        format!("the controls explain {} entirely, so nothing is left to compare", subject(number)),
                        "leave it out, or the control that is the same",
                    )),
                    None => Ok(()),
                }
            }
        }
    }
}

impl TargetRdm {
    /// What messages call it.
    pub fn title(&self) -> String {
        self.time.map_or_else(|| self.name.clone(), |time| format!("{} at time {time}", self.name))
    }
}

impl ModelRdm {
    pub(super) fn name(&self) -> String {
        model_name(&self.model, &self.layer)
    }
}

/// A model, and its layer if it has one.
pub fn model_name(model: &str, layer: &str) -> String {
    format!("{model} {layer}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysis(comparison: Comparison, model: Vec<f64>, subjects: Vec<Vec<f64>>) -> Analysis {
        let models = vec![ModelRdm { model: "m".into(), layer: "l".into(), pairs: model }];
        Analysis {
            comparison,
            stimuli: 5,
            controls: Vec::new(),
            models,
            targets: vec![TargetRdm { name: "t".into(), kind: "fmri", time: None, subjects }],
        }
    }

    fn some() -> Vec<f64> {
        (0..10).map(|pair| f64::from(pair * pair % 7)).collect()
    }

    #[test]
    fn stimuli_without_data_are_left_out_for_all() {
        let mut model = some();
        // The pairs of stimulus 1.
        [0, 4, 5, 6].into_iter().for_each(|pair| model[pair] = f64::NAN);
        let (left, lacking) = analysis(Comparison::Pearson, model, vec![some()]).with_data();
        assert_eq!(lacking, [Lacking { name: "m l".into(), stimuli: vec![1] }]);
        assert_eq!((left.stimuli, &left.models[0].pairs), (4, &[1, 2, 3, 7, 8, 9].map(|pair| some()[pair]).to_vec()));
        assert_eq!(left.models[0].pairs, left.targets[0].subjects[0]);
        left.check(false).unwrap();
    }

    #[test]
    fn what_does_not_vary_is_named() {
        let problem = |analysis: Analysis| analysis.check(false).unwrap_err().to_string();
        let flat = || vec![0.1 + 0.2; 10];
        assert!(
            problem(analysis(Comparison::Pearson, flat(), vec![some()])).starts_with("`m l` does not vary over the 10 pairs")
        );
        let subjects = vec![some(), flat()];
        assert!(problem(analysis(Comparison::RhoA, some(), subjects)).starts_with("subject 1 of `t`, counting from 0, does not"));
    }

    #[test]
    fn a_score_that_is_none_is_an_error() {
        let error = analysis(Comparison::Cosine, vec![0.0; 10], vec![some()]).scores().unwrap_err();
        assert_eq!(error.to_string(), "there is no cosine of `m l` with `t`");
    }
}
