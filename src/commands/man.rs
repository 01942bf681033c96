//! `thingsvision man`: the help of every command as pages of the manual.

use crate::cli::{Cli, Man};
use crate::printer::Printer;
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::fs;

/// Writes the pages, `thingsvision.1`, `thingsvision-extract.1` …, and prints the folder.
pub fn run(arguments: &Man, printer: Printer) -> Result<()> {
    let folder = &arguments.folder;
    let write = || {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    write().with_context(|| format!("the manual cannot be written to `{}`", folder.display()))?;
    printer.data(&folder.display().to_string())
}
