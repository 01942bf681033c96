//! The program: parse, dispatch, and print the error if there is one.

#[cfg(not(target_env = "msvc"))]
mod allocator;
mod cli;
mod commands;
mod printer;
mod sigbus;

use clap::Parser;
use cli::{Cli, Command};
use commands::extract::stop::Interrupted;
use printer::Printer;
use std::process::ExitCode;
use thingsvision::weights::Store;

fn main() -> ExitCode {
    let cli = Cli::parse();
    sigbus::report();
    let printer = Printer::new(cli.quiet);
    // What cannot be written down cannot be repeated by `resume`.
    let words = std::env::args_os().map(|word| word.into_string().ok()).collect::<Option<Vec<_>>>().unwrap_or_default();
    exit_code(run(cli, words, printer))
}

/// Does what the command line asks for; `words` are recorded where they may be repeated.
fn run(cli: Cli, words: Vec<String>, printer: Printer) -> anyhow::Result<()> {
    let registry = cli.registry.as_deref();
    let store = || Store::open(cli.cache.as_deref(), cli.offline);
    match cli.command {
        Command::Models(arguments) => commands::models::run(&arguments, registry, &store()?, printer),
        Command::Layers(arguments) => commands::layers::run(&arguments, registry, &store()?, printer),
        Command::Extract(arguments) => {
            let arguments = cli::Extract { command: words, ..*arguments };
            commands::extract::run(&arguments, registry, &store()?, printer)
        }
        Command::Resume(arguments) => {
            let words = commands::resume::words(&arguments.run)?;
            run(Cli::try_parse_from(&words)?, words, printer)
        }
        Command::Merge(arguments) => commands::merge::run(&arguments, printer),
        Command::Verify(arguments) => commands::verify::run(&arguments, printer),
        Command::Weights(arguments) => store().and_then(|store| commands::weights::run(&arguments, registry, &store, printer)),
        Command::Rdm(arguments) => commands::rdm::run(&arguments, printer),
        Command::Rsa(arguments) => commands::rsa::run(&arguments, printer),
        Command::Cka(arguments) => commands::cka::run(&arguments, printer),
        Command::Plot(arguments) => commands::plot::run(&arguments, printer),
        Command::Study(arguments) => store().and_then(|store| commands::study::run(&arguments, registry, &store, printer)),
    }
}

fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer::error(&error);
            match error.downcast_ref::<Interrupted>() {
                Some(Interrupted(signal)) => ExitCode::from(128 + *signal as u8),
                None => ExitCode::FAILURE,
            }
        }
    }
}

/// `thingsvision layers … | head` has read enough: no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
