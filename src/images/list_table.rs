//! A list of images that is a table: the column that names them, and the one that they are averaged by.

use super::claims::is_called_image;
use super::conditions::AverageBy;
use crate::error::advise;
use crate::numbers::{count, count_of};
use crate::text::{has_open_quote, unguard};
use anyhow::{Context, Result};
use csv::StringRecord;
use std::path::Path;

/// What a list says.
#[derive(Debug, Default)]
pub struct Listed {
    pub entries: Vec<Entry>,
    pub names: Names,
    /// The name of the column that images are averaged by.
    pub column: Option<String>,
    pub notes: Vec<String>,
}

/// A row of a list.
#[derive(Debug, Default)]
pub struct Entry {
    /// What it calls the image.
    pub name: String,
    /// What it says in the column that images are averaged by.
    pub condition: String,
}

/// What a list calls its images by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    #[default]
    Paths,
    /// Paths in the folder `stimuli` of a BIDS data set.
    PathsInStimuli,
    /// IDs of files in that folder.
    StimulusIds,
}

/// What the column of the paths may be called: the first that there is, wherever it stands. Of `File Path` the plain form counts.
const PATHS: [&str; 13] = [
    "path",
    "image_path",
    "file_path",
    "filepath",
    "filename",
    "file_name",
    "image_filename",
    STIM_FILE,
    "file",
    "image",
    "img",
    "images",
    "stimulus",
];

/// Of BIDS's tables of events.
const STIM_FILE: &str = "stim_file";

/// Of BIDS's tables of stimuli, if they have no paths.
const IDS: [&str; 2] = ["stim_id", "stimulus_id"];

/// How BIDS writes that there is nothing.
const MISSING: &str = "n/a";

/// Columns of a wrong name that are listed at most.
const MOST_COLUMNS: usize = 20;

/// Reads the table of which the file `list` has this `text`. What is to be said of its images is looked for by `by`; whether it has
/// a header is seen by the first line, which without one names a file, such as there may be in `root`.
pub fn read(list: &Path, text: &str, delimiter: u8, root: &Path, by: Option<&AverageBy>) -> Result<Listed> {
    let broken = || format!("cannot read the list `{}`", list.display());
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(text.as_bytes());
    let mut records = reader.records();
    let Some(first) = records.next() else { return Ok(Listed::default()) };
    let first = first.with_context(broken)?;
    let mut table = Table::new(list, &first, root, by)?;
    if !table.has_header {
        table.add(&first)?;
    }
    let mut last = String::new();
    for record in records {
        let record = record.with_context(broken)?;
        last = record.iter().next_back().unwrap_or_default().to_owned();
        table.add(&record)?;
    }
    if has_open_quote(text, &last) {
        let problem = format!("a quote in `{}` has no end, so that rows after it are taken for one cell", list.display());
        return Err(advise(problem, "close it, or write it twice where it is meant as it stands"));
    }
    table.listed()
}

/// A table that is being read.
struct Table<'a> {
    list: &'a Path,
    has_header: bool,
    /// The columns of the names, of what images are averaged by, and of whether a file is there.
    name: usize,
    condition: Option<usize>,
    present: Option<usize>,
    /// Rows that name no picture.
    empty: usize,
    /// Rows without a condition, and the line of the first.
    without: Option<(usize, u64)>,
    listed: Listed,
}

impl<'a> Table<'a> {
    fn new(list: &'a Path, first: &StringRecord, root: &Path, by: Option<&AverageBy>) -> Result<Table<'a>> {
        let mut notes = Vec::new();
        let (name, names, has_header) = match named(list, first, &mut notes)? {
            Some((name, names)) => (name, names, true),
            None => (without_header(list, first, root)?, Names::Paths, false),
        };
        if has_header && root.join(&first[name]).is_file() {
            return Err(two_readings(list, &format!("has the column `{0}`, and names the file `{0}`", &first[name])));
        }
        if !has_header {
            notes.push(format!("the table has no header, for its first line names `{}`", &first[name]));
        }
        let condition = condition(list, first, has_header, by)?;
        let present = columns(first, "present").first().copied().filter(|_| names == Names::StimulusIds);
        let column = condition.map(|at| first[at].trim().to_owned());
        let listed = Listed { names, column, notes, ..Listed::default() };
        Ok(Table { list, has_header, name, condition, present, empty: 0, without: None, listed })
    }

    fn add(&mut self, row: &StringRecord) -> Result<()> {
        let cell = |at: usize| unguard(row.get(at).unwrap_or_default());
        if cell(self.name).trim() == MISSING || self.present.is_some_and(|at| cell(at).trim().eq_ignore_ascii_case("false")) {
            self.empty += 1;
            return Ok(());
        }
        let line = row.position().map_or(0, csv::Position::line);
        let condition = self.condition.map_or("", |at| cell(at).trim());
        if self.condition.is_some() && ["", MISSING].contains(&condition) {
            let (number, first) = self.without.unwrap_or((0, line));
            self.without = Some((number + 1, first));
        }
        if condition.contains(['\n', '\r']) {
            return Err(advise(
                format!("what line {line} of `{}` says in `{}` has a line break", self.list.display(), self.column()),
                "rows are named by it, each in a line: write it without",
            ));
        }
        self.listed.entries.push(Entry { name: cell(self.name).to_owned(), condition: condition.to_owned() });
        Ok(())
    }

    fn listed(mut self) -> Result<Listed> {
        if let Some((number, line)) = self.without {
            let first = if number > 1 { format!(" (the first of {} such lines)", count(number)) } else { String::new() };
            return Err(advise(
                format!("line {line} of `{}` says nothing in `{}`{first}", self.list.display(), self.column()),
                "fill it in, for its image would have no row; or take the line out of the list",
            ));
        }
        if self.empty > 0 {
            let rows = count_of(self.empty, "row");
            let absent = if self.present.is_some() { ", or not `present`" } else { "" };
            self.listed.notes.push(format!("{rows} without a picture (`{MISSING}`{absent}) left out"));
        }
        Ok(self.listed)
    }

    fn column(&self) -> &str {
        self.listed.column.as_deref().unwrap_or_default()
    }
}

/// The form of names that counts.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

/// The columns that are called `name`.
fn columns(header: &StringRecord, name: &str) -> Vec<usize> {
    header.iter().enumerate().filter(|(_, other)| plain(other) == plain(name)).map(|(at, _)| at).collect()
}

/// The column that names the images, if the first line is a header that has one.
fn named(list: &Path, header: &StringRecord, notes: &mut Vec<String>) -> Result<Option<(usize, Names)>> {
    let paths = PATHS.iter().filter_map(|name| Some((columns(header, name).first().copied()?, *name)));
    let paths: Vec<(usize, &str)> = paths.collect();
    let ids = || IDS.iter().find_map(|name| Some((columns(header, name).first().copied()?, Names::StimulusIds)));
    let found = match paths.first() {
        Some(&(at, STIM_FILE)) => Some((at, Names::PathsInStimuli)),
        Some(&(at, _)) => Some((at, Names::Paths)),
        None => ids(),
    };
    let Some((at, _)) = found else { return Ok(None) };
    check_once(list, header, at, "call the one of the paths `path`, and the other something else")?;
    if paths.len() > 1 {
        let others: Vec<_> = paths[1..].iter().map(|&(other, _)| format!("`{}`", &header[other])).collect();
        notes.push(format!("paths are those in the column `{}`, and not in {}", &header[at], others.join(", ")));
    }
    Ok(found)
}

fn check_once(list: &Path, header: &StringRecord, at: usize, hint: &str) -> Result<()> {
    match columns(header, &header[at])[..] {
        [one, other, ..] => Err(advise(
            format!("`{}` has two columns of one name, `{}` and `{}`", list.display(), &header[one], &header[other]),
            hint,
        )),
        _ => Ok(()),
    }
}

/// The column of the paths in a table of which the first line is no header, for it names a picture.
fn without_header(list: &Path, first: &StringRecord, root: &Path) -> Result<usize> {
    let is_picture = |cell: &str| is_called_image(Path::new(cell.trim())) || root.join(cell).is_file();
    let pictures: Vec<usize> = (0..first.len()).filter(|&at| is_picture(&first[at])).collect();
    match pictures[..] {
        [] => Err(no_paths(list, first, root)),
        [one] => Ok(one),
        [one, other, ..] => {
            Err(two_readings(list, &format!("is no header, and names `{}` and `{}`", &first[one], &first[other])))
        }
    }
}

fn two_readings(list: &Path, first_line: &str) -> anyhow::Error {
    advise(
        format!("`{}` can be read in two ways: its first line {first_line}", list.display()),
        "write a first line that calls the column of the paths `path`, and no other column so",
    )
}

fn no_paths(list: &Path, header: &StringRecord, root: &Path) -> anyhow::Error {
    let columns = header.iter().collect::<Vec<_>>().join(", ");
    let hint = if columns.contains(';') {
        "its columns are apart by semicolons: save it with commas"
    } else if columns.contains('\t') {
        "its columns are apart by tabs: let its name end in .tsv"
    } else if header.iter().any(|cell| !cell.is_empty() && root.join(cell).is_dir()) {
        "it names a folder, as THINGS's unique_id.csv does: without a list, --average-by folder makes a row of each folder"
    } else {
        "call the column `path` in the first line"
    };
    advise(format!("`{}` has no column of paths; its columns are {columns}", list.display()), hint)
}

/// The column that images are to be averaged by.
fn condition(list: &Path, header: &StringRecord, has_header: bool, by: Option<&AverageBy>) -> Result<Option<usize>> {
    let found = |name: &str| if has_header { columns(header, name) } else { Vec::new() };
    match by {
        None => Ok(None),
        Some(AverageBy::Folder) => match found("folder").first() {
            None => Ok(None),
            Some(&at) => Err(advise(
                format!(
                    "`folder` can be meant in two ways: the folder of an image, and the column `{}` of `{}`",
                    &header[at],
                    list.display()
                ),
                "say `column:folder` for the column, or call it something else for the folder",
            )),
        },
        Some(AverageBy::Column(name)) if !has_header => Err(no_columns(list, name)),
        Some(AverageBy::Column(name)) => match found(name).first() {
            None => Err(no_column(list, header, name)),
            Some(&at) => check_once(list, header, at, "give one of them another name").map(|()| Some(at)),
        },
    }
}

/// Of a list that has no names of columns.
pub fn no_columns(list: &Path, name: &str) -> anyhow::Error {
    advise(
        format!("`{}` has no header, so no column `{name}` to average by", list.display()),
        "write a .csv or .tsv with a first line: `path` for the paths, and what the other columns are",
    )
}

fn no_column(list: &Path, header: &StringRecord, name: &str) -> anyhow::Error {
    let mut others: Vec<&str> = header.iter().map(str::trim).collect();
    others.sort_by_key(|other| strsim::damerau_levenshtein(&plain(other), &plain(name)));
    let more = if others.len() > MOST_COLUMNS { ", …" } else { "" };
    others.truncate(MOST_COLUMNS);
    advise(
        format!("`{}` has no column `{name}`; its columns are {}{more}", list.display(), others.join(", ")),
        "`--average-by` takes one of them, or `folder` for the folders that the images lie in",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, by: Option<&str>) -> Result<Listed> {
        let by = by.map(|by| by.parse::<AverageBy>().unwrap());
        read(Path::new("t.csv"), text, b',', Path::new("nowhere"), by.as_ref())
    }

    fn names(text: &str) -> Vec<String> {
        table(text, None).unwrap().entries.into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn the_first_image_of_a_table_without_header_counts() {
        assert_eq!(names("a/1.jpg\na/2.jpg\n"), ["a/1.jpg", "a/2.jpg"]);
        assert_eq!(names("1,a/1.JPG\r2,a/2.jpg"), ["a/1.JPG", "a/2.jpg"]);
        assert_eq!(names("path\na/2.jpg\n"), ["a/2.jpg"]);
        assert!(names("").is_empty() && names("path\n").is_empty());
        let problem = table("a.jpg,b.jpg\n", None).unwrap_err().to_string();
        assert!(problem.ends_with("is no header, and names `a.jpg` and `b.jpg`"), "{problem}");
        assert!(table("a.jpg,x\n", Some("x")).unwrap_err().to_string().contains("has no header"));
    }

    #[test]
    fn rows_of_bids_without_a_picture_are_left_out() {
        let events = table("onset,stim_file\n1,a.png\n2,n/a\n", None).unwrap();
        assert_eq!((events.entries.len(), events.names), (1, Names::PathsInStimuli));
        assert_eq!(events.notes, ["1 row without a picture (`n/a`) left out"]);
        let stimuli = table("stimulus_id,present\na,true\nb,false\nc,n/a\n", None).unwrap();
        assert_eq!((stimuli.entries.len(), stimuli.names), (2, Names::StimulusIds));
        assert_eq!(table("stim_id,filename\na,a.png\n", None).unwrap().names, Names::Paths);
    }

    #[test]
    fn a_quote_without_end_swallows_no_rows() {
        assert_eq!(names("path,note\na.png,\"two\nlines\"\nb.png,x\n"), ["a.png", "b.png"]);
        assert_eq!(names("path,note\na.png,x\nb.png,\"two\nlines\"\n"), ["a.png", "b.png"]);
        assert!(table("path,note\na.png,\"x\nb.png,y\n", None).unwrap_err().to_string().contains("has no end"));
        assert!(table("path,note\na.png\n", None).is_err());
    }

    #[test]
    fn conditions_are_those_of_one_column() {
        let conditions = |text: &str, by: &str| -> Vec<String> {
            table(text, Some(by)).unwrap().entries.into_iter().map(|entry| entry.condition).collect()
        };
        assert_eq!(conditions("path, Top-Down Class\na.png, dog \nb.png,'=cat\n", "top_down class"), ["dog", "=cat"]);
        assert_eq!(conditions("path,folder\na.png,x\n", "column:folder"), ["x"]);
        let problem = |text: &str, by: &str| table(text, Some(by)).unwrap_err().to_string();
        assert!(problem("path,Folder\n", "folder").contains("and the column `Folder` of `t.csv`"));
        assert!(problem("path,a,concept\n", "conept").ends_with("its columns are concept, path, a"));
        assert!(problem("path,a,A \n", "a").ends_with("has two columns of one name, `a` and `A `"));
        assert!(
            problem("path,a\nx.png,y\nz.png,\nz.png,n/a\n", "a")
                .starts_with("line 3 of `t.csv` says nothing in `a` (the first of 2")
        );
        assert!(problem("path,a\nx.png,\"y\nz\"\n", "a").starts_with("what line 2 of"));
    }
}
