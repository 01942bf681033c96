//! `thingsvision weights`

use crate::cli::{Weights, WeightsCommand};
use crate::printer::{Printer, columns};
use anyhow::Result;
use serde_json::json;
use thingsvision::error::advise;
use thingsvision::extract::{Request, Sources};
use thingsvision::registry::{Choice, Registry};
use thingsvision::weights::{Store, fetch};

/// Lists, fetches, checks and imports published weights.
pub fn run(arguments: &Weights, places: &Request, printer: Printer) -> Result<()> {
    let Sources { registry, store, .. } = Sources::open_as_they_are(places)?;
    match &arguments.command {
        WeightsCommand::List { json } => list(&registry, &store, *json, printer),
        WeightsCommand::Fetch { models } => models.iter().try_for_each(|name| {
            let choice = registry.choose(name)?;
            printer.data(&fetch(&store, &choice, &printer)?.path.display().to_string())
        }),
        WeightsCommand::Verify { models } => verify(&registry, &store, models, printer),
        WeightsCommand::Path { model } => {
            let choice = registry.choose(model)?;
            let found = store.find(&choice)?.ok_or_else(|| not_here(&choice))?;
            printer.data(&found.path.display().to_string())
        }
        WeightsCommand::Import { file, model } => {
            let found = store.import(&registry.choose(model)?, file)?;
            printer.data(&found.path.display().to_string())
        }
    }
}

fn not_here(choice: &Choice) -> anyhow::Error {
    advise(
        format!("the weights of `{}` are not on this machine", choice.name()),
        format!("thingsvision weights fetch {}", choice.name()),
    )
}

fn all(registry: &Registry) -> Result<Vec<Choice<'_>>> {
    let names = registry.models.iter().flat_map(|entry| {
        let published = entry.weights.iter().filter(|weights| weights.url.is_some());
        published.map(move |weights| format!("{}.{}", entry.name, weights.tag))
    });
    names.collect::<Vec<_>>().iter().map(|name| registry.choose(name)).collect()
}

fn list(registry: &Registry, store: &Store, json: bool, printer: Printer) -> Result<()> {
    let choices = all(registry)?;
    // Only whether it is there: hashing all files would take long; `verify` does.
    let here = |choice: &Choice| store.place(choice).is_ok_and(|place| place.exists());
    if json {
        let rows = choices.iter().map(|choice| {
            json!({
                "weights": choice.name(),
                "url": choice.weights.url,
                "sha256": choice.weights.sha256,
                "recorded_sha256": store.recorded(choice),
                "file": store.place(choice).ok(),
                "here": here(choice),
                "licence": choice.licence(),
                "citation": choice.entry.citation,
            })
        });
        return printer.data(&serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?);
    }
    let mut rows = vec![["weights", "fetched", "licence", "to cite", "published at"].map(String::from).to_vec()];
    for choice in &choices {
        rows.push(vec![
            choice.name(),
            match store.recorded(choice).filter(|_| choice.weights.sha256.is_none()) {
                Some(sha256) if here(choice) => format!("yes, sha256 {}…", sha256.get(..8).unwrap_or_default()),
                _ => if here(choice) { "yes" } else { "no" }.to_owned(),
            },
            choice.licence().split([' ', ';']).next().unwrap_or_default().to_owned(),
            choice.entry.citation.split(',').next().unwrap_or_default().to_owned(),
            choice.weights.url.clone().unwrap_or_default(),
        ]);
    }
    printer.data(&columns(&rows, &[]))?;
    printer.note("\n`thingsvision models NAME` shows licence and citation in full.");
    Ok(())
}

fn verify(registry: &Registry, store: &Store, models: &[String], printer: Printer) -> Result<()> {
    let choices = match models {
        [] => all(registry)?.into_iter().filter(|choice| store.place(choice).is_ok_and(|place| place.exists())).collect(),
        models => models.iter().map(|name| registry.choose(name)).collect::<Result<Vec<_>>>()?,
    };
    for choice in &choices {
        let found = store.find(choice)?.ok_or_else(|| not_here(choice))?;
        printer.data(&format!("{}  {}  {}", choice.name(), found.sha256, found.path.display()))?;
    }
    printer.note(&format!("{} files, all as they should be", choices.len()));
    Ok(())
}
