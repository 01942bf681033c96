//! The program: parse, dispatch, and print the error if there is one.

#[cfg(not(target_env = "msvc"))]
mod allocator;
mod cli;
mod commands;
mod printer;

use clap::Parser;
use cli::{Cli, Command};
use printer::Printer;
use std::process::ExitCode;
use thingsvision::weights::Store;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(cli.quiet);
    let registry = cli.registry.as_deref();
    let store = || Store::open(cli.cache.as_deref(), cli.offline);
    let result = match cli.command {
        Command::Models(arguments) => commands::models::run(&arguments, registry, printer),
        Command::Layers(arguments) => commands::layers::run(&arguments, registry, printer),
        Command::Extract(arguments) => store().and_then(|store| commands::extract::run(&arguments, registry, &store, printer)),
        Command::Weights(arguments) => store().and_then(|store| commands::weights::run(&arguments, registry, &store, printer)),
        Command::Rdm(arguments) => commands::rdm::run(&arguments, printer),
        Command::Rsa(arguments) => commands::rsa::run(&arguments, printer),
        Command::Cka(arguments) => commands::cka::run(&arguments, printer),
        Command::Plot(arguments) => commands::plot::run(&arguments, printer),
        Command::Study(arguments) => store().and_then(|store| commands::study::run(&arguments, registry, &store, printer)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// `thingsvision layers … | head` has read enough: no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
