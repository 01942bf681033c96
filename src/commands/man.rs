//! `thingsvision man`: the help of every command as pages of the manual.

use crate::cli::{Cli, Man};
use crate::printer::Printer;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use std::path::Path;
use std::{fs, io};
use thingsvision::atomic_file;

/// What `man` has no letters for and leaves out without a word, which would make another formula.
const PLAIN: [(&str, &str); 10] = [
    ("x\u{304}", "mean(x)"),
    ("y\u{304}", "mean(y)"),
    ("ȳ", "mean(y)"),
    ("R\u{304}", "mean(R)"),
    ("ᵀ", "'"),
    ("⁻¹", "^-1"),
    ("∘²", "^2 (each number)"),
    ("‖", "||"),
    ("(x−y)ₐ", "(x−y)_a"),
    ("(x−y)ᵦ", "(x−y)_b"),
];

/// Writes the pages, `thingsvision.1`, `thingsvision-extract.1` …, and prints the folder.
pub fn run(arguments: &Man, printer: Printer) -> Result<()> {
    let folder = &arguments.folder;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(folder)
        .and_then(|()| write(command, folder))
        .with_context(|| format!("the manual cannot be written to `{}`", folder.display()))?;
    printer.data(&folder.display().to_string())
}

/// The pages of a command and of those below it.
fn write(command: Command, folder: &Path) -> io::Result<()> {
    command.get_subcommands().try_for_each(|command| write(command.clone(), folder))?;
    let page = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let text = PLAIN.iter().fold(text, |text, (letters, plain)| text.replace(letters, plain));
    atomic_file::write(&folder.join(page.get_filename()), text.as_bytes()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_only_letters_that_man_knows() {
        let folder = tempfile::tempdir().unwrap();
        run(&Man { folder: folder.path().to_owned() }, Printer::new(true)).unwrap();
        let mut pages = 0;
        for page in fs::read_dir(folder.path()).unwrap() {
            let text = fs::read_to_string(page.unwrap().path()).unwrap();
            let strange: String =
                text.chars().filter(|letter| !letter.is_ascii() && !"−Σ²³√·½×Φ…λρστ⟨⟩≠ü'≤≥ΔŷŒ–".contains(*letter)).collect();
            assert_eq!(strange, "", "in {}", text.lines().nth(2).unwrap_or_default());
            pages += 1;
        }
        assert!(pages > 20, "{pages}");
    }
}
