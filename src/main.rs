//! The program: parse, dispatch, and print the error if there is one.

#[cfg(not(target_env = "msvc"))]
mod allocator;
mod cli;
mod commands;
mod fatal;
mod interrupt;
mod printer;

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::{Cli, Command};
use printer::Printer;
use std::process::ExitCode;
use thingsvision::extract::{AlignRequest, ReduceRequest, Request, resume};
use thingsvision::observer::Stopped;

fn main() -> ExitCode {
    commands::completions::answer();
    let cli = Cli::parse();
    fatal::report();
    interrupt::end_with_parent();
    let printer = Printer::new(cli.quiet);
    exit_code(run(&cli, printer), printer)
}

/// Does what the command line asks for.
fn run(cli: &Cli, printer: Printer) -> Result<()> {
    let places = cli.placed(Request::default());
    match &cli.command {
        Command::Models(arguments) => commands::models::run(arguments, &places, printer),
        Command::Layers(arguments) => commands::layers::run(arguments, &places, printer),
        Command::Extract(arguments) => {
            commands::extract::run(&Request { command: words(), ..cli.placed(Request::clone(arguments)) }, printer)
        }
        Command::Resume(arguments) => commands::extract::run(&resume(&arguments.run, &places, &read_command)?, printer),
        Command::Merge(arguments) => commands::merge::run(arguments, printer),
        Command::Reduce(arguments) => {
            commands::reduce::run(&ReduceRequest { command: words(), ..ReduceRequest::clone(arguments) }, printer)
        }
        Command::Align(arguments) => {
            commands::align::run(&AlignRequest { command: words(), ..AlignRequest::clone(arguments) }, &places, printer)
        }
        Command::Verify(arguments) => commands::verify::run(arguments, &places, &read_command, printer),
        Command::Weights(arguments) => commands::weights::run(arguments, &places, printer),
        Command::Rdm(arguments) => commands::rdm::run(arguments, printer),
        Command::Rsa(arguments) => commands::rsa::run(arguments, printer),
        Command::Cka(arguments) => commands::cka::run(arguments, printer),
        Command::Triplets(arguments) => commands::triplets::run(arguments, printer),
        Command::Encode(arguments) => commands::encode::run(arguments, printer),
        Command::Plot(arguments) => commands::plot::run(arguments, printer),
        Command::Study(arguments) => commands::study::run(arguments, &places, printer),
        Command::About(arguments) => commands::about::run(arguments, &places, printer),
        Command::Completions(arguments) => commands::completions::run(arguments, printer),
        Command::Man(arguments) => commands::man::run(arguments, printer),
    }
}

/// The words of this command line; none if one cannot be written down.
fn words() -> Vec<String> {
    std::env::args_os().map(|word| word.into_string().ok()).collect::<Option<_>>().unwrap_or_default()
}

/// What the words of a command line ask for, which is all that records of version 0.1 hold.
fn read_command(words: &[String]) -> Result<Request> {
    let first_line =
        |error: clap::Error| error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let cli = Cli::try_parse_from(words).map_err(|error| anyhow::anyhow!(first_line(error)));
    let cli = cli.context("the recorded command cannot be read")?;
    match &cli.command {
        Command::Extract(arguments) => Ok(cli.placed(Request::clone(arguments))),
        _ => bail!("the recorded command is no `extract`"),
    }
}

fn exit_code(result: Result<()>, printer: Printer) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer::error(&error);
            let signal = interrupt::signal(move |answer| printer.note(answer)).filter(|_| error.is::<Stopped>());
            signal.map_or(ExitCode::FAILURE, |signal| ExitCode::from(128 + signal as u8))
        }
    }
}

/// `thingsvision layers … | head` has read enough: no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
