//! Tables on the terminal: names, then columns of numbers, of those in which there is something to say.

use crate::printer::columns;

/// What stands for a number that there is a reason not to give.
pub const NOT_AVAILABLE: &str = "n/a";

/// A column of numbers of rows `T`.
pub struct Column<'a, T> {
    pub title: &'a str,
    /// Whether there is something to say.
    pub wanted: bool,
    pub cell: fn(&T) -> Option<String>,
    /// Whether it is said once for each target.
    pub once: bool,
    pub left: bool,
}

/// A column that is flush right, and says something of every row.
pub fn column<T>(title: &str, wanted: bool, cell: fn(&T) -> Option<String>) -> Column<'_, T> {
    Column { title, wanted, cell, once: false, left: false }
}

/// Rows with their names, which `titles` call, and the columns that are wanted. A name is said once, as long as it and those before it
/// stay the same: those of targets are the first `target` of them, and the last of all is said of every row.
pub fn table<'a, T: 'a, const N: usize>(
    titles: [&str; N],
    target: usize,
    rows: impl Iterator<Item = ([&'a str; N], &'a T)>,
    all: &[Column<T>],
) -> String {
    let wanted: Vec<&Column<T>> = all.iter().filter(|column| column.wanted).collect();
    let titles = titles.into_iter().chain(wanted.iter().map(|column| column.title));
    let mut lines: Vec<Vec<String>> = vec![titles.map(str::to_owned).collect()];
    let mut before: Option<[&str; N]> = None;
    for (names, row) in rows {
        let same = |count: usize| before.is_some_and(|before| before[..count] == names[..count]);
        let unless = |same: bool, text: &str| if same { String::new() } else { text.to_owned() };
        // The kind of a target is a part of its name.
        let name = |place: usize| unless(place + 1 < N && same((place + 1).max(target)), names[place]);
        let cell = |column: &&Column<T>| unless(column.once && same(target), &(column.cell)(row).unwrap_or_default());
        lines.push((0..N).map(name).chain(wanted.iter().map(cell)).collect());
        before = Some(names);
    }
    let right: Vec<usize> = (N..).zip(&wanted).filter(|(_, column)| !column.left).map(|(place, _)| place).collect();
    columns(&lines, &right)
}

/// With three decimals; of what is not known, that.
pub fn three(value: Option<f64>) -> String {
    value.map_or_else(|| NOT_AVAILABLE.into(), |value| format!("{value:.3}"))
}

pub fn interval(low: Option<f64>, high: Option<f64>) -> String {
    low.zip(high).map_or_else(|| NOT_AVAILABLE.into(), |(low, high)| range(low, high))
}

pub fn range(low: f64, high: f64) -> String {
    format!("{low:.3} … {high:.3}")
}

pub fn probability(p: f64) -> String {
    if p < 0.0001 { format!("{p:.1e}") } else { format!("{p:.4}") }
}
