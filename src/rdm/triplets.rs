//! An RDM of behaviour from odd-one-out judgements: of three stimuli a person names the one that fits least, and so keeps
//! the other two together, as in the triplets of THINGS (Hebart et al. 2020) and the files of SPoSE and VICE.

use super::{Rdms, pair};
use crate::error::advise;
use crate::plain_file;
use crate::text::short;
use crate::{arrays, npy};
use anyhow::Result;
use std::collections::HashMap;
use std::path::Path;

/// More stimuli than anyone has shown; of this many there are two thousand million pairs.
pub(super) const MOST: usize = 1 << 16;

/// What a file of triplets is.
const SHAPE: &str = "give three stimuli a line, the odd one last: `12 407 33`, or `dog,cat,kettle`";

/// Judgements, the third stimulus of each being the odd one.
pub(crate) struct Triplets {
    pub(crate) stimuli: usize,
    pub(crate) ids: Option<Vec<String>>,
    /// The stimuli by their numbers, from 0.
    pub(crate) judgements: Vec<[usize; 3]>,
    /// The first line of the file, if it names the columns.
    pub(crate) header: Option<String>,
}

impl Triplets {
    /// Reads three stimuli a line, between them commas, tabs or spaces, or an `.npy` array `[M, 3]`: numbers from 0, of
    /// `ids` if these are given, or names.
    pub(crate) fn read(path: &Path, ids: Option<Vec<String>>) -> Result<Triplets> {
        let triplets = if arrays::kind(path) == "npy" { of_array(path, ids) } else { of_text(path, ids) }?;
        match triplets.judgements.is_empty() {
            true => Err(advise(format!("`{}` has no triplets", path.display()), SHAPE)),
            false => Ok(triplets),
        }
    }

    /// That none has stimulus 0 of numbers, in a sentence.
    pub(crate) fn has_no_0(&self, what: &str) -> Option<String> {
        (self.ids.is_none() && !self.judgements.iter().flatten().any(|&stimulus| stimulus == 0))
            .then(|| format!("no triplet has stimulus 0: if they are numbered from 1, all {what} are one too far down"))
    }

    /// Where a judgement stands in the file at `path`, which it was read from.
    pub(crate) fn place(&self, path: &Path, judgement: usize) -> String {
        if arrays::kind(path) == "npy" {
            return format!("row {judgement} of `{}`, counting from 0,", path.display());
        }
        let text = plain_file::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim_start_matches('\u{feff}').trim().is_empty());
        let line = lines.nth(judgement + usize::from(self.header.is_some())).map_or(0, |(_, number)| number);
        format!("line {line} of `{}`", path.display())
    }

    /// `1 − k / s` of each pair of stimuli, which was shown in s triplets and kept together in k of them; NaN if it never was
    /// shown.
    pub(super) fn rdm(&self) -> Rdms {
        let count = self.stimuli * (self.stimuli - 1) / 2;
        let (mut kept, mut shown) = (vec![0u32; count], vec![0u32; count]);
        for &[i, j, odd] in &self.judgements {
            kept[pair(self.stimuli, i, j)] += 1;
            for (one, other) in [(i, j), (i, odd), (j, odd)] {
                shown[pair(self.stimuli, one, other)] += 1;
            }
        }
        // 0 of 0 is NaN.
        let pairs = kept.into_iter().zip(shown).map(|(kept, shown)| 1.0 - f64::from(kept) / f64::from(shown)).collect();
        Rdms { stimuli: self.stimuli, ids: self.ids.clone(), subjects: vec![pairs] }
    }
}

fn of_text(path: &Path, ids: Option<Vec<String>>) -> Result<Triplets> {
    let text = plain_file::read_to_string(path)
        .map_err(|error| advise(format!("cannot read `{}`: {error}", path.display()), format!("{SHAPE}, as text in UTF-8")))?;
    // Editors put a mark before the first letter.
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    let mut lines = lines.filter(|(line, _)| !line.trim().is_empty()).peekable();
    let others = lines.clone().skip(1).map(|(line, _)| line);
    let header = lines.next_if(|(line, _)| is_header(line, others)).map(|(line, _)| line.trim().to_owned());
    let are_numbers = lines.peek().is_none_or(|(line, _)| are_numbers(line, ids.is_some()));
    let mut stimuli = Stimuli::new(are_numbers, ids);
    let judgement = |(line, number): (&str, usize)| {
        let place = || format!("line {number} of `{}`", path.display());
        let cells = cells(line);
        let [one, other, odd] = cells[..] else {
            return Err(advise(format!("{} has {} cells, not three: `{}`", place(), cells.len(), short(line.trim())), SHAPE));
        };
        different([stimuli.of(one, &place)?, stimuli.of(other, &place)?, stimuli.of(odd, &place)?], &place, &cells)
    };
    let judgements = lines.map(judgement).collect::<Result<_>>()?;
    Ok(stimuli.into_triplets(judgements, header))
}

fn of_array(path: &Path, ids: Option<Vec<String>>) -> Result<Triplets> {
    let array = npy::read(path)?;
    if !matches!(array.shape(), [_, 3]) {
        return Err(advise(format!("`{}` has the shape {:?}, not [triplets, 3]", path.display(), array.shape()), SHAPE));
    }
    let mut stimuli = Stimuli::new(true, ids);
    let judgement = |(row, cells): (usize, ndarray::ArrayViewD<f64>)| {
        let place = || format!("row {row} of `{}`, counting from 0,", path.display());
        let cells = [0, 1, 2].map(|column| cells[column].to_string());
        different(
            [stimuli.of(&cells[0], &place)?, stimuli.of(&cells[1], &place)?, stimuli.of(&cells[2], &place)?],
            &place,
            &cells,
        )
    };
    let judgements = array.outer_iter().enumerate().map(judgement).collect::<Result<_>>()?;
    Ok(stimuli.into_triplets(judgements, None))
}

/// Commas or tabs may have spaces in the names between them.
fn cells(line: &str) -> Vec<&str> {
    match [',', '\t'].into_iter().find(|&separator| line.contains(separator)) {
        Some(separator) => line.split(separator).map(|cell| cell.trim().trim_matches('"')).collect(),
        None => line.split_whitespace().map(|cell| cell.trim_matches('"')).collect(),
    }
}

/// A whole number from 0, also as `np.savetxt` writes it, `3.000000000000000000e+00`.
fn number(cell: &str) -> Option<usize> {
    let is_whole = |value: &f64| value.fract() == 0.0 && (0.0..1e15).contains(value);
    cell.parse().ok().or_else(|| cell.parse().ok().filter(is_whole).map(|value| value as usize))
}

fn is_number(cell: &&str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// Whether the stimuli of a first judgement are numbers. IDs that are known may be numbers themselves.
fn are_numbers(line: &str, are_known: bool) -> bool {
    let cells = cells(line);
    if are_known { cells.iter().all(is_number) } else { cells.iter().any(is_number) }
}

/// Whether a first line names the columns: text above numbers, or words that are no stimuli of the `others`.
fn is_header<'a>(first: &str, others: impl Iterator<Item = &'a str> + Clone) -> bool {
    const WORDS: &str = "object image stimulus stim item concept name id odd odd_one odd_one_out oddoneout choice";
    let names = cells(first);
    let is_word = |cell: &&str| {
        let lower = cell.to_lowercase().replace([' ', '-'], "_");
        let word = lower.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '_');
        WORDS.split(' ').any(|known| known == word)
    };
    let above_numbers = others.clone().next().is_some_and(|line| cells(line).iter().all(is_number));
    let is_alone = |cell: &&str| !others.clone().any(|line| cells(line).contains(cell));
    // Words that columns are called by, or three that none of many judgements knows.
    const MANY: usize = 20;
    !names.iter().any(is_number)
        && (above_numbers || names.iter().all(is_word) || others.clone().nth(MANY).is_some())
        && names.iter().all(is_alone)
}

fn different(judgement: [usize; 3], place: &dyn Fn() -> String, cells: &[impl AsRef<str>]) -> Result<[usize; 3]> {
    let twice = match judgement {
        [one, other, odd] if one == other || one == odd => cells[0].as_ref(),
        [_, other, odd] if other == odd => cells[1].as_ref(),
        _ => return Ok(judgement),
    };
    Err(advise(format!("{} has `{twice}` twice", place()), "a judgement is of three different stimuli; leave out the others"))
}

/// What the cells of a table stand for.
struct Stimuli {
    /// Whether they are numbers; else names.
    are_numbers: bool,
    /// Whether no name may come that is not there yet.
    are_known: bool,
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// One more than the largest number.
    count: usize,
}

impl Stimuli {
    fn new(are_numbers: bool, ids: Option<Vec<String>>) -> Stimuli {
        let are_known = ids.is_some();
        let names = ids.unwrap_or_default();
        Stimuli { are_numbers, are_known, places: names.iter().cloned().zip(0..).collect(), count: names.len(), names }
    }

    /// The number of the stimulus in a cell, which is at this place in the file.
    fn of(&mut self, cell: &str, place: &dyn Fn() -> String) -> Result<usize> {
        let number = if self.are_numbers { self.numbered(cell, place)? } else { self.named(cell, place)? };
        if number >= MOST {
            return Err(advise(format!("{} makes more stimuli than {MOST}: `{cell}`", place()), "number the stimuli from 0"));
        }
        self.count = self.count.max(number + 1);
        Ok(number)
    }

    fn numbered(&self, cell: &str, place: &dyn Fn() -> String) -> Result<usize> {
        let number = number(cell).ok_or_else(|| {
            advise(
                format!("{} has `{cell}` where a whole number from 0 is expected", place()),
                "number the stimuli from 0, or write names in every line",
            )
        })?;
        if self.are_known && number >= self.names.len() {
            return Err(advise(
                format!("{} has the number {number}, but the IDs name {} stimuli, counted from 0", place(), self.names.len()),
                "number the stimuli from 0 in the order of the IDs",
            ));
        }
        Ok(number)
    }

    fn named(&mut self, cell: &str, place: &dyn Fn() -> String) -> Result<usize> {
        if let Some(&number) = self.places.get(cell) {
            return Ok(number);
        }
        if !self.are_known && is_number(&cell) {
            return Err(advise(
                format!("{} has the number `{cell}` among names", place()),
                "write names in every line, or numbers; of names that are numbers give the --ids",
            ));
        }
        if self.are_known || cell.is_empty() {
            return Err(advise(
                format!("{} has `{cell}`, which is none of the stimuli", place()),
                "names must be written as in the IDs; a first line such as `object1,object2,odd` names the columns",
            ));
        }
        self.names.push(cell.to_owned());
        self.places.insert(cell.to_owned(), self.names.len() - 1);
        Ok(self.names.len() - 1)
    }

    fn into_triplets(self, judgements: Vec<[usize; 3]>, header: Option<String>) -> Triplets {
        let ids = Some(self.names).filter(|names| !names.is_empty());
        Triplets { stimuli: self.count, ids, judgements, header }
    }
}
