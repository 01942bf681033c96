//! `thingsvision models`

use crate::cli::Models;
use crate::printer::{Printer, columns};
use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};
use tch::{Device, Kind};
use thingsvision::extract::{Request, Sources};
use thingsvision::images::Preprocessing;
use thingsvision::models::{Architecture, Model};
use thingsvision::numbers::count;
use thingsvision::readout::Readout;
use thingsvision::registry::{Choice, Entry, Registry};

/// What is said of what only the file of an exported network says, which is not fetched.
const IN_FILE: &str = "in its file";

/// Lists the registry, or one model of it.
pub fn run(arguments: &Models, places: &Request, printer: Printer) -> Result<()> {
    let request = Request { models: arguments.model.iter().cloned().collect(), ..places.clone() };
    let Sources { registry, .. } = Sources::open_as_they_are(&request)?;
    let models: Vec<&Entry> = match &arguments.model {
        Some(name) => vec![registry.choose(name)?.entry],
        None => registry.models.iter().collect(),
    };
    if arguments.json {
        let all: Vec<_> = models.iter().map(|entry| as_json(&registry, entry)).collect::<Result<_>>()?;
        return printer.data(&serde_json::to_string_pretty(&all)?);
    }
    if arguments.model.is_some() {
        return printer.data(&details(&registry, models[0])?);
    }
    let mut rows = vec![["model", "weights", "input", "default layer", "outputs", "parameters"].map(String::from).to_vec()];
    for entry in models {
        rows.push(row(&registry, entry)?);
    }
    printer.data(&columns(&rows, &[4, 5]))?;
    printer.note(&format!(
        "\n{} models. `thingsvision models resnet50` shows sources, licence, citation and preprocessing; \
         any of them also runs untrained: --weights random",
        registry.models.len()
    ));
    Ok(())
}

fn row(registry: &Registry, entry: &Entry) -> Result<Vec<String>> {
    let (first, others) = entry.weights.split_first().expect("the registry has checked it");
    let others: Vec<_> = others.iter().map(|weights| format!(" ({})", weights.tag)).collect();
    Ok(vec![
        entry.name.clone(),
        format!("{}{}", first.tag, others.concat()),
        shown(&registry.choose(&entry.name)?).map(|side| format!("{side} px")).unwrap_or_default(),
        default_layer_name(entry).to_owned(),
        entry.outputs.map(count).unwrap_or_default(),
        parameters(entry)?.map(|number| format!("{:.1} M", number as f64 / 1e6)).unwrap_or_default(),
    ])
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
        vec!["names and numbers".to_owned(), entry.source.clone()],
        vec!["default layer".to_owned(), default_layer(entry)],
        vec!["parameters".to_owned(), parameters(entry)?.map(count).unwrap_or_else(|| "?".into())],
        vec!["licence".to_owned(), entry.licence.clone()],
        vec!["citation".to_owned(), entry.citation.clone()],
    ];
    for weights in &entry.weights {
        let name = format!("{}.{}", entry.name, weights.tag);
        let preprocessing = registry.choose(&name)?.preprocessing;
        let unknown = if entry.default_layer.is_empty() { IN_FILE } else { "not known; --preprocess says it" };
        let preprocessing = preprocessing.map_or_else(|| unknown.into(), Preprocessing::describe);
        rows.push(vec!["weights".to_owned(), name]);
        let file = weights.file.as_ref().map(|file| file.display().to_string());
        rows.extend(weights.url.clone().or(file).map(|place| vec!["  file".to_owned(), place]));
        rows.extend(
            weights
                .sha256
                .as_ref()
                .map(|sha256| vec!["  sha256".to_owned(), if sha256.len() < 64 { format!("{sha256}…") } else { sha256.clone() }]),
        );
        rows.push(vec!["  pixels".to_owned(), preprocessing]);
    }
    Ok(columns(&rows, &[]))
}

fn default_layer(entry: &Entry) -> String {
    let readout = match entry.default_readout {
        Readout::None => String::new(),
        readout => {
            format!(", readout {}", readout.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()))
        }
    };
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
        Ok(json!({ "tag": weights.tag, "url": weights.url, "sha256": weights.sha256, "preprocessing": choice.preprocessing }))
    });
    Ok(json!({
        "model": entry.name,
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
