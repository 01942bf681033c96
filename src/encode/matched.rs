//! Rows of responses and of features that stand for the same images, and the folds that these are divided into.

use super::folds::{Groups, Split, grouped, splits};
use super::request::{Exchange, Method, Repeats, Request};
use super::responses::{Responses, Table};
use crate::error::advise;
use crate::numbers::{count, count_of};
use crate::observer::Observer;
use crate::parallel::parallel;
use crate::rdm::{Categories, align, ids};
use crate::rsa::Layer;
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Responses to the images of all layers.
pub(super) struct Matched<'a> {
    pub(super) responses: &'a Responses,
    /// The images, if they have names.
    pub(super) ids: Option<Vec<String>>,
    /// The images, as the responses count them.
    pub(super) images: Vec<usize>,
    /// Of each layer the row of each image.
    pub(super) of_layers: Vec<Vec<usize>>,
    /// The rows of the file whose mean each row is.
    pub(super) rows: Vec<Vec<usize>>,
    /// The image of each row.
    pub(super) image_of: Vec<usize>,
    /// Rows that are never both fitted and predicted.
    pub(super) groups: Groups,
    pub(super) outer: Vec<Split>,
    /// What permutations exchange: the label of each row.
    pub(super) exchanged: Vec<usize>,
    /// The targets that can be fitted, ascending.
    pub(super) targets: Vec<usize>,
    /// How many have NaN, and how many do not vary in some rows that are fitted or predicted.
    pub(super) left_out: [usize; 2],
    /// What must be known to read the scores.
    pub(super) notes: Vec<String>,
}

/// Fewer rows to predict have no score.
const FEWEST: usize = 3;

impl<'a> Matched<'a> {
    pub(super) fn new(
        request: &Request,
        responses: &'a Responses,
        layers: &[Layer],
        observer: &dyn Observer,
    ) -> Result<Matched<'a>> {
        let all: Vec<_> = [responses.as_rows()].into_iter().chain(layers.iter().map(|layer| layer.rows(true))).collect();
        let alignment = align(&all, request.intersect)?;
        alignment.renamed.iter().for_each(|sentence| observer.note(sentence));
        let mut notes = Vec::new();
        let name = &responses.name;
        if alignment.left_out > 0 {
            notes.push(format!("{name}: left out {} that not all have.", count_of(alignment.left_out, "image")));
        }
        match (&alignment.ids, alignment.assumed) {
            (None, _) => notes.push(format!("{name}: rows are taken to be in the same order on both sides.")),
            (Some(_), true) => notes.push(format!("{name}: without names on one side, so taken to be in the same order.")),
            _ => {}
        }
        let images = alignment.rows[0].clone();
        let repeated = |&image: &usize| responses.rows_of[image].clone();
        let (rows, image_of): (Vec<Vec<usize>>, Vec<usize>) = match request.repeats {
            Repeats::Average => images.iter().map(repeated).zip(0..).unzip(),
            Repeats::Keep => images
                .iter()
                .enumerate()
                .flat_map(|(place, image)| repeated(image).into_iter().map(move |row| (vec![row], place)))
                .unzip(),
        };
        let of_image = labels(request.groups.as_deref(), alignment.ids.as_deref(), images.len())?;
        let group_of: Vec<usize> =
            image_of.iter().map(|&image| of_image.as_ref().map_or(image, |labels| labels[image])).collect();
        let groups = grouped(&group_of);
        let outer = outer(request, &groups, &image_of, alignment.ids.as_deref())?;
        let exchanged = if request.exchange == Exchange::Groups { group_of } else { image_of.clone() };
        if request.permutations > 0 && request.exchange == Exchange::Groups {
            check_exchange(&grouped(&exchanged))?;
        }
        let mut matched = Matched {
            responses,
            ids: alignment.ids,
            images,
            of_layers: alignment.rows[1..].to_vec(),
            rows,
            image_of,
            groups,
            outer,
            exchanged,
            targets: Vec::new(),
            left_out: [0, 0],
            notes,
        };
        matched.find_targets()?;
        Ok(matched)
    }

    /// The images that are predicted, as the responses count them.
    pub(super) fn predicted_images(&self) -> Vec<usize> {
        let mut places: Vec<usize> =
            self.outer.iter().flat_map(|split| &split.predicted).map(|&row| self.image_of[row]).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| self.images[place]).collect()
    }

    pub(super) fn table(&self) -> Table<'_> {
        Table { values: &self.responses.values, rows: &self.rows }
    }

    /// Finds the targets without NaN that vary in the rows that are fitted, and in those that are predicted, of every fold.
    fn find_targets(&mut self) -> Result<()> {
        let all: Vec<usize> = (0..self.responses.values.columns).collect();
        let blocks: Vec<&[usize]> = all.chunks(super::fit::BLOCK).collect();
        let rows: Vec<usize> = (0..self.rows.len()).collect();
        let varies = |target: &[f64], rows: &[usize]| {
            let own: Vec<f64> = rows.iter().map(|&row| target[row]).collect();
            let spread = super::score::centred(&own).iter().map(|value| value * value).sum::<f64>();
            own.iter().any(|value| *value != own[0]) && spread > f64::MIN_POSITIVE
        };
        let fault = |target: &[f64]| match target.iter().all(|value| value.abs() < super::model::LARGEST) {
            false => Some(0),
            true => {
                let varies = |split: &Split| varies(target, &split.fitted) && varies(target, &split.predicted);
                (!self.outer.iter().all(varies)).then_some(1)
            }
        };
        let of_block = |block: usize| {
            let values = self.table().targets(&rows, blocks[block]);
            Ok(values.chunks_exact(rows.len()).map(fault).collect::<Vec<Option<usize>>>())
        };
        let faults: Vec<Option<usize>> = parallel(blocks.len(), &of_block)?.concat();
        faults.iter().flatten().for_each(|&fault| self.left_out[fault] += 1);
        self.targets = all.into_iter().filter(|&target| faults[target].is_none()).collect();
        let [nan, flat] = self.left_out;
        let name = &self.responses.name;
        if self.targets.is_empty() {
            return Err(advise(
                format!(
                    "no target of `{}` can be fitted: {} have NaN or values beyond 1e100, {} do not vary in all folds",
                    self.responses.path.display(),
                    count(nan),
                    count(flat)
                ),
                "are rows images and columns targets? transpose the array if not; leave out rows that were not measured",
            ));
        }
        if nan > 0 {
            self.notes
                .push(format!("{name}: left out {} with NaN, infinite values or values beyond 1e100.", count_of(nan, "target")));
        }
        if flat > 0 {
            self.notes.push(format!("{name}: left out {} without variance in a fold.", count_of(flat, "target")));
        }
        Ok(())
    }
}

/// Fails if no two groups can change places.
fn check_exchange(groups: &Groups) -> Result<()> {
    let mut sizes = HashSet::new();
    if groups.iter().any(|group| !sizes.insert(group.len())) {
        return Ok(());
    }
    Err(advise(
        "no two groups have the same number of rows, so none can change places in a permutation",
        "leave out --exchange groups, or --permutations",
    ))
}

/// The group of each image, if groups are given.
fn labels(groups: Option<&Path>, ids: Option<&[String]>, images: usize) -> Result<Option<Vec<usize>>> {
    let Some(path) = groups else { return Ok(None) };
    let Categories { ids: named, labels, .. } = Categories::read(path)?;
    match (named, ids) {
        (None, _) if labels.of_row.len() == images => Ok(Some(labels.of_row)),
        (None, _) => Err(advise(
            format!(
                "`{}` has {} groups, and there are {}",
                path.display(),
                count(labels.of_row.len()),
                count_of(images, "image")
            ),
            "give lines of `image,group`, or a group for each image in their order",
        )),
        (Some(_), None) => Err(advise(
            format!("`{}` names images, and neither features nor responses have names", path.display()),
            "give one group a line in the order of the rows, or names in FILE.ids.txt",
        )),
        (Some(named), Some(ids)) => {
            let places: HashMap<&String, usize> = named.iter().zip(labels.of_row.iter().copied()).collect();
            let of = |id: &String| places.get(id).copied().ok_or_else(|| unknown(path, id, "has no group for"));
            ids.iter().map(of).collect::<Result<_>>().map(Some)
        }
    }
}

fn unknown(path: &Path, id: &str, what: &str) -> anyhow::Error {
    advise(format!("`{}` {what} `{id}`", path.display()), "names must be written as in images.txt or .ids.txt")
}

fn outer(request: &Request, groups: &Groups, image_of: &[usize], ids: Option<&[String]>) -> Result<Vec<Split>> {
    let splits = match (&request.train, &request.test) {
        (Some(train), Some(test)) => vec![listed([train, test], groups, image_of, ids)?],
        _ => {
            if groups.len() < request.folds {
                return Err(advise(
                    format!("{} cannot be divided into {} folds", count_of(groups.len(), "group"), request.folds),
                    match groups.len() {
                        0..2 => "give groups of which there are several".to_owned(),
                        most if request.groups.is_some() => format!("take at most --folds {most}"),
                        most => format!("take at most --folds {}", (most / FEWEST).max(2)),
                    },
                ));
            }
            splits(groups, request.folds, request.seed, 0)
        }
    };
    for split in &splits {
        if split.predicted.len() < FEWEST || split.fitted.len() < FEWEST {
            return Err(advise(
                format!("a fold has {} to predict from {}", count_of(split.predicted.len(), "row"), split.fitted.len()),
                format!("at least {FEWEST} are needed: take fewer folds, or more images"),
            ));
        }
        let inner = super::folds::within(groups, &split.fitted).len();
        let chooses = request.method == Method::Ridge && request.choose == super::Choice::Folds && request.penalties().len() > 1;
        if chooses && inner < request.inner_folds {
            return Err(advise(
                format!(
                    "{} that are fitted cannot be divided into {} parts to choose penalties by",
                    count_of(inner, "group"),
                    request.inner_folds
                ),
                match inner {
                    0..2 => "take --choose generalised, or one penalty".to_owned(),
                    most => format!("take at most --inner-folds {most}, or --choose generalised"),
                },
            ));
        }
    }
    Ok(splits)
}

/// The rows of two lists of images.
fn listed(lists: [&Path; 2], groups: &Groups, image_of: &[usize], ids: Option<&[String]>) -> Result<Split> {
    let Some(known) = ids else {
        return Err(advise(
            "lists of images to fit and to predict need the names of the rows",
            "name them in FILE.ids.txt beside features or responses",
        ));
    };
    let places: HashMap<&String, usize> = known.iter().zip(0..).collect();
    let read = |path: &Path| -> Result<HashSet<usize>> {
        let of = |id: &String| places.get(id).copied().ok_or_else(|| unknown(path, id, "names an image that not all have:"));
        ids::names(path)?.iter().map(of).collect()
    };
    let [train, test] = [read(lists[0])?, read(lists[1])?];
    if let Some(&both) = train.intersection(&test).min() {
        return Err(advise(
            format!("`{}` is both to be fitted and to be predicted", known[both]),
            "an image belongs into one of the lists only",
        ));
    }
    let of = |images: &HashSet<usize>| (0..image_of.len()).filter(|&row| images.contains(&image_of[row])).collect::<Vec<usize>>();
    let split = Split { fitted: of(&train), predicted: of(&test) };
    let is_in = |rows: &[usize], row: &usize| rows.binary_search(row).is_ok();
    let torn = groups
        .iter()
        .find(|group| group.iter().any(|row| is_in(&split.fitted, row)) && group.iter().any(|row| is_in(&split.predicted, row)));
    if let Some(group) = torn {
        return Err(advise(
            format!(
                "`{}` is of a group of which some images are to be fitted and others to be predicted",
                known[image_of[group[0]]]
            ),
            "put the whole group into one of the lists, or leave out --groups",
        ));
    }
    Ok(split)
}
