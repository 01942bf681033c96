//! The files of the scores of each target, and the record that says they are there and how they were made.

use super::fit::Chosen;
use super::matched::Matched;
use super::model::{Fit, Model};
use super::predictions::Predictions;
use super::report::{Row, tables};
use super::request::{Method, Request};
use super::responses::Responses;
use crate::error::advise;
use crate::rdm::{ids, outputs};
use crate::rsa::{Layer, benjamini_hochberg};
use crate::{atomic_file, npy, plain_file};
use anyhow::{Context, Result};
use ndarray::{Array2, ArrayD, IxDyn};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A model and the responses that it is fitted to: where its files lie.
pub(super) struct Unit {
    /// Of all files the beginning.
    prefix: PathBuf,
    record: PathBuf,
    target: String,
    model: String,
    layer: String,
    /// The files of the responses and of the features.
    read: Vec<PathBuf>,
}

/// What is written last.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    made_of: MadeOf,
    files: Vec<String>,
    notes: Vec<String>,
    row: Row,
}

/// What scores follow from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct MadeOf {
    version: String,
    /// Without where files lie and how much is done at once.
    request: Request,
    /// The size of each file that is read, and when it was changed, in nanoseconds since 1970.
    files: Vec<(String, u64, u64)>,
}

/// What files of a fit are called, behind the layer.
const NAMES: [&str; 21] = [
    "r",
    "r2",
    "r_low",
    "r_high",
    "p",
    "p_family",
    "q",
    "ceiling",
    "r_normalised",
    "r2_normalised",
    "penalty",
    "intercepts",
    "weights",
    "predicted",
    "unique_1",
    "unique_2",
    "unique_3",
    "shared_1_2",
    "shared_1_3",
    "shared_2_3",
    "shared_1_2_3",
];

impl Unit {
    /// Of all responses each model; fails if two would have the same files.
    pub(super) fn all(request: &Request, responses: &[Responses], models: &[Model], layers: &[Layer]) -> Result<Vec<Unit>> {
        let of = |responses: &Responses| {
            let folder = request.out.join(plain(&responses.name));
            models
                .iter()
                .map(|model| {
                    let prefix = match model.layer.is_empty() {
                        true => folder.join(plain(&model.model)),
                        false => folder.join(plain(&model.model)).join(plain(&model.layer)),
                    };
                    let record = atomic_file::with_ending(&prefix, ".json");
                    let (target, layer) = (responses.name.clone(), model.layer.clone());
                    let of_spaces = model.spaces.iter().map(|&space| layers[space].path.clone());
                    let read = [responses.path.clone()].into_iter().chain(of_spaces).collect();
                    Unit { prefix, record, target, model: model.model.clone(), layer, read }
                })
                .collect::<Vec<_>>()
        };
        let all: Vec<Unit> = responses.iter().flat_map(of).collect();
        let taken = tables(&request.out);
        if let Some(responses) = responses.iter().find(|responses| taken.contains(&request.out.join(plain(&responses.name)))) {
            return Err(advise(
                format!("`{}` is what the table is called", responses.name),
                "name the responses otherwise: NAME=FILE",
            ));
        }
        let mut seen = HashSet::new();
        match all.iter().find(|unit| !seen.insert(&unit.prefix)) {
            Some(unit) => Err(advise(
                format!("two models or files of responses would have the files `{}.*`", unit.prefix.display()),
                "give them names of their own: --targets NAME=FILE",
            )),
            None => Ok(all),
        }
    }

    pub(super) fn record(&self) -> &Path {
        &self.record
    }

    pub(super) fn file(&self, ending: &str) -> PathBuf {
        atomic_file::with_ending(&self.prefix, &format!(".{ending}"))
    }

    /// The row of the table, if all was done before. Fails if it was done in another way.
    pub(super) fn done(&self, request: &Request) -> Result<Option<(Row, Vec<String>)>> {
        if request.force || !self.record.is_file() {
            return Ok(None);
        }
        let text =
            plain_file::read_to_string(&self.record).with_context(|| format!("cannot read `{}`", self.record.display()))?;
        let folder = self.prefix.parent().unwrap_or(Path::new(""));
        let Ok(record) = serde_json::from_str::<Record>(&text) else {
            return Err(advise(format!("`{}` is no whole record of a fit", self.record.display()), "fit it anew: --force"));
        };
        match record.made_of.differs(&MadeOf::new(request, &self.read))? {
            None => Ok(record
                .files
                .iter()
                .all(|file| is_name(file) && folder.join(file).is_file())
                .then_some((record.row, record.notes))),
            Some(differs) => Err(advise(
                format!("`{}` was made otherwise: {differs}", self.record.display()),
                "name another folder with --out, or fit anew: --force",
            )),
        }
    }

    pub(super) fn make_folder(&self) -> Result<()> {
        let folder = self.prefix.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))
    }

    /// Removes what an earlier fit has left, the record first.
    pub(super) fn clear(&self) {
        std::fs::remove_file(&self.record).ok();
        for name in NAMES {
            for ending in ["npy", "nii.gz", "ids.txt"] {
                std::fs::remove_file(self.file(&format!("{name}.{ending}"))).ok();
            }
        }
    }

    /// Writes all scores, then the record.
    pub(super) fn write(&self, request: &Request, matched: &Matched, fit: &Fit) -> Result<Row> {
        let Fit { predictions, chosen, scores, ceilings, shares, intercepts } = fit;
        let of_fitted = |all: &[f64]| -> Vec<f64> { matched.targets.iter().map(|&target| all[target]).collect() };
        let ceilings = ceilings.as_deref().map(of_fitted);
        let divided = |scores: &[f64], by: fn(f64) -> f64| -> Option<Vec<f64>> {
            let of = |(score, ceiling): (&f64, &f64)| if *ceiling > 0.0 { score / by(*ceiling) } else { f64::NAN };
            ceilings.as_ref().map(|ceilings| scores.iter().zip(ceilings).map(of).collect())
        };
        let end = |end: usize| {
            let of =
                |intervals: &Vec<Option<[f64; 2]>>| intervals.iter().map(|one| one.map_or(f64::NAN, |one| one[end])).collect();
            scores.intervals.as_ref().map(of)
        };
        let q = scores.p.as_ref().map(|[p, _]| benjamini_hochberg(p));
        let [p, p_family] = scores.p.clone().map_or([None, None], |[p, family]| [Some(p), Some(family)]);
        let normalised = divided(&scores.correlation, f64::sqrt);
        let normalised_explained = divided(&scores.explained, |ceiling| ceiling);
        let mut all: Vec<(&str, Option<Vec<f64>>)> = vec![
            ("r", Some(scores.correlation.clone())),
            ("r2", Some(scores.explained.clone())),
            ("r_low", end(0)),
            ("r_high", end(1)),
            ("p", p),
            ("p_family", p_family.clone()),
            ("q", q.clone()),
            ("ceiling", ceilings.clone()),
            ("r_normalised", normalised.clone()),
            ("r2_normalised", normalised_explained.clone()),
            ("intercepts", intercepts.as_deref().map(of_fitted)),
        ];
        all.extend(shares.iter().map(|(name, share)| (name.as_str(), Some(share.clone()))));
        let mut files = Vec::new();
        for (name, values) in all {
            let Some(values) = values else { continue };
            self.write_one(matched, name, &[&values], &mut files)?;
        }
        if intercepts.is_some() {
            files.push(file_name(&self.file("weights.npy")));
        }
        if request.predictions {
            self.write_predictions(matched, predictions, &mut files)?;
        }
        let mut row = Row::new(request, matched, scores, [&self.target, &self.model, &self.layer])
            .with_ceilings(ceilings.as_deref(), normalised.as_deref(), normalised_explained.as_deref())
            .with_significant(request, q.as_deref(), p_family.as_deref())
            .with_shares(shares);
        if request.method == Method::Ridge {
            let penalties = request.penalties();
            let of_fold = |chosen: &Chosen| chosen.penalty.iter().map(|&place| penalties[usize::from(place)]).collect();
            let of_folds: Vec<Vec<f64>> = chosen.iter().map(of_fold).collect();
            let of_folds: Vec<&[f64]> = of_folds.iter().map(Vec::as_slice).collect();
            self.write_one(matched, "penalty", &of_folds, &mut files)?;
            row = row.with_penalties(&of_folds, &penalties);
        }
        let record = Record { made_of: MadeOf::new(request, &self.read), files, notes: matched.notes.clone(), row };
        atomic_file::write(&self.record, (serde_json::to_string_pretty(&record)? + "\n").as_bytes())?;
        Ok(record.row)
    }

    /// An array of all targets, NaN of those that were left out, of one row or several; and a map of voxels, if there is one row.
    fn write_one(&self, matched: &Matched, name: &str, rows: &[&[f64]], files: &mut Vec<String>) -> Result<()> {
        let all = matched.responses.values.columns;
        let mut values = vec![f64::NAN; all * rows.len()];
        for (place, row) in rows.iter().enumerate() {
            matched.targets.iter().zip(*row).for_each(|(target, value)| values[place * all + target] = *value);
        }
        if let (Some(voxels), [_]) = (&matched.responses.voxels, rows) {
            let path = self.file(&format!("{name}.nii.gz"));
            voxels.write(&path, &values)?;
            files.push(file_name(&path));
        }
        let shape = if rows.len() == 1 && name != "penalty" { vec![all] } else { vec![rows.len(), all] };
        let path = self.file(&format!("{name}.npy"));
        npy::write(&path, &ArrayD::from_shape_vec(IxDyn(&shape), values)?)?;
        files.push(file_name(&path));
        Ok(())
    }

    /// The predicted rows, in their order, of the targets that were fitted.
    fn write_predictions(&self, matched: &Matched, predictions: &Predictions, files: &mut Vec<String>) -> Result<()> {
        let (rows, targets) = (predictions.rows.len(), matched.targets.len());
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|&place| predictions.rows[place]);
        let mut values = vec![f64::NAN; rows * targets];
        for target in 0..targets {
            let own = predictions.read(target..target + 1)?;
            order.iter().enumerate().for_each(|(row, &from)| values[row * targets + target] = own[from]);
        }
        let path = self.file("predicted.npy");
        npy::write(&path, &Array2::from_shape_vec((rows, targets), values)?.into_dyn())?;
        let names = matched.ids.as_ref().map(|ids| {
            order.iter().map(|&place| ids[matched.image_of[predictions.rows[place]]].clone()).collect::<Vec<String>>()
        });
        ids::write(&path, names.as_deref())?;
        files.push(file_name(&path));
        Ok(())
    }
}

impl MadeOf {
    /// In what other scores would be made: the first settings and files, in words.
    fn differs(&self, other: &MadeOf) -> Result<Option<String>> {
        if self == other {
            return Ok(None);
        }
        let [before, now] = [serde_json::to_value(&self.request)?, serde_json::to_value(&other.request)?];
        let settings = before.as_object().into_iter().flatten().filter(|(name, value)| now.get(name.as_str()) != Some(*value));
        let settings = settings.map(|(name, value)| format!("{name} {value}, now {}", now.get(name).unwrap_or_default()));
        let changed = other
            .files
            .iter()
            .filter(|file| !self.files.contains(file))
            .map(|(path, ..)| format!("`{path}` is not the file that was read"));
        let all: Vec<String> = settings.chain(changed).take(MOST_SAID).collect();
        Ok(Some(if all.is_empty() { "by another version, or of other files".into() } else { all.join("; ") }))
    }

    fn new(request: &Request, read: &[PathBuf]) -> MadeOf {
        let given = [&request.groups, &request.train, &request.test, &request.ceiling];
        // The names of rows lie beside arrays.
        let paths =
            read.iter().chain(request.mask.iter()).chain(given.into_iter().flatten()).flat_map(|path| outputs::read_of(path));
        let files = paths.map(|path| {
            let known = std::fs::metadata(&path).ok();
            let changed = known.as_ref().and_then(|known| known.modified().ok()?.duration_since(UNIX_EPOCH).ok());
            (path.display().to_string(), known.map_or(0, |known| known.len()), changed.map_or(0, |time| time.as_nanos() as u64))
        });
        let files = files.collect();
        let mut request = request.clone();
        (request.features, request.targets, request.memory, request.shard, request.force) =
            (Vec::new(), Vec::new(), None, None, false);
        request.out = PathBuf::new();
        MadeOf { version: env!("CARGO_PKG_VERSION").into(), request, files }
    }
}

/// More differences are not said.
const MOST_SAID: usize = 3;

/// Without what folders and shells take for something else.
fn plain(name: &str) -> String {
    let plain: String =
        name.chars().map(|letter| if letter.is_alphanumeric() || "._-@+= ".contains(letter) { letter } else { '_' }).collect();
    let plain = plain.replace(" + ", "+").replace(' ', "_");
    if plain.chars().all(|letter| letter == '.') { "_".into() } else { plain }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether it names a file in the same folder.
fn is_name(file: &str) -> bool {
    Path::new(file).components().count() == 1 && !file.starts_with('.')
}
