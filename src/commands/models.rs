//! `thingsvision models`

use crate::cli::Models;
use crate::printer::{Printer, columns};
use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::collections::HashSet;
use tch::{Device, Kind};
use thingsvision::extract::{Request, Sources};
use thingsvision::images::Preprocessing;
use thingsvision::models::{Architecture, Model};
use thingsvision::numbers::count;
use thingsvision::readout::Readout;
use thingsvision::registry::{Choice, Entry, Registry, TransformChoice};

/// What is said of what only the file of an exported network says, which is not fetched.
const IN_FILE: &str = "in its file";

/// Lists the registry, or one model of it.
pub fn run(arguments: &Models, places: &Request, printer: Printer) -> Result<()> {
    let asked = arguments.model.as_deref();
    let registry = match Sources::open_as_they_are(&Request {
        models: asked.iter().map(|name| name.to_string()).collect(),
        ..places.clone()
    }) {
        Ok(sources) => sources.registry,
        // No model, but perhaps a word.
        Err(error) => {
            let registry = Sources::open_as_they_are(&Request { models: Vec::new(), ..places.clone() })?.registry;
            if registry.search(asked.unwrap_or_default()).is_empty() {
                return Err(error);
            }
            registry
        }
    };
    let one = asked.and_then(|name| registry.choose(name).ok());
    let models = match (one, asked) {
        (Some(choice), _) => vec![choice.entry],
        (None, Some(word)) => registry.search(word),
        (None, None) => registry.models.iter().collect(),
    };
    if arguments.json {
        let all: Vec<_> = models.iter().map(|entry| as_json(&registry, entry)).collect::<Result<_>>()?;
        return printer.data(&serde_json::to_string_pretty(&all)?);
    }
    if let Some(choice) = one {
        return printer.data(&details(&registry, choice.entry)?);
    }
    let number = models.len();
    if asked.is_none() && !arguments.long {
        printer.data(&columns(&by_family(&models), &[]))?;
        printer.note(&format!(
            "\n{number} models. `thingsvision models swin` shows those that have a word in their name, family, source, weights, licence or \
             citation; `thingsvision models resnet50` everything about one, `--long` a line for each. Any also runs untrained: --weights random"
        ));
        return Ok(());
    }
    let mut rows = vec![
        ["model", "weights", "input", "default layer", "outputs", "parameters", "source", "licence"].map(String::from).to_vec(),
    ];
    for entry in models {
        rows.push(row(&registry, entry)?);
    }
    printer.data(&columns(&rows, &[4, 5]))?;
    printer.note(&format!(
        "\n{number} {}. `thingsvision models NAME` shows the sources, licence, citation and preprocessing of one. A licence of weights \
         stands after that of the code; weights may be bound by further terms",
        if number == 1 { "model" } else { "models" }
    ));
    Ok(())
}

/// The names of models, wrapped, beside that of their family and its source.
fn by_family(models: &[&Entry]) -> Vec<Vec<String>> {
    const WIDTH: usize = 56;
    let mut rows = vec![["family", "models", "names and numbers of"].map(String::from).to_vec()];
    let mut families: Vec<(&str, &str)> =
        models.iter().map(|entry| (entry.architecture.family_name(), entry.source.as_str())).collect();
    let mut met = HashSet::new();
    families.retain(|family| met.insert(*family));
    for (family, source) in families {
        let of_it = models.iter().filter(|entry| (entry.architecture.family_name(), entry.source.as_str()) == (family, source));
        let mut lines = vec![String::new()];
        for entry in of_it {
            let line = lines.last_mut().expect("there is one");
            match line.is_empty() || line.len() + entry.name.len() < WIDTH {
                true => *line += &format!("{}{}", if line.is_empty() { "" } else { " " }, entry.name),
                false => lines.push(entry.name.clone()),
            }
        }
        for (i, line) in lines.into_iter().enumerate() {
            rows.push(if i == 0 { vec![family.into(), line, source.into()] } else { vec![String::new(), line] });
        }
    }
    rows
}

/// More weights beside the first are counted in a table's line, and not named.
const MOST_SHOWN: usize = 3;

fn row(registry: &Registry, entry: &Entry) -> Result<Vec<String>> {
    let (first, others) = entry.weights.split_first().expect("the registry has checked it");
    let others = match others.len() {
        ..=MOST_SHOWN => others.iter().map(|weights| format!(" ({})", weights.tag)).collect(),
        number => format!(" (and {number} others)"),
    };
    Ok(vec![
        entry.name.clone(),
        format!("{}{others}", first.tag),
        shown(&registry.choose(&entry.name)?).map(|side| format!("{side} px")).unwrap_or_default(),
        default_layer_name(entry).to_owned(),
        entry.outputs.map(count).unwrap_or_default(),
        parameters(entry)?.map(|number| format!("{:.1} M", number as f64 / 1e6)).unwrap_or_default(),
        entry.source.clone(),
        licences(entry),
    ])
}

/// In short: what stands before explanations, of the model, and of weights that have another.
fn licences(entry: &Entry) -> String {
    let short = |text: &str| text.split([';', '(']).next().unwrap_or_default().trim().to_owned();
    let others = entry.weights.iter().filter_map(|weights| weights.licence.as_deref()).map(short);
    let mut met = HashSet::new();
    let licences = [short(&entry.licence)].into_iter().chain(others).filter(|licence| met.insert(licence.clone()));
    licences.collect::<Vec<_>>().join(", ")
}

/// The side of what a network is shown, if that is known.
fn shown(choice: &Choice) -> Option<usize> {
    Some(choice.preprocessing?.shown_always()?[0])
}

/// The number of parameters, if the network is built here or in a file of the user's.
fn parameters(entry: &Entry) -> Result<Option<i64>> {
    Ok(match (&entry.architecture, &entry.weights[0].file) {
        (Architecture::Exported, None) => None,
        (Architecture::Exported, Some(path)) => Some(Model::exported(path, Device::Cpu, Kind::Float)?.manifest().parameters()),
        (architecture, _) => Some(architecture.manifest()?.parameters()),
    })
}

fn details(registry: &Registry, entry: &Entry) -> Result<String> {
    let mut rows = vec![
        vec!["model".to_owned(), entry.name.clone()],
        vec!["family".to_owned(), entry.architecture.family_name().to_owned()],
        vec!["names and numbers".to_owned(), entry.source.clone()],
        vec!["default layer".to_owned(), default_layer(entry)],
        vec!["parameters".to_owned(), parameters(entry)?.map(count).unwrap_or_else(|| "?".into())],
        vec!["licence".to_owned(), entry.licence.clone()],
        vec!["citation".to_owned(), entry.citation.clone()],
    ];
    rows.extend(text_tower(registry, entry).map(|text| vec!["text tower".to_owned(), text]));
    for weights in &entry.weights {
        let name = format!("{}.{}", entry.name, weights.tag);
        let preprocessing = registry.choose(&name)?.preprocessing;
        let unknown = if entry.default_layer.is_empty() { IN_FILE } else { "not known; --preprocess says it" };
        let preprocessing = preprocessing.map_or_else(|| unknown.into(), Preprocessing::describe);
        rows.push(vec!["weights".to_owned(), name.clone()]);
        let file = weights.file.as_ref().map(|file| file.display().to_string());
        rows.extend(weights.url.clone().or(file).map(|place| vec!["  file".to_owned(), place]));
        rows.extend(
            weights
                .sha256
                .as_ref()
                .map(|sha256| vec!["  sha256".to_owned(), if sha256.len() < 64 { format!("{sha256}…") } else { sha256.clone() }]),
        );
        rows.push(vec!["  pixels".to_owned(), preprocessing]);
        let transform = |choice: TransformChoice| {
            vec!["  transform".to_owned(), format!("{} of `{}`: thingsvision align", choice.kind.name, choice.file.layer)]
        };
        rows.extend(registry.transforms_of(&name).into_iter().map(transform));
        if let Some(architecture) = &weights.architecture {
            let number = architecture.manifest()?.parameters();
            if parameters(entry)? != Some(number) {
                rows.push(vec!["  parameters".to_owned(), count(number)]);
            }
        }
        if weights.architecture.as_ref().is_some_and(Architecture::transforms_input) && !entry.architecture.transforms_input() {
            let note = "brings images to another mean and deviation itself (transform_input); with --weights random it does not";
            rows.push(vec!["  network".to_owned(), note.to_owned()]);
        }
        rows.extend(weights.licence.as_ref().map(|licence| vec!["  licence".to_owned(), licence.clone()]));
    }
    Ok(columns(&rows, &[]))
}

/// What `thingsvision extract --texts` shows to it, if it has one.
fn text_tower(registry: &Registry, entry: &Entry) -> Option<String> {
    let choice = registry.text_tower(&registry.choose(&entry.name).ok()?).ok()?;
    let tokenizer = choice.tokenizer().map_or_else(|| "CLIP's tokenizer".to_owned(), |url| format!("the tokenizer at {url}"));
    Some(format!("{} tokens a text, {tokenizer}", choice.architecture.context()?))
}

/// As on the command line; `None` if a layer is kept as it is.
pub fn readout_name(readout: Readout) -> Option<String> {
    let value = readout.to_possible_value().filter(|_| readout != Readout::None);
    value.map(|value| value.get_name().to_owned())
}

fn default_layer(entry: &Entry) -> String {
    let readout = readout_name(entry.default_readout).map(|name| format!(", readout {name}")).unwrap_or_default();
    let outputs = entry.outputs.map(|outputs| format!(" ({} values)", count(outputs))).unwrap_or_default();
    format!("{}{readout}{outputs}", default_layer_name(entry))
}

/// Of an exported network that is not fetched it is not known.
fn default_layer_name(entry: &Entry) -> &str {
    if entry.default_layer.is_empty() { IN_FILE } else { &entry.default_layer }
}

fn as_json(registry: &Registry, entry: &Entry) -> Result<Value> {
    let weights = entry.weights.iter().map(|weights| -> Result<Value> {
        let choice = registry.choose(&format!("{}.{}", entry.name, weights.tag))?;
        Ok(json!({ "tag": weights.tag, "url": weights.url, "sha256": weights.sha256, "licence": choice.licence(), "preprocessing": choice.preprocessing }))
    });
    Ok(json!({
        "model": entry.name,
        "family": entry.architecture.family_name(),
        "aliases": entry.aliases,
        "source": entry.source,
        "default_layer": entry.default_layer,
        "default_readout": entry.default_readout,
        "outputs": entry.outputs,
        "parameters": parameters(entry)?,
        "licence": entry.licence,
        "citation": entry.citation,
        "weights": weights.collect::<Result<Vec<_>>>()?,
    }))
}
