//! Tables of numbers as text: commas, in `.tsv` tabs, in `.txt` spaces. A first row or column that is no number holds names.

mod lines;

pub(crate) use self::lines::delimiter;

use self::lines::lines;
use super::{Labelled, array};
use crate::atomic_file;
use crate::error::advise;
use crate::text::{guard, unguard};
use anyhow::Result;
use std::collections::HashSet;
use std::path::Path;

/// An empty cell, `NA` and `nan` are NaN.
pub(super) fn read(path: &Path) -> Result<Labelled> {
    let mut lines = lines(path)?;
    let edges = match square_within(&lines, path)? {
        Some(edges) => edges,
        None => {
            let header = header(&lines, path)?;
            let below = &lines[usize::from(header)..];
            Edges { header, names: names(header.then(|| lines[0].as_slice()), below) }
        }
    };
    let header = edges.header.then(|| lines.remove(0));
    let ids = edges.names.then(|| lines.iter_mut().map(|line| line.remove(0)).collect::<Vec<_>>());
    let columns = lines.first().map_or(0, Vec::len);
    let of_columns = header.map(|mut names| names.split_off(names.len().saturating_sub(columns)));
    let order = order(of_columns.as_deref(), ids.as_deref(), path)?;
    let mut values = Vec::with_capacity(lines.len() * columns);
    for (row, line) in lines.iter().enumerate() {
        for column in 0..columns {
            let cell = &line[order.as_ref().map_or(column, |order| order[column])];
            values.push(number(cell).ok_or_else(|| not_a_number(path, cell, row, column))?);
        }
    }
    let values = array(&[lines.len(), columns], values, path)?;
    // The names of a square are those of its rows and columns alike.
    let of_columns = || of_columns.filter(|names| names.len() == lines.len() && columns == lines.len());
    let ids = ids.or_else(of_columns).map(|ids| ids.iter().map(|id| unguard(id).to_owned()).collect());
    Ok(Labelled { ids, values: one_row_is_a_vector(values), are_rdms: false })
}

/// Whether the first line names the columns, and the first column the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edges {
    header: bool,
    names: bool,
}

/// The edges of a table within which there is an RDM, a symmetric square with a diagonal of zeros or of missing numbers; none if
/// there is none, or all is numbers. What may be read in two such ways is an error.
fn square_within(lines: &[Vec<String>], path: &Path) -> Result<Option<Edges>> {
    let (rows, columns) = (lines.len(), lines[0].len());
    let holds = |edges: Edges| {
        let (top, left) = (usize::from(edges.header), usize::from(edges.names));
        let names = lines.iter().skip(top).filter(|_| edges.names).map(|line| &line[0]);
        let mut seen = HashSet::new();
        let differ = lines[0].iter().skip(left).filter(|_| edges.header).all(|name| seen.insert(name));
        let mut seen = HashSet::new();
        rows.checked_sub(top) == columns.checked_sub(left)
            && rows > top + 2
            && is_rdm(&lines[top..], left)
            && differ
            && names.into_iter().all(|name| seen.insert(name))
    };
    let [bare, header, names, both] = [(false, false), (true, false), (false, true), (true, true)]
        .map(|(header, names)| Some(Edges { header, names }).filter(|edges| holds(*edges)));
    match (header.or(names), bare, both) {
        (Some(one), ..) => Ok(Some(one)),
        // The first line and column of numbers may be names, or distances of the first stimulus.
        (None, Some(_), Some(_)) if are_numbers(&lines[0][1..]) => {
            let is_missing = |i: usize| number(&lines[i][i]).is_some_and(f64::is_nan);
            match () {
                () if !lines[0][0].is_empty() => Ok(None),
                // The whole diagonal is missing, or none of it.
                () if !(1..rows).all(is_missing) => Ok(both),
                () if counts(&lines[0][1..]) && !is_ordinal(lines) => Ok(both),
                () => Err(advise(
                    format!(
                        "`{}` is an RDM of {rows} stimuli without names, or of {} that the first line and column name",
                        path.display(),
                        rows - 1
                    ),
                    "write 0 into the first cell if it is a distance, or `stimulus` if there are names",
                )),
            }
        }
        _ => Ok(None),
    }
}

fn are_numbers(cells: &[String]) -> bool {
    cells.iter().all(|cell| number(cell).is_some_and(f64::is_finite))
}

/// Whether the distances of `lines` are those of |i − j|.
fn is_ordinal(lines: &[Vec<String>]) -> bool {
    let is_it = |i: usize, j: usize| i == j || number(&lines[i][j]) == Some(i.abs_diff(j) as f64);
    (0..lines.len()).all(|i| (0..lines.len()).all(|j| is_it(i, j)))
}

/// Whether the cells from the column `left` on are those of an RDM, or of similarities: symmetric, with one value on the diagonal.
fn is_rdm(lines: &[Vec<String>], left: usize) -> bool {
    let cell = |i: usize, j: usize| number(&lines[i][left + j]);
    let values = || lines.iter().flat_map(|line| &line[left..]).filter_map(|cell| number(cell)).filter(|value| value.is_finite());
    let rounding = 1e-5 * values().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let alike = |a: f64, b: f64| a.is_nan() && b.is_nan() || (a - b).abs() <= rounding;
    let diagonal = (0..lines.len()).filter_map(|i| cell(i, i)).find(|value| !value.is_nan()).unwrap_or(0.0);
    (0..lines.len()).all(|i| {
        cell(i, i).is_some_and(|value| value.is_nan() || alike(value, diagonal))
            && (0..i).all(|j| cell(i, j).zip(cell(j, i)).is_some_and(|(a, b)| alike(a, b)))
    })
}

/// Whether the first line names the columns: after its first cell there is text alone, or its first cell is empty or text
/// and numbers from 0 or 1 on follow, as pandas writes; or such numbers alone stand above a square. Fails where it cannot be
/// told.
fn header(lines: &[Vec<String>], path: &Path) -> Result<bool> {
    let (first, others) = (&lines[0], lines.len() - 1);
    let (corner, rest) = first.split_first().expect("a line has a cell");
    let text = rest.iter().filter(|cell| number(cell).is_none()).count();
    if others > 0 && corner.is_empty() && rest.len() > 1 && rest.iter().all(|cell| !cell.is_empty()) {
        return Ok(true);
    }
    if text > 0 && text < rest.len() {
        return Err(advise(
            format!("the first line of `{}` mixes names and numbers", path.display()),
            "give all columns names that are not numbers, or none; for a missing number NA, nan or an empty cell",
        ));
    }
    if text > 0 || number(corner).is_none() && (rest.is_empty() || others > 0 && counts(rest)) {
        return Ok(true);
    }
    if others > 0 && rest.len() > 1 && counts(first) {
        return match others == first.len() {
            true => Ok(true),
            // The first row of a square may count.
            false if lines.len() == first.len() => Ok(false),
            false => Err(advise(
                format!("the first line of `{}` counts its columns: names, or numbers?", path.display()),
                "if they are names, leave them out (pandas: `to_csv(…, header=False)`); if numbers, write .npy",
            )),
        };
    }
    Ok(false)
}

/// Whether cells are 0, 1, 2, … or 1, 2, 3, ….
fn counts(cells: &[String]) -> bool {
    let from = |first: usize| cells.iter().enumerate().all(|(i, cell)| cell.parse() == Ok(i + first));
    cells.len() > 1 && (from(0) || from(1))
}

/// Whether the first column holds names: text in every line, or whatever stands below an empty cell or a word for names.
fn names(header: Option<&[String]>, lines: &[Vec<String>]) -> bool {
    const WORDS: [&str; 12] =
        ["", "id", "ids", "name", "names", "stimulus", "stimuli", "image", "images", "file", "filename", "condition"];
    let below_word = header.is_some_and(|header| header.len() > 1 && WORDS.contains(&header[0].to_lowercase().as_str()));
    !lines.is_empty() && (below_word || lines.iter().all(|line| line.len() > 1 && number(&line[0]).is_none()))
}

/// The columns in the order of the rows, if a square names both and in different orders. Fails if only some names agree.
fn order(of_columns: Option<&[String]>, of_rows: Option<&[String]>, path: &Path) -> Result<Option<Vec<usize>>> {
    let (Some(columns), Some(rows)) = (of_columns, of_rows) else { return Ok(None) };
    let places: Vec<Option<usize>> = rows.iter().map(|name| columns.iter().position(|other| other == name)).collect();
    // Names of features, not of stimuli.
    if columns.len() != rows.len() || columns == rows || places.iter().all(Option::is_none) {
        return Ok(None);
    }
    if let Some(row) = places.iter().position(Option::is_none) {
        return Err(advise(
            format!("`{}` has a row `{}` and no column of this name, though others agree", path.display(), rows[row]),
            "name rows and columns of an RDM alike",
        ));
    }
    Ok(places.into_iter().collect())
}

/// The square as rows, or a vector as one number a line.
pub(super) fn write(path: &Path, labelled: &Labelled) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter(path)).from_writer(Vec::new());
    let ids = labelled.ids.as_ref().filter(|ids| *labelled.values.shape() == [ids.len(), ids.len()]);
    if let Some(ids) = ids {
        writer.write_record(std::iter::once("".into()).chain(ids.iter().map(|id| guard(id).into_owned())))?;
    }
    for (row, values) in labelled.values.outer_iter().enumerate() {
        let name = ids.map(|ids| guard(&ids[row]).into_owned());
        writer.write_record(name.into_iter().chain(values.iter().map(f64::to_string)))?;
    }
    atomic_file::write(path, &writer.into_inner()?)
}

fn number(cell: &str) -> Option<f64> {
    const MISSING: [&str; 5] = ["", "NA", "N/A", "#N/A", "n/a"];
    if MISSING.contains(&cell) { Some(f64::NAN) } else { cell.parse().ok() }
}

fn one_row_is_a_vector(values: ndarray::ArrayD<f64>) -> ndarray::ArrayD<f64> {
    match values.shape() {
        [1, count] | [count, 1] => {
            let count = *count;
            values.into_shape_with_order(vec![count]).expect("as many values")
        }
        _ => values,
    }
}

fn not_a_number(path: &Path, cell: &str, row: usize, column: usize) -> anyhow::Error {
    advise(
        format!(
            "`{}` has `{cell}` where a number is expected, in row {row}, column {column} of the numbers, counting from 0",
            path.display()
        ),
        "decimals have a point; names may stand in the first row and the first column alone",
    )
}
