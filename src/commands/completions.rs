//! `thingsvision completions`, and the answers that a shell gets while a command line is typed: flags, metrics, models, layers.
//!
//! The script that a shell loads calls the program with [`VARIABLE`] set and the words typed so far.

use crate::cli::{Cli, Completions, Shell};
use crate::printer::Printer;
use anyhow::{Context, Result};
use clap::{CommandFactory, ValueHint};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};
use std::ffi::OsStr;
use std::iter;
use thingsvision::extract::{Request, Sources};
use thingsvision::nn::ModuleId;
use thingsvision::registry::Entry;
use thingsvision::weights::outline;

/// Set by the shells' scripts.
const VARIABLE: &str = "THINGSVISION_COMPLETE";

/// Answers a shell and ends the program, if it was a shell that called.
pub fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).bin("thingsvision").complete();
}

/// Prints the script for a shell.
pub fn run(arguments: &Completions, printer: Printer) -> Result<()> {
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "thingsvision", "thingsvision", "thingsvision", &mut script)?;
    printer.data(&String::from_utf8(script)?)
}

/// The command line, with what only the registry and the networks know.
fn command() -> clap::Command {
    let models = |command: clap::Command, id: &str| command.mut_arg(id, |arg| arg.add(ArgValueCompleter::new(models)));
    let folder = || ArgValueCandidates::new(|| vec![CompletionCandidate::new("folder")]);
    files_of(Cli::command())
        .mut_subcommand("rdm", |command| command.mut_arg("average_by", |arg| arg.add(folder())))
        .mut_subcommand("extract", |command| {
            models(command, "models")
                .mut_arg("average_by", |arg| arg.add(folder()))
                .mut_arg("layers", |arg| arg.add(ArgValueCompleter::new(layers)))
                .mut_arg("weights", |arg| arg.add(ArgValueCompleter::new(weights)))
        })
        .mut_subcommand("layers", |command| models(command, "model"))
        .mut_subcommand("models", |command| models(command, "model"))
        .mut_subcommand("weights", |command| {
            command
                .mut_subcommand("fetch", |command| models(command, "models"))
                .mut_subcommand("verify", |command| models(command, "models"))
                .mut_subcommand("path", |command| models(command, "model"))
                .mut_subcommand("import", |command| models(command, "model"))
        })
}

/// What is called after files takes them, also after a name (`NAME=RDM`) or others (`RDM,RDM`).
fn files_of(command: clap::Command) -> clap::Command {
    let is_file = |arg: &clap::Arg| {
        let names = arg.get_value_names().unwrap_or_default();
        let is_path = arg.get_value_hint() != ValueHint::Unknown;
        !is_path && names.iter().any(|name| ["FILE", "RDM", "RUN", "DIR"].iter().any(|word| name.contains(word)))
    };
    let complete = |arg: clap::Arg| if is_file(&arg) { arg.add(ArgValueCompleter::new(files)) } else { arg };
    command.mut_args(complete).mut_subcommands(files_of)
}

fn files(begun: &OsStr) -> Vec<CompletionCandidate> {
    let text = begun.to_string_lossy();
    let (before, path) = text.split_at(text.rfind([',', '=']).map_or(0, |at| at + 1));
    PathCompleter::any().complete(OsStr::new(path)).into_iter().map(|file| file.add_prefix(before)).collect()
}

/// The models that begin so, and files, which may be networks that PyTorch exported.
fn models(begun: &OsStr) -> Vec<CompletionCandidate> {
    or_files(model_names().unwrap_or_default(), begun)
}

/// Each model, and each with a tag where it has further weights.
fn model_names() -> Result<Vec<String>> {
    // The model on the line is that which is being typed.
    let Sources { registry, .. } = Sources::open_as_they_are(&Request { models: Vec::new(), ..on_the_line() })?;
    let names = |entry: &Entry| -> Vec<String> {
        let further = entry.weights.iter().skip(1).map(|weights| format!("{}.{}", entry.name, weights.tag));
        iter::once(entry.name.clone()).chain(further).collect()
    };
    Ok(registry.models.iter().flat_map(names).collect())
}

/// The kinds of weights that begin so, and files.
fn weights(begun: &OsStr) -> Vec<CompletionCandidate> {
    or_files(["pretrained", "random"].map(String::from).to_vec(), begun)
}

/// The layers that begin so, of the last model that stands on the line.
fn layers(begun: &OsStr) -> Vec<CompletionCandidate> {
    beginning(layer_names().unwrap_or_default(), begun)
}

fn layer_names() -> Result<Vec<String>> {
    let request = on_the_line();
    let model = request.models.last().context("no model yet")?;
    let Sources { registry, .. } = Sources::open_as_they_are(&request)?;
    let model = outline(&registry.choose(model)?)?;
    let manifest = model.manifest();
    let modules = (0..manifest.modules.len()).map(ModuleId).chain([ModuleId::INPUT]);
    Ok(modules.map(|module| manifest.layer_name(module).to_owned()).collect())
}

/// Which models the words so far name, and where networks are looked for.
fn on_the_line() -> Request {
    let mut request = Request::default();
    let words: Vec<String> = std::env::args_os().filter_map(|word| word.into_string().ok()).collect();
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        // Bash gives the `=` of `--model=alexnet` as a word of its own.
        let mut value = |flag: &str| match word.strip_prefix(flag)? {
            "" => rest.next().and_then(|next| if next == "=" { rest.next() } else { Some(next) }),
            joined => joined.strip_prefix('='),
        };
        if let Some(model) = value("--model") {
            request.models.push(model.into());
        } else if let Some(file) = value("--registry") {
            request.registry = Some(file.into());
        } else if let Some(folder) = value("--cache") {
            request.cache = Some(folder.into());
        }
    }
    request
}

fn or_files(names: Vec<String>, begun: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = beginning(names, begun);
    all.extend(PathCompleter::file().complete(begun));
    all
}

fn beginning(names: Vec<String>, begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}
