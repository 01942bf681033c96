//! The one place that writes to the terminal: data to stdout, everything else to stderr.

use crate::commands::extract::stop::Stop;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use thingsvision::error::{hint_of, text_of};
use thingsvision::observer::{Observer, Progress, Stage};

/// Prints, or keeps quiet.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    quiet: bool,
    bars_only: bool,
}

impl Printer {
    /// With `quiet`, notes and progress are dropped.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, bars_only: false }
    }

    /// The same without notes, for a part of a larger task that says what it does by itself.
    pub fn only_bars(self) -> Self {
        Self { bars_only: true, ..self }
    }

    /// Data, for people and pipes: a line or more to stdout.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    }

    /// A note to stderr.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.bars_only {
            say(text);
        }
    }

    /// A fact with its label, as the summary before a run has them.
    pub fn fact(&self, label: &str, text: &str) {
        self.note(&format!("  {label:<9} {text}"));
    }

    /// The progress of a download of the weights called `name`.
    pub fn download(self, name: &str) -> Download {
        let bar = ProgressBar::with_draw_target(None, self.target());
        let template = "  fetching  {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"),
        );
        Download { bar, name: name.to_owned(), printer: self, begun: false.into() }
    }

    fn target(self) -> ProgressDrawTarget {
        let visible = !self.quiet && io::stderr().is_terminal();
        if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }

    /// A progress bar over `total` images, drawn only on a terminal.
    pub fn progress(&self, label: &'static str, total: usize) -> ProgressBar {
        let template = "  {prefix:<9} {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style =
            style.progress_chars("━╸─").with_key("per_sec", |state: &indicatif::ProgressState, f: &mut dyn std::fmt::Write| {
                let _ = write!(f, "{:.0} images/s", state.per_sec());
            });
        let bar = ProgressBar::with_draw_target(Some(total as u64), self.target());
        bar.set_style(style);
        bar.set_prefix(label);
        bar
    }
}

impl Observer for Printer {
    fn note(&self, text: &str) {
        Printer::note(self, text);
    }

    fn begin(&self, stage: Stage, total: Option<usize>) -> Box<dyn Progress + '_> {
        let bar = match stage {
            Stage::Fetch(name) => return Box::new(Fetching(std::sync::Mutex::new(self.download(name)))),
            Stage::Extract => self.progress("extract", total.unwrap_or(0)),
        };
        Box::new(Extracting(bar))
    }

    fn stopped(&self) -> Option<&'static str> {
        Stop::listen().interrupted().map(|interrupted| interrupted.text())
    }
}

struct Fetching(std::sync::Mutex<Download>);

impl Progress for Fetching {
    fn at(&self, done: u64, total: Option<u64>) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).at(done, total);
    }

    fn add(&self, _units: u64) {}
}

struct Extracting(ProgressBar);

impl Progress for Extracting {
    fn at(&self, done: u64, _total: Option<u64>) {
        self.0.set_position(done);
    }

    fn add(&self, units: u64) {
        self.0.inc(units);
    }
}

/// The progress of a download, drawn from its first byte on.
pub struct Download {
    bar: ProgressBar,
    name: String,
    printer: Printer,
    begun: std::cell::Cell<bool>,
}

impl Download {
    /// `arrived` of `total` bytes are here.
    pub fn at(&self, arrived: u64, total: Option<u64>) {
        if !self.begun.replace(true) {
            self.printer.note(&format!("fetching the weights of {}", self.name));
        }
        self.bar.set_length(total.unwrap_or(arrived));
        self.bar.set_position(arrived);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A line to stderr. That nobody reads it must not end a run.
fn say(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}

/// Prints an error with its hint, if it has one.
pub fn error(error: &anyhow::Error) {
    say(&format!("error: {}", text_of(error)));
    if let Some(hint) = hint_of(error) {
        say(&format!("\nhint: {hint}"));
    }
}

/// Rows of cells as aligned columns; the columns whose number is in `right` are set flush right.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text += cells.collect::<Vec<_>>().join("   ").trim_end();
        text.push('\n');
    }
    text
}
