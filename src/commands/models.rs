//! `thingsvision models`

use crate::cli::Models;
use crate::printer::{Printer, columns, count};
use anyhow::Result;
use serde_json::{Value, json};
use thingsvision::registry::{Entry, Registry};

/// Lists the registry, or one model of it.
pub fn run(arguments: &Models, printer: Printer) -> Result<()> {
    let registry = Registry::builtin()?;
    let models: Vec<&Entry> = match &arguments.model {
        Some(name) => vec![registry.choose(name)?.entry],
        None => registry.models.iter().collect(),
    };
    if arguments.json {
        let all: Vec<_> = models.iter().map(|entry| as_json(&registry, entry)).collect::<Result<_>>()?;
        return Ok(printer.data(&serde_json::to_string_pretty(&all)?)?);
    }
    if arguments.model.is_some() {
        return Ok(printer.data(&details(&registry, models[0])?)?);
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
        format!("{} px", registry.choose(&entry.name)?.preprocessing.crop),
        entry.default_layer.clone(),
        count(entry.outputs),
        format!("{:.1} M", entry.architecture.manifest()?.parameters() as f64 / 1e6),
    ])
}

fn details(registry: &Registry, entry: &Entry) -> Result<String> {
    let mut rows = vec![
        vec!["model".to_owned(), entry.name.clone()],
        vec!["names and numbers".to_owned(), entry.source.clone()],
        vec!["default layer".to_owned(), format!("{} ({} values)", entry.default_layer, count(entry.outputs))],
        vec!["parameters".to_owned(), count(entry.architecture.manifest()?.parameters())],
        vec!["licence".to_owned(), entry.licence.clone()],
        vec!["citation".to_owned(), entry.citation.clone()],
    ];
    for weights in &entry.weights {
        let name = format!("{}.{}", entry.name, weights.tag);
        let preprocessing = registry.choose(&name)?.preprocessing.describe();
        rows.push(vec!["weights".to_owned(), name]);
        rows.push(vec!["  file".to_owned(), weights.url.clone()]);
        rows.push(vec!["  sha256".to_owned(), format!("{}…", weights.sha256)]);
        rows.push(vec!["  pixels".to_owned(), preprocessing]);
    }
    Ok(columns(&rows, &[]))
}

fn as_json(registry: &Registry, entry: &Entry) -> Result<Value> {
    let weights = entry.weights.iter().map(|weights| -> Result<Value> {
        let choice = registry.choose(&format!("{}.{}", entry.name, weights.tag))?;
        Ok(json!({ "tag": weights.tag, "url": weights.url, "sha256": weights.sha256, "preprocessing": choice.preprocessing }))
    });
    Ok(json!({
        "model": entry.name,
        "source": entry.source,
        "default_layer": entry.default_layer,
        "outputs": entry.outputs,
        "parameters": entry.architecture.manifest()?.parameters(),
        "licence": entry.licence,
        "citation": entry.citation,
        "weights": weights.collect::<Result<Vec<_>>>()?,
    }))
}
