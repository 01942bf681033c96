//! The scores of all layers against all targets, as files for people and programs.

use super::course::{Course, TimeCluster, courses};
use super::triplets;
use super::{Analysis, Bootstrap, Ceiling, Over, Permuted, benjamini_hochberg, holm};
use crate::atomic_file;
use crate::error::advise;
use crate::npy;
use crate::plain_file;
use crate::rdm::outputs;
use crate::text::guard;
use anyhow::{Result, ensure};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A layer's score against a target. What was not asked for is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The name of the behavioural or fMRI RDM.
    pub target: String,
    /// `behavior`, `fmri`, `meg` or `eeg`.
    pub kind: String,
    /// The run, as its folder is called.
    pub model: String,
    /// PyTorch's name of the layer.
    pub layer: String,
    /// The comparison.
    pub compare: String,
    /// How many stimuli both RDMs have.
    pub stimuli: usize,
    /// How many pairs of stimuli were compared.
    pub pairs: usize,
    /// How many subjects the target has.
    pub subjects: usize,
    /// The result, the mean over subjects.
    pub score: f64,
    /// The 95 % interval; also empty if too many draws were left out.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// What was drawn for it: `stimuli`, `subjects` or `both`.
    pub over: Option<Over>,
    /// How often.
    pub draws: Option<usize>,
    /// How many bootstrap draws have no score, for the model or the target does not vary in them.
    pub draws_left_out: Option<usize>,
    /// Of the permutation test, two-sided.
    pub p: Option<f64>,
    /// Corrected by the maximum over all tests, each in units of its spread.
    pub p_family: Option<f64>,
    /// Corrected by Holm.
    pub p_holm: Option<f64>,
    /// The false discovery rate of Benjamini and Hochberg.
    pub q: Option<f64>,
    /// The noise ceiling of the target.
    pub ceiling_lower: Option<f64>,
    /// Its upper bound.
    pub ceiling_upper: Option<f64>,
    /// What was held constant, names with ` + ` between: the score is the partial correlation given these.
    pub controls: Option<String>,
    /// The score with nothing held constant, if something was.
    pub uncontrolled: Option<f64>,
    /// Of a movie, in ms, or as its frames are counted.
    pub time: Option<f64>,
    /// Of the cluster over time that it belongs to, if it belongs to one.
    pub p_cluster: Option<f64>,
}

impl Score {
    /// Whether its interval reaches beyond ±1, where no score of any measure lies: of few subjects or stimuli.
    pub fn is_beyond(&self) -> bool {
        self.low.is_some_and(|low| low < -1.0) || self.high.is_some_and(|high| high > 1.0)
    }
}

/// What was computed of an analysis.
pub(super) struct Computed<'a> {
    pub(super) scores: &'a [f64],
    /// With nothing held constant, if something was.
    pub(super) uncontrolled: Option<&'a [f64]>,
    pub(super) ceilings: &'a [Option<Ceiling>],
    pub(super) permuted: Option<&'a Permuted>,
    pub(super) bootstrap: Option<&'a Bootstrap>,
}

/// Two models, compared on one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The target.
    pub target: String,
    /// The one model, and its layer.
    pub model: String,
    /// The layer of the one.
    pub layer: String,
    /// The other model.
    pub other_model: String,
    /// The layer of the other.
    pub other_layer: String,
    /// The score of the one less that of the other.
    pub difference: f64,
    /// Two-sided, of no difference; `None` if the draws do not tell.
    pub p: Option<f64>,
    /// Corrected for the number of differences of all targets.
    pub p_holm: Option<f64>,
}

/// All pairs of models on every target, whose scores are `scores`.
pub(super) fn differences(analysis: &Analysis, scores: &[f64], bootstrap: &Bootstrap) -> Vec<Difference> {
    let models = analysis.models.len();
    let mut differences = Vec::new();
    for (t, target) in analysis.targets.iter().enumerate() {
        for (a, one) in analysis.models.iter().enumerate() {
            for (b, other) in analysis.models.iter().enumerate().skip(a + 1) {
                let difference = scores[t * models + a] - scores[t * models + b];
                differences.push(Difference {
                    target: target.title(),
                    model: one.model.clone(),
                    layer: one.layer.clone(),
                    other_model: other.model.clone(),
                    other_layer: other.layer.clone(),
                    difference,
                    p: bootstrap.p_of_difference(t * models + a, t * models + b, difference),
                    p_holm: None,
                });
            }
        }
    }
    let corrected = holm(&differences.iter().map(|difference| difference.p.unwrap_or(f64::NAN)).collect::<Vec<_>>());
    differences.iter_mut().zip(corrected).for_each(|(difference, p)| difference.p_holm = difference.p.map(|_| p));
    differences
}

/// All scores, target by target, each over the same layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// How many targets there are.
    pub targets: usize,
    /// `targets × layers` scores.
    pub scores: Vec<Score>,
    /// Comparisons of models with each other, if they were wanted.
    pub differences: Vec<Difference>,
    /// Scores over the time of movies, if there are any.
    pub courses: Vec<Course>,
}

impl Table {
    /// Puts together what was computed of `analysis`.
    pub(super) fn new(analysis: &Analysis, computed: &Computed, differences: Vec<Difference>) -> Table {
        let Computed { scores, uncontrolled, ceilings, permuted, bootstrap } = *computed;
        let names: Vec<&str> = analysis.controls.iter().map(|control| control.name.as_str()).collect();
        let controls = (!names.is_empty()).then(|| names.join(" + "));
        let corrected = permuted.map(|permuted| (permuted, holm(&permuted.p), benjamini_hochberg(&permuted.p)));
        let of_clusters = permuted.map(|permuted| p_of_clusters(analysis, permuted)).unwrap_or_default();
        let mut rows = Vec::new();
        for (t, target) in analysis.targets.iter().enumerate() {
            let pairs = analysis.kept(target).len();
            for (m, model) in analysis.models.iter().enumerate() {
                let test = t * analysis.models.len() + m;
                let interval = bootstrap.and_then(|bootstrap| bootstrap.interval(test, scores[test]));
                rows.push(Score {
                    target: target.name.clone(),
                    kind: target.kind.to_owned(),
                    time: target.time,
                    model: model.model.clone(),
                    layer: model.layer.clone(),
                    compare: analysis.comparison.name().to_owned(),
                    controls: controls.clone(),
                    uncontrolled: uncontrolled.map(|scores| scores[test]),
                    stimuli: analysis.stimuli,
                    pairs,
                    subjects: target.subjects.len(),
                    score: scores[test],
                    low: interval.map(|[low, _]| low),
                    high: interval.map(|[_, high]| high),
                    over: bootstrap.map(|bootstrap| bootstrap.over_of(test)),
                    draws: bootstrap.map(|bootstrap| bootstrap.draws),
                    draws_left_out: bootstrap.map(|bootstrap| bootstrap.left_out(&[test])),
                    p: corrected.as_ref().map(|(permuted, ..)| permuted.p[test]),
                    p_family: corrected.as_ref().map(|(permuted, ..)| permuted.family[test]),
                    p_cluster: of_clusters.get(test).copied().flatten(),
                    p_holm: corrected.as_ref().map(|(_, holm, _)| holm[test]),
                    q: corrected.as_ref().map(|(.., q)| q[test]),
                    ceiling_lower: ceilings[t].map(|ceiling| ceiling.lower),
                    ceiling_upper: ceilings[t].map(|ceiling| ceiling.upper),
                });
            }
        }
        let courses = courses(analysis, scores, permuted, bootstrap);
        Table { targets: analysis.targets.len(), scores: rows, differences, courses }
    }

    /// The files that [`Table::write`] may write: `.npy`, `.csv`, `.json`; `.differences.csv` if models were compared with each other;
    /// of movies `.times.csv` and `.clusters.csv`.
    pub(crate) fn files(prefix: &Path) -> Vec<PathBuf> {
        outputs::with_endings(prefix, ["npy", "csv", "json", "differences.csv", "times.csv", "clusters.csv"]).to_vec()
    }

    /// Writes `<prefix>.npy` (`[targets, layers]`), `<prefix>.csv`, `<prefix>.json` and, where there are some, differences, peaks and
    /// onsets, and clusters; returns their paths.
    pub(super) fn write(&self, prefix: &Path) -> Result<Vec<PathBuf>> {
        let paths = Self::files(prefix);
        outputs::make_folder(prefix)?;
        let values: Vec<f64> = self.scores.iter().map(|score| score.score).collect();
        let layers = values.len() / self.targets;
        npy::write(&paths[0], &Array2::from_shape_vec((self.targets, layers), values)?.into_dyn())?;
        atomic_file::write(&paths[1], &csv(&self.scores)?)?;
        atomic_file::write(&paths[2], self.json()?.as_bytes())?;
        let mut written = paths[..3].to_vec();
        let further = [objects(&self.differences)?, self.course_lines()?, self.cluster_lines()];
        for (path, lines) in paths[3..].iter().zip(further) {
            if write_if_any(path, &lines)? {
                written.push(path.clone());
            }
        }
        Ok(written)
    }

    /// Of each course all but its clusters.
    fn course_lines(&self) -> Result<Vec<Value>> {
        objects(&self.courses.iter().map(|course| Course { clusters: Vec::new(), ..course.clone() }).collect::<Vec<_>>())
    }

    /// Each cluster of each course.
    fn cluster_lines(&self) -> Vec<Value> {
        let lines = self.courses.iter().flat_map(|Course { target, kind, model, layer, clusters, .. }| {
            clusters.iter().map(move |TimeCluster { from, to, mass, p }| {
                json!({ "target": target, "kind": kind, "model": model, "layer": layer, "from": from, "to": to, "mass": mass, "p": p })
            })
        });
        lines.collect()
    }

    /// Reads the scores in the `.json` file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Vec<Score>> {
        let text = plain_file::read_to_string(path).map_err(|error| {
            advise(format!("cannot read `{}`: {error}", path.display()), "`thingsvision rsa` writes rsa.json; name that file")
        })?;
        if let Some(scores) = triplets::read(&text) {
            return Ok(scores);
        }
        let scores: Vec<Score> = serde_json::from_str(&text).map_err(|error| {
            advise(
                format!("`{}` is no table of scores: {error}", path.display()),
                "name the .json that `thingsvision rsa` writes",
            )
        })?;
        ensure!(!scores.is_empty(), "`{}` holds no scores", path.display());
        Ok(scores)
    }

    /// The scores as a JSON array of objects.
    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.scores)? + "\n")
    }

    /// The scores as in the file; beside differences and courses, which that leaves to files of their own, an object of all.
    pub fn json_of_all(&self) -> Result<String> {
        if self.differences.is_empty() && self.courses.is_empty() {
            return self.json();
        }
        let mut all = json!({ "scores": self.scores });
        if !self.differences.is_empty() {
            all["differences"] = serde_json::to_value(&self.differences)?;
        }
        if !self.courses.is_empty() {
            all["courses"] = serde_json::to_value(&self.courses)?;
        }
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }
}

/// Of each test the p of the cluster over time that it belongs to.
fn p_of_clusters(analysis: &Analysis, permuted: &Permuted) -> Vec<Option<f64>> {
    let chains = analysis.chains();
    let mut all = vec![None; analysis.tests()];
    for (cluster, p) in &permuted.clusters {
        chains[cluster.chain][cluster.places.clone()].iter().for_each(|&test| all[test] = Some(*p));
    }
    all
}

/// The network of a run and, if its weights are random, their seed: `resnet50.random-3` is `resnet50` with seed 3.
pub(crate) fn of_run(run: &str) -> (&str, Option<u64>) {
    let random = run.rsplit_once(".random-").and_then(|(model, seed)| Some((model, seed.parse().ok()?)));
    random.map_or((run, None), |(model, seed)| (model, Some(seed)))
}

/// The mean of scores, such as those of several seeds, and of more than one the standard deviation (of n − 1).
pub(crate) fn mean_and_deviation(scores: &[&Score]) -> (f64, Option<f64>) {
    let count = scores.len() as f64;
    let mean = scores.iter().map(|score| score.score).sum::<f64>() / count;
    let squares: f64 = scores.iter().map(|score| (score.score - mean).powi(2)).sum();
    (mean, (scores.len() > 1).then(|| (squares / (count - 1.0)).sqrt()))
}

/// A CSV of rows, as programs of tables read it: no cell is a formula.
pub(crate) fn csv(rows: &[impl Serialize]) -> Result<Vec<u8>> {
    csv_of_objects(&objects(rows)?)
}

fn objects(rows: &[impl Serialize]) -> Result<Vec<Value>> {
    rows.iter().map(|row| Ok(serde_json::to_value(row)?)).collect()
}

/// Writes `rows` to a `.csv` and a `.json`.
pub(crate) fn write_rows<T: Serialize>([as_csv, as_json]: &[PathBuf; 2], rows: &[T]) -> Result<()> {
    atomic_file::write(as_csv, &csv(rows)?)?;
    atomic_file::write(as_json, json(rows)?.as_bytes())
}

/// `rows` as a JSON array of objects.
pub(crate) fn json<T: Serialize>(rows: &[T]) -> Result<String> {
    Ok(serde_json::to_string_pretty(rows)? + "\n")
}

/// Writes a table, or, if there is nothing in it, removes the one that is there, which is of other numbers; whether it was written.
pub(super) fn write_if_any(path: &Path, lines: &[Value]) -> Result<bool> {
    if lines.is_empty() {
        std::fs::remove_file(path).ok();
    } else {
        atomic_file::write(path, &csv_of_objects(lines)?)?;
    }
    Ok(!lines.is_empty())
}

/// A CSV of objects that all have the same names, which are the header; lists have no place in it.
pub(crate) fn csv_of_objects(objects: &[Value]) -> Result<Vec<u8>> {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => guard(text).into_owned(),
        other => other.to_string(),
    };
    let mut csv = csv::Writer::from_writer(Vec::new());
    for (number, object) in objects.iter().enumerate() {
        let cells = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_array());
        let (names, cells): (Vec<&String>, Vec<String>) = cells.map(|(name, value)| (name, cell(value))).unzip();
        if number == 0 {
            csv.write_record(names)?;
        }
        csv.write_record(cells)?;
    }
    Ok(csv.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::of_run;

    #[test]
    fn the_name_of_a_run_says_which_weights_it_has() {
        assert_eq!(of_run("resnet50.random-3"), ("resnet50", Some(3)));
        assert_eq!(of_run("resnet50.imagenet1k_v2.random-12"), ("resnet50.imagenet1k_v2", Some(12)));
        assert_eq!(of_run("resnet50.random-walk"), ("resnet50.random-walk", None));
    }
}
