//! The texts of a run: a text a line, or a table with the columns `id` and `text`.

use crate::error::advise;
use crate::plain_file;
use crate::text::{has_open_quote, short};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Texts in the order of their rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextList {
    /// The file.
    pub path: PathBuf,
    /// The stimulus ID of each: the text itself, where the file has no others.
    pub ids: Vec<String>,
    /// As the file has them.
    pub texts: Vec<String>,
}

/// An ID and its text, and the line where they begin.
struct Row {
    line: u64,
    id: String,
    text: String,
}

impl TextList {
    /// Reads the file at `path`. Fails for what is not UTF-8, for texts and IDs that are empty, and for an ID that is there twice,
    /// with the line.
    pub fn read(path: &Path) -> Result<TextList> {
        let bytes = plain_file::read(path).with_context(|| format!("cannot read the texts in `{}`", path.display()))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default();
        let rows = match ending.to_str() {
            Some("csv") => table(path, utf8(path, bytes)?, b',')?,
            Some("tsv") => table(path, utf8(path, bytes)?, b'\t')?,
            _ => lines(utf8(path, bytes)?),
        };
        let mut found: HashMap<&str, u64> = HashMap::new();
        for Row { line, id, text } in &rows {
            let wrong = |what: &str, hint: &str| Err(advise(format!("line {line} of `{}` {what}", path.display()), hint));
            if text.trim().is_empty() {
                return wrong("has no text", "take the line out: each row of the activations is of a text");
            }
            if id.trim().is_empty() {
                return wrong("has no ID", "give each text an ID of its own");
            }
            if id.contains(char::is_control) {
                return wrong(
                    "has a control character in its ID",
                    "of a tab: call a table with the columns id and text .tsv; of others: save the file as UTF-8 with one text a line",
                );
            }
            if let Some(first) = found.insert(id, *line) {
                return wrong(
                    &format!("has the ID `{}`, as line {first}", short(id)),
                    "IDs must differ; to show a text twice, give both an ID in a table: id,text",
                );
            }
        }
        if rows.is_empty() {
            return Err(advise(format!("there are no texts in `{}`", path.display()), "write one a line"));
        }
        let (ids, texts) = rows.into_iter().map(|row| (row.id, row.text)).unzip();
        Ok(TextList { path: std::path::absolute(path)?, ids, texts })
    }
}

/// `bytes` as text; fails with the line where they are none.
fn utf8<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        advise(format!("line {line} of `{}` is not UTF-8", path.display()), "save the file as UTF-8")
    })
}

/// The text of a line is its ID.
fn lines(text: &str) -> Vec<Row> {
    let lines = text.lines().zip(1..);
    lines.map(|(text, line)| Row { line, id: text.trim().to_owned(), text: text.to_owned() }).collect()
}

fn table(path: &Path, all: &str, delimiter: u8) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(all.as_bytes());
    let unreadable = |error: csv::Error| {
        advise(
            format!("cannot read the table `{}`: {error}", path.display()),
            "its columns are id and text; a text with a comma in it stands in quotes",
        )
    };
    let header = reader.headers().map_err(unreadable)?.clone();
    let column = |name: &str| {
        let mut found = header.iter().enumerate().filter(|(_, other)| other.trim().eq_ignore_ascii_case(name)).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (Some(at), None) => Ok(at),
            (None, _) => Err(advise(
                format!("the table `{}` has no column `{name}`", path.display()),
                "the first line is to say `id,text`, with a comma between (in .tsv a tab); a file with a text a line is called .txt",
            )),
            (Some(_), Some(_)) => {
                Err(advise(format!("the table `{}` has two columns `{name}`", path.display()), "keep one of them"))
            }
        }
    };
    let (id, text) = (column("id")?, column("text")?);
    let mut rows = Vec::new();
    let mut last = String::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        last = record.iter().next_back().unwrap_or_default().to_owned();
        let line = record.position().map_or(0, csv::Position::line);
        rows.push(Row { line, id: record[id].trim().to_owned(), text: record[text].to_owned() });
    }
    if let Some(Row { line, .. }) = rows.last().filter(|_| has_open_quote(all, &last)) {
        return Err(advise(
            format!("a quote in line {line} of `{}` has no end, so that rows after it are taken for one text", path.display()),
            "close it, or write it twice where it is meant as it stands",
        ));
    }
    Ok(rows)
}
