//! The categories of stimuli, and the RDM of a categorical model: 0 within a category, 1 between.

use super::design::Labels;
use super::{ids, pairs_of};
use crate::arrays;
use crate::error::{Advice, advise};
use crate::plain_file;
use crate::text::unguard;
use anyhow::{Context, Result};
use std::path::Path;

/// The category of each stimulus.
pub(crate) struct Categories {
    /// The stimuli, if the table names them.
    pub(crate) ids: Option<Vec<String>>,
    pub(crate) labels: Labels,
    /// The first line, if it was taken for one.
    pub(crate) header: Option<String>,
}

impl Categories {
    /// Reads a table of stimulus ID and category, or one category a line. Categories that tell nothing apart are an error.
    pub(crate) fn read(path: &Path) -> Result<Categories> {
        let mut lines = label_lines(path)?;
        let width = lines.first().map_or(0, Vec::len);
        let header = is_header(&lines).then(|| lines.remove(0).join(","));
        if lines.len() < 4 || !(1..=2).contains(&width) {
            return Err(advise(
                format!("`{}` has {} lines of {width} columns", path.display(), lines.len()),
                "give at least four lines of `ID,category`, or of a category each",
            ));
        }
        let ids = (width == 2).then(|| lines.iter().map(|line| line[0].clone()).collect::<Vec<_>>());
        if let Some(ids) = &ids {
            ids::check_unique(ids, &path.display().to_string())?;
        }
        let labels = Labels::new(&lines.iter().map(|line| line[width - 1].clone()).collect::<Vec<_>>());
        check(&labels)?;
        Ok(Categories { ids, labels, header })
    }

    pub(super) fn rdm(&self) -> Vec<f64> {
        let of = &self.labels.of_row;
        pairs_of(of.len()).map(|(i, j)| f64::from(u8::from(of[i] != of[j]))).collect()
    }
}

/// Fails if all stimuli are alike, or none.
fn check(labels: &Labels) -> Result<()> {
    if let [only] = &labels.names[..] {
        return Err(advise(
            format!("all stimuli are in one category, `{only}`, so no two of them differ"),
            "give the category of each stimulus, of which there must be two or more",
        ));
    }
    if labels.names.len() == labels.of_row.len() {
        return Err(advise(
            format!("each of the {} stimuli has a category of its own, so all differ alike", labels.of_row.len()),
            "give `ID,category` with commas, or tabs in a .tsv, and the same category to several stimuli",
        ));
    }
    Ok(())
}

/// The cells of a table of labels.
fn label_lines(path: &Path) -> Result<Vec<Vec<String>>> {
    let problem = || Advice {
        problem: format!("cannot read `{}`", path.display()),
        hint: "give lines of `ID,category`, or of a category each".into(),
    };
    let mut table = csv::ReaderBuilder::new();
    let reader = table.has_headers(false).trim(csv::Trim::All).delimiter(arrays::delimiter(path));
    let mut reader = reader.from_reader(plain_file::open(path).map_err(|_| arrays::cannot_read(path))?);
    let cells = |record: csv::StringRecord| record.iter().map(|cell| unguard(cell).to_owned()).collect();
    reader.records().map(|record| Ok(cells(record.with_context(problem)?))).collect()
}

/// Whether the first line names the columns: its first cell is empty or made of words that tables begin with (`uniqueID`,
/// `image_name`), or its last one is a word for categories that no other line has.
fn is_header(lines: &[Vec<String>]) -> bool {
    const OF_STIMULI: &str = "stimulus stimuli stim image images img picture pictures id ids name names file filename path item object \
                              concept word condition";
    const BESIDE: [&str; 3] = ["unique", "number", "index"];
    const OF_CATEGORIES: &str = "category categories label labels class";
    let Some((line, others)) = lines.split_first() else { return false };
    let is_made_of = |cell: &str, known: &str| {
        let mut words = words_of(cell);
        words.retain(|word| !BESIDE.contains(&word.as_str()));
        !words.is_empty() && words.iter().all(|word| known.split(' ').any(|known| known == word))
    };
    let (Some(first), Some(last)) = (line.first(), line.last()) else { return false };
    let is_alone = others.iter().all(|other| other.last() != Some(last));
    first.is_empty() || line.len() > 1 && is_made_of(first, OF_STIMULI) || is_made_of(last, OF_CATEGORIES) && is_alone
}

/// The words of a name in lower case, which begin with capitals or after other signs; an abbreviation is one.
pub(super) fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || letter.is_uppercase() && was_small {
            words.push(String::new());
        }
        words.last_mut().expect("there is one").extend(letter.to_lowercase().filter(|letter| letter.is_alphanumeric()));
        was_small = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}
