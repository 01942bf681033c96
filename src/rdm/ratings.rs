//! RDMs of behaviour from ratings of pairs, as laboratories keep them: a table of a subject, two stimuli and a number on each line.

use super::rating_columns::Columns;
use super::triplets::MOST;
use super::{Rdms, pair};
use crate::arrays;
use crate::error::{Advice, advise};
use crate::memory;
use crate::numbers::count;
use crate::plain_file;
use crate::text::unguard;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What a large rating means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Alike: the dissimilarity is the largest rating − the rating
    Similarity,
    /// Different: the dissimilarity is the rating
    Dissimilarity,
}

/// A rating may be this large: sums of many are finite, too.
const LARGEST: f64 = 1e100;

/// How a table of ratings is to be read.
pub(super) struct Reading<'a> {
    pub(super) scale: Scale,
    /// The names of the columns, if they were given.
    pub(super) columns: &'a [String],
    /// The smallest and the largest rating that could be given, if known.
    pub(super) range: Option<[f64; 2]>,
}

/// What one subject said of one pair.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Asked {
    /// How often.
    pub(super) ratings: usize,
    sum: f64,
}

impl Asked {
    pub(super) fn mean(self) -> f64 {
        self.sum / self.ratings as f64
    }
}

/// Ratings of pairs of stimuli.
pub(super) struct Ratings {
    /// All in the order in which they first come; one without a name if the table has none.
    pub(super) subjects: Vec<String>,
    /// In the order of the IDs, or in which they first come.
    pub(super) stimuli: Vec<String>,
    /// By subject and pair `i < j`.
    pub(super) asked: BTreeMap<[usize; 3], Asked>,
    /// Of a stimulus with itself.
    pub(super) of_same: usize,
    /// Empty or `NA`.
    pub(super) missing: usize,
    /// The names of the columns that were read.
    pub(super) columns: String,
    scale: Scale,
    /// The largest rating there could be, or there is.
    pub(super) largest: f64,
}

impl Ratings {
    /// Reads a table with commas, semicolons or tabs, whose first line names the columns. With `ids` no other stimulus may come.
    pub(super) fn read(path: &Path, reading: &Reading, ids: Option<Vec<String>>) -> Result<Ratings> {
        let text = plain_file::read(path).map_err(|_| arrays::cannot_read(path))?;
        let mut lines = lines(&text, path);
        let (header, _) = lines.next().transpose()?.ok_or_else(|| advise(format!("`{}` is empty", path.display()), SHAPE))?;
        let columns = Columns::of(&header, reading.columns, path)?;
        columns.check_scale(reading.scale, &header)?;
        let mut table = Table::new(columns, reading.range, ids);
        for line in lines {
            let (cells, number) = line?;
            table.add(&cells, header.len(), &|| format!("line {number} of `{}`", path.display()))?;
        }
        if table.asked.is_empty() {
            return Err(advise(format!("`{}` has no rating of two different stimuli", path.display()), SHAPE));
        }
        Ok(Ratings {
            subjects: table.subjects.names,
            stimuli: table.stimuli.names,
            asked: table.asked,
            of_same: table.of_same,
            missing: table.missing,
            columns: columns.text(&header),
            scale: reading.scale,
            largest: reading.range.map_or(table.largest, |[_, high]| high),
        })
    }

    /// Those who rated two different stimuli at least once, by their numbers.
    pub(super) fn rated(&self) -> Vec<usize> {
        let mut rated: Vec<usize> = self.asked.keys().map(|&[subject, ..]| subject).collect();
        rated.dedup();
        rated
    }

    /// Of a mean rating: the rating, or of similarity the largest one − the rating.
    pub(super) fn dissimilarity(&self, mean: f64) -> f64 {
        match self.scale {
            Scale::Similarity => self.largest - mean,
            Scale::Dissimilarity => mean,
        }
    }

    /// The RDM of each subject who rated anything, NaN for pairs that were not asked. Fails if there is no memory for them.
    pub(super) fn rdms(&self) -> Result<Rdms> {
        let (subjects, n) = (self.rated(), self.stimuli.len());
        let pairs = n * (n - 1) / 2;
        // Once as pairs, and once as squares, which are written.
        let bytes = (subjects.len() as u64).saturating_mul(3 * 8 * pairs as u64);
        let what = format!("what {} rated of {} stimuli", of_subjects(subjects.len()), count(n));
        memory::check(&what, bytes)?;
        let places: HashMap<usize, usize> = subjects.iter().copied().zip(0..).collect();
        let mut rdms = vec![vec![f64::NAN; pairs]; subjects.len()];
        for (&[subject, i, j], asked) in &self.asked {
            rdms[places[&subject]][pair(n, i, j)] = self.dissimilarity(asked.mean());
        }
        Ok(Rdms { stimuli: n, ids: Some(self.stimuli.clone()), subjects: rdms })
    }
}

pub(super) fn of_subjects(subjects: usize) -> String {
    if subjects == 1 { "1 subject".into() } else { format!("{} subjects", count(subjects)) }
}

/// What a file of ratings is.
const SHAPE: &str = "give a table whose first line names the columns, and a rating of two stimuli on each other line: \
                     `subject,stimulus1,stimulus2,rating`";

/// The cells of each line of a table, and its number from 1. What is between cells its first line shows.
fn lines<'a>(text: &'a [u8], path: &'a Path) -> impl Iterator<Item = Result<(Vec<String>, u64)>> + 'a {
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let delimiter = *b"\t;".iter().find(|delimiter| first.contains(delimiter)).unwrap_or(&b',');
    let mut table = csv::ReaderBuilder::new();
    let reader = table.has_headers(false).flexible(true).trim(csv::Trim::All).delimiter(delimiter).from_reader(text);
    let line = move |record: csv::Result<csv::StringRecord>| {
        let record = record.with_context(|| Advice {
            problem: format!("`{}` is no table", path.display()),
            hint: "save it as CSV in UTF-8: Excel calls that `CSV UTF-8`".into(),
        })?;
        let number = record.position().map_or(0, |start| start.line() + blank_lines(text, start.byte() as usize));
        Ok((record.iter().map(|cell| unguard(cell).to_owned()).collect::<Vec<_>>(), number))
    };
    // The first line may be Excel's own.
    let is_of_excel = first.trim_ascii_start().starts_with(b"sep=");
    reader.into_records().map(line).skip(usize::from(is_of_excel))
}

/// A record is said to begin before the blank lines above it.
fn blank_lines(text: &[u8], start: usize) -> u64 {
    let above = text.iter().skip(start).take_while(|byte| matches!(byte, b'\r' | b'\n'));
    above.filter(|&&byte| byte == b'\n').count() as u64
}

/// What the lines add up to.
struct Table {
    columns: Columns,
    range: Option<[f64; 2]>,
    subjects: Names,
    stimuli: Names,
    asked: BTreeMap<[usize; 3], Asked>,
    of_same: usize,
    missing: usize,
    largest: f64,
}

impl Table {
    fn new(columns: Columns, range: Option<[f64; 2]>, ids: Option<Vec<String>>) -> Table {
        let subjects = Names::new("subject", columns.subject.is_none().then(|| vec![String::new()]));
        let stimuli = Names::new("stimulus", ids);
        let asked = BTreeMap::new();
        Table { columns, range, subjects, stimuli, asked, of_same: 0, missing: 0, largest: f64::NEG_INFINITY }
    }

    /// Adds a line of `width` cells, which is at this place in the file.
    fn add(&mut self, cells: &[String], width: usize, place: &dyn Fn() -> String) -> Result<()> {
        if cells.iter().all(String::is_empty) {
            return Ok(());
        }
        if cells.len() != width {
            return Err(advise(
                format!("{} has {} cells, the first has {width}", place(), cells.len()),
                "write as many cells in every line, and no comments",
            ));
        }
        let subject = self.columns.subject.map_or(Ok(0), |column| self.subjects.of(&cells[column], place))?;
        let [one, other] = self.columns.stimuli.map(|column| self.stimuli.of(&cells[column], place));
        let (one, other) = (one?, other?);
        let Some(rating) = self.rating(&cells[self.columns.rating], place)? else {
            self.missing += 1;
            return Ok(());
        };
        self.largest = self.largest.max(rating);
        if one == other {
            self.of_same += 1;
            return Ok(());
        }
        let asked = self.asked.entry([subject, one.min(other), one.max(other)]).or_default();
        asked.ratings += 1;
        asked.sum += rating;
        Ok(())
    }

    /// The number in a cell; none in one that is empty or says so.
    fn rating(&self, cell: &str, place: &dyn Fn() -> String) -> Result<Option<f64>> {
        const MISSING: [&str; 6] = ["", "na", "n/a", "#n/a", "nan", "null"];
        if MISSING.contains(&cell.to_ascii_lowercase().as_str()) {
            return Ok(None);
        }
        let Some(rating) = cell.parse().ok().filter(|rating: &f64| rating.abs() <= LARGEST) else {
            return Err(advise(
                format!("{} has `{cell}` where a rating is expected", place()),
                "a rating is a number, with a point in decimals; leave the cell empty if there is none",
            ));
        };
        match self.range {
            Some([low, high]) if !(low..=high).contains(&rating) => Err(advise(
                format!("{} has the rating {cell}, and the --rating-range is {low} to {high}", place()),
                "correct the rating or the range; leave a cell empty if there is no rating",
            )),
            _ => Ok(Some(rating)),
        }
    }
}

/// What is named in a column.
struct Names {
    what: &'static str,
    /// Whether no name may come that is not there yet.
    are_known: bool,
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Names {
    fn new(what: &'static str, known: Option<Vec<String>>) -> Names {
        let are_known = known.is_some();
        let names = known.unwrap_or_default();
        Names { what, are_known, places: names.iter().cloned().zip(0..).collect(), names }
    }

    /// The number of what a cell names, which is at this place in the file.
    fn of(&mut self, cell: &str, place: &dyn Fn() -> String) -> Result<usize> {
        if let Some(&number) = self.places.get(cell).filter(|_| !cell.is_empty()) {
            return Ok(number);
        }
        let fault = match cell {
            "" => (format!("{} names no {}", place(), self.what), "fill in the cell, or remove the line"),
            _ if self.are_known => (
                format!("{} has `{cell}`, which is none of the stimuli", place()),
                "names must be written as in the IDs; leave out --ids to take the stimuli that the table has",
            ),
            _ if cell.contains(['\n', '\r']) => (
                format!("{} has a name of several lines: `{cell}`", place()),
                "close the quotation mark, or write the name in one line",
            ),
            _ if self.names.len() == MOST => (
                format!("{} makes more than {MOST} of one {}: `{cell}`", place(), self.what),
                "is it the right column? --rating-columns says which",
            ),
            _ => {
                self.places.insert(cell.to_owned(), self.names.len());
                self.names.push(cell.to_owned());
                return Ok(self.names.len() - 1);
            }
        };
        Err(advise(fault.0, fault.1))
    }
}
