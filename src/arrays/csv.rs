//! Tables of numbers as text: commas or, in `.tsv`, tabs. A first row or column that is no number holds names.

use super::{Labelled, array, bytes, kind};
use crate::advice::advise;
use crate::whole;
use anyhow::{Context, Result};
use std::path::Path;

/// An empty cell and `nan` are NaN.
pub(super) fn read(path: &Path) -> Result<Labelled> {
    let text = bytes(path)?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter(path)).from_reader(&text[..]);
    let mut lines: Vec<Vec<String>> = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("`{}` is no table", path.display()))?;
        lines.push(record.iter().map(|cell| cell.trim().to_owned()).collect());
    }
    check_cells(&lines, path)?;
    // What pandas writes, also where the names are numbers: nothing, then the names of the columns.
    let has_corner =
        lines.len() > 1 && lines[0].len() > 2 && lines[0][0].is_empty() && lines[0][1..].iter().all(|cell| !cell.is_empty());
    let has_names = |cells: &[&String]| {
        cells.iter().skip(1).any(|cell| number(cell).is_none()) || cells.iter().all(|cell| number(cell).is_none())
    };
    let header =
        lines.first().is_some_and(|line| has_corner || has_names(&line.iter().collect::<Vec<_>>())).then(|| lines.remove(0));
    let named = !lines.is_empty() && (has_corner || lines.iter().all(|line| line.len() > 1 && number(&line[0]).is_none()));
    let ids = named.then(|| lines.iter_mut().map(|line| line.remove(0)).collect());
    let columns = lines.first().map_or(0, Vec::len);
    let mut values = Vec::with_capacity(lines.len() * columns);
    for (row, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            values.push(number(cell).ok_or_else(|| not_a_number(path, cell, row, column))?);
        }
    }
    let values = array(&[lines.len(), columns], values, path)?;
    // The names of a square are those of its rows and columns alike.
    let of_columns = || header.filter(|names| names.len() == lines.len() && columns == lines.len());
    Ok(Labelled { ids: ids.or_else(of_columns), values: one_row_is_a_vector(values), of_pairs: false })
}

/// The square as rows, or a vector as one number a line.
pub(super) fn write(path: &Path, labelled: &Labelled) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter(path)).from_writer(Vec::new());
    let ids = labelled.ids.as_ref().filter(|ids| *labelled.values.shape() == [ids.len(), ids.len()]);
    if let Some(ids) = ids {
        writer.write_record(std::iter::once("").chain(ids.iter().map(String::as_str)))?;
    }
    for (row, values) in labelled.values.outer_iter().enumerate() {
        let name = ids.map(|ids| ids[row].clone());
        writer.write_record(name.into_iter().chain(values.iter().map(f64::to_string)))?;
    }
    whole::write(path, &writer.into_inner()?)
}

fn check_cells(lines: &[Vec<String>], path: &Path) -> Result<()> {
    if lines.is_empty() {
        return Err(advise(format!("`{}` is empty", path.display()), "write one row of numbers a line"));
    }
    if lines.iter().any(|line| line.iter().any(|cell| cell.contains(';'))) {
        return Err(advise(
            format!("the cells of `{}` are separated by semicolons", path.display()),
            "save it with commas between cells and points in decimals, or as .tsv with tabs",
        ));
    }
    Ok(())
}

fn delimiter(path: &Path) -> u8 {
    if kind(path) == "tsv" { b'\t' } else { b',' }
}

fn number(cell: &str) -> Option<f64> {
    if cell.is_empty() { Some(f64::NAN) } else { cell.parse().ok() }
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
