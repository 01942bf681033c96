//! `thingsvision man`: the help of every command as pages of the manual.

use crate::cli::{Cli, Man};
use crate::printer::Printer;
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::{fs, io};

/// What `man` has no letters for and leaves out without a word, which would make another formula.
const PLAIN: [(&str, &str); 8] = [
    ("x\u{304}", "mean(x)"),
    ("y\u{304}", "mean(y)"),
    ("ȳ", "mean(y)"),
    ("R\u{304}", "mean(R)"),
    ("ᵀ", "'"),
    ("⁻¹", "^-1"),
    ("∘²", "^2 (each number)"),
    ("‖", "||"),
];

/// Writes the pages, `thingsvision.1`, `thingsvision-extract.1` …, and prints the folder.
pub fn run(arguments: &Man, printer: Printer) -> Result<()> {
    let folder = &arguments.folder;
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)?;
        for page in fs::read_dir(folder)? {
            let page = page?.path();
            let is_ours = page.file_name().is_some_and(|name| name.to_string_lossy().starts_with("thingsvision"));
            if is_ours {
                fs::write(&page, plain(&fs::read_to_string(&page)?))?;
            }
        }
        Ok(())
    };
    write().with_context(|| format!("the manual cannot be written to `{}`", folder.display()))?;
    printer.data(&folder.display().to_string())
}

fn plain(page: &str) -> String {
    let subscripts = [("(x−y)ₐ", "(x−y)_a"), ("(x−y)ᵦ", "(x−y)_b")];
    PLAIN.iter().chain(&subscripts).fold(page.to_owned(), |page, (letters, plain)| page.replace(letters, plain))
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
            let strange: String = text.chars().filter(|letter| !letter.is_ascii() && !"−Σ²³√·½×Φ…ρτ⟨⟩≠ü'≤≥ΔŷŒ–".contains(*letter)).collect();
            assert_eq!(strange, "", "in {}", text.lines().nth(2).unwrap_or_default());
            pages += 1;
        }
        assert!(pages > 20, "{pages}");
    }
}
