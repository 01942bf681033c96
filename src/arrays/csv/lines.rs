//! The cells of a table in text, and the marks of editors, NumPy and R that belong to none.

use crate::arrays::{bytes, kind};
use crate::error::{Advice, advise};
use anyhow::{Context, Result};
use std::path::Path;

/// The cells, all lines of the same length.
pub(super) fn lines(path: &Path) -> Result<Vec<Vec<String>>> {
    let text = bytes(path)?;
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Err(advise(format!("`{}` is text of 16 bits a letter", path.display()), "save it as CSV in UTF-8"));
    }
    let mut lines = if kind(path) == "txt" { words(&text, path)? } else { cells(&text, delimiter(path), path)? };
    // Excel's own line.
    if lines.first().is_some_and(|line| line[0].starts_with("sep=")) {
        lines.remove(0);
    }
    // NumPy's `savetxt` marks the names of columns as a comment; where there are spaces between cells the mark is one of them.
    if let [first, second, ..] = &mut lines[..]
        && first.len() == second.len() + 1
        && first[0] == "#"
    {
        first.remove(0);
    }
    if let [first, second, ..] = &mut lines[..]
        && first.len() == second.len()
        && first.len() > 1
        && let Some(name) = first[0].strip_prefix('#')
    {
        first[0] = name.trim().to_owned();
    }
    // R's `write.table` names the columns, but not the one of the names.
    if let [first, others @ ..] = &mut lines[..]
        && !others.is_empty()
        && others.iter().all(|line| line.len() == first.len() + 1)
    {
        first.insert(0, String::new());
    }
    check_cells(&lines, path)?;
    Ok(lines)
}

fn cells(text: &[u8], delimiter: u8, path: &Path) -> Result<Vec<Vec<String>>> {
    let mut table = csv::ReaderBuilder::new();
    let mut reader = table.has_headers(false).flexible(true).delimiter(delimiter).from_reader(text);
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| Advice {
            problem: format!("`{}` is no table", path.display()),
            hint: "save it as CSV in UTF-8: Excel calls that `CSV UTF-8`".into(),
        })?;
        lines.push(record.iter().map(|cell| cell.trim().to_owned()).collect());
    }
    Ok(lines)
}

/// Spaces between the cells, as `np.savetxt` writes them.
fn words(text: &[u8], path: &Path) -> Result<Vec<Vec<String>>> {
    let text = std::str::from_utf8(text).map_err(|_| advise(format!("`{}` is no text", path.display()), "save it in UTF-8"))?;
    let text = match text.split_once('\n') {
        // The header that NumPy's `savetxt` is given may have commas where the numbers have spaces.
        Some((header, rest)) if header.starts_with('#') && !rest.contains(',') => {
            &format!("{}\n{rest}", header.replace(',', " "))
        }
        _ => text,
    };
    if text.contains(',') {
        return Err(advise(format!("there are commas in `{}`", path.display()), "give a table with commas the ending .csv"));
    }
    let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty());
    let Some(quoted) = text.contains('"').then(|| lines.clone().map(str::trim).collect::<Vec<_>>().join("\n")) else {
        return Ok(lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect());
    };
    // R puts names between quotes, in which there may be spaces.
    let delimiter = if quoted.contains('\t') { b'\t' } else { b' ' };
    cells(quoted.as_bytes(), delimiter, path)
}

fn check_cells(lines: &[Vec<String>], path: &Path) -> Result<()> {
    let path = path.display();
    let Some(first) = lines.first() else {
        return Err(advise(format!("`{path}` is empty"), "write one row of numbers a line"));
    };
    if lines.iter().flatten().any(|cell| cell.contains(';')) {
        return Err(advise(
            format!("the cells of `{path}` are separated by semicolons"),
            "save it with commas between cells and points in decimals, or as .tsv with tabs",
        ));
    }
    if lines.iter().all(|line| line.len() == 1 && line[0].split_whitespace().count() > 1) {
        return Err(advise(
            format!("the cells of `{path}` are separated by tabs or spaces"),
            "save it with commas, or with tabs and the ending .tsv",
        ));
    }
    if let Some(line) = lines.iter().position(|line| line.len() != first.len()) {
        let (cells, expected) = (lines[line].len(), first.len());
        return Err(advise(
            format!("line {} of `{path}` has {cells} cells, the first has {expected}", line + 1),
            "write as many cells in every line, and no comments",
        ));
    }
    // Of half a square one row is empty, too.
    let is_half = first.len() > 2 && lines.iter().any(|line| line[1..].iter().all(String::is_empty));
    if lines.len() > 1 && first.len() > 1 && !is_half && lines.iter().all(|line| line[line.len() - 1].is_empty()) {
        return Err(advise(format!("the last column of `{path}` is empty"), "remove the comma at the end of each line"));
    }
    Ok(())
}

/// Between the cells of a table at `path`: tabs in `.tsv`, else commas.
pub(crate) fn delimiter(path: &Path) -> u8 {
    if kind(path) == "tsv" { b'\t' } else { b',' }
}
