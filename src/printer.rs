//! The one place that writes to the terminal: data to stdout, everything else to stderr.

use crate::interrupt;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use thingsvision::error::{Advice, hint_of, text_of};
use thingsvision::observer::{Observer, Progress, Stage};
use thingsvision::text::shown;
use unicode_width::UnicodeWidthStr;

/// With `lines` in this environment variable, progress is written as lines that begin with [`LINE`].
const PROGRESS: &str = "THINGSVISION_PROGRESS";
const LINE: &str = "progress:";

/// Prints, or keeps quiet.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    quiet: bool,
}

impl Printer {
    /// With `quiet`, notes and progress are dropped.
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Data, for people and pipes: a line or more to stdout. A pipe gets names as they are, a terminal as they can be shown.
    pub fn data(&self, text: &str) -> Result<()> {
        let hint = "look at where it goes: a disk that is full, a program that has ended";
        let advice = || Advice { problem: "cannot write to stdout".into(), hint: hint.into() };
        Self::put(text).with_context(advice)
    }

    fn put(text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(if stdout.is_terminal() { shown(text) } else { text.into() }.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    }

    /// A note to stderr.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    fn target(self) -> ProgressDrawTarget {
        match (self.quiet, is_for_program()) {
            (true, _) => ProgressDrawTarget::hidden(),
            (false, true) => ProgressDrawTarget::term_like_with_hz(Box::new(Lines), 2),
            (false, false) if io::stderr().is_terminal() => ProgressDrawTarget::stderr(),
            (false, false) => ProgressDrawTarget::hidden(),
        }
    }
}

impl Observer for Printer {
    fn note(&self, text: &str) {
        self.note(text);
    }

    fn begin(&self, stage: Stage, total: Option<usize>) -> Box<dyn Progress + '_> {
        let total = total.map(|total| total as u64);
        let bar = ProgressBar::with_draw_target(total, self.target());
        let template = match stage {
            Stage::Fetch(_) => "  fetching  {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
            Stage::Extract => "  extract   {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left",
            Stage::Rdms => "  RDMs      {wide_bar} {human_pos}/{human_len}  {eta} left",
            Stage::Triplets => "  triplets  {wide_bar} {human_pos}/{human_len} layers  {eta} left",
            Stage::Encode => "  encode    {wide_bar} {human_pos}/{human_len} folds  {eta} left",
            Stage::Reweight => "  reweight  {wide_bar} {human_pos}/{human_len} fits  {eta} left",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─").with_key("per_sec", |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            let _ = write!(f, "{:.0} images/s", state.per_sec());
        }));
        let fetched = if let Stage::Fetch(name) = stage { Some(name.to_owned()) } else { None };
        Box::new(Bar { bar, printer: *self, unannounced: Mutex::new(fetched) })
    }

    fn stopped(&self) -> Option<&'static str> {
        let printer = *self;
        interrupt::reason(move |answer| printer.note(answer))
    }
}

/// Drawn on a terminal only.
struct Bar {
    bar: ProgressBar,
    printer: Printer,
    /// What is being fetched, until its first byte is asked for.
    unannounced: Mutex<Option<String>>,
}

impl Progress for Bar {
    fn at(&self, done: u64, total: Option<u64>) {
        let name = self.unannounced.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(name) = name {
            self.printer.note(&format!("fetching the weights of {name}"));
        }
        if let Some(total) = total.or_else(|| self.bar.length().is_none().then_some(done)) {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn add(&self, units: u64) {
        self.bar.inc(units);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Bars for a program that draws them itself, such as the Python module in a notebook: each state is a line of stderr.
#[derive(Debug)]
struct Lines;

impl TermLike for Lines {
    fn width(&self) -> u16 {
        78
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.trim().is_empty() { Ok(()) } else { writeln!(io::stderr(), "{LINE}{}", text.trim_end()) }
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A line to stderr. That nobody reads it must not end a run.
fn say(text: &str) {
    writeln!(io::stderr(), "{}", shown(text)).ok();
}

/// Prints an error with its hint, if it has one.
pub fn error(error: &anyhow::Error) {
    say(&format!("error: {}", text_of(error)));
    if let Some(hint) = hint_of(error) {
        say(&format!("\nhint: {hint}"));
    }
}

/// Whether another program reads what is said, as the Python module does.
pub fn is_for_program() -> bool {
    std::env::var(PROGRESS).is_ok_and(|how| how == "lines")
}

/// Rows of cells as aligned columns; the columns whose number is in `right` are set flush right.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    // A line's end in a cell would look like a row of its own, a tab like a cell.
    let cell = |cell: &String| shown(cell).replace(['\n', '\t'], " ");
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
    let widths: Vec<_> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            // Letters of Chinese and Japanese take two places on the terminal, accents that follow theirs none.
            let padding = " ".repeat(widths[column] - cell.width());
            if right.contains(&column) { padding + cell } else { cell.clone() + &padding }
        });
        text += cells.collect::<Vec<_>>().join("   ").trim_end();
        text.push('\n');
    }
    text
}
