//! What the report of a study says of its methods, networks and datasets.

use super::compare::Compared;
use super::plan::Plan;
use super::request::Study;
use super::{Figure, Report, Section, Summary};
use crate::numbers::{count, count_of};
use crate::run;
use anyhow::Result;
use serde_json::Value;
use std::path::Path;

/// The HTML of the report.
pub(super) fn html(plan: &Plan, compared: &[Compared], figures: &[Figure], summaries: &[Summary], file: &Path) -> Result<String> {
    let study = plan.study;
    let title = study.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sets: Vec<String> =
        compared.iter().map(|c| format!("{} ({} stimuli)", c.set.dataset.name, count(c.found.analysis.stimuli))).collect();
    let has = |kind: &str| compared.iter().any(|c| c.found.analysis.targets.iter().any(|target| target.kind == kind));
    let targets = match (has("behavior"), has("fmri")) {
        (true, true) => "behaviour and fMRI",
        (true, false) => "behaviour",
        _ => "fMRI",
    };
    let summary = format!(
        "{} in {}, compared with {targets} on {}. Made by `thingsvision study {}`; all numbers are in results.csv and \
         summary.csv beside this file.",
        count_of(study.models.len(), "network"),
        count_of(plan.passes.len(), "run"),
        sets.join(", "),
        file.file_name().unwrap_or_default().to_string_lossy()
    );
    let records = plan.passes.iter().map(|pass| run::read(&pass.folder)).collect::<Result<Vec<Value>>>()?;
    let sections = [methods(study, compared, &records), networks(plan, &records), citations(plan)?, datasets(plan, &records)];
    // The last figure is the others together.
    let figures = &figures[..figures.len() - 1];
    Ok(Report { title: &title, summary: &summary, figures, scores: summaries, sections: &sections }.html())
}

fn methods(study: &Study, compared: &[Compared], records: &[Value]) -> Section {
    // On which machines, each once.
    let mut machines: Vec<String> = Vec::new();
    for record in records {
        let text = |part: &str| record[part].as_str().unwrap_or_default().to_owned();
        let exact = if record["exact"] == true { ", in PyTorch's order of operations" } else { "" };
        let machine =
            format!("{} (libtorch {}, {}, {}{exact})", text("program"), text("libtorch"), text("device"), text("precision"));
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    let mut paragraphs = vec![format!(
        "Activations were extracted with {} from the layers listed below. Images were decoded and prepared as by Pillow 13 and \
         torchvision, with the preprocessing that belongs to the weights.",
        machines.join(" and ")
    )];
    let seeds = records.iter().filter_map(|record| record["weights"]["seed"].as_u64()).max();
    if let Some(last) = seeds {
        let spread = if last > 0 { " Scores of several seeds are given as mean and standard deviation over them." } else { "" };
        paragraphs.push(format!(
            "Random weights are those that PyTorch draws for the untrained network after torch.manual_seed(seed).{spread}"
        ));
    }
    let averaged: Vec<&str> =
        study.datasets.iter().filter(|dataset| dataset.average_by.is_some()).map(|dataset| dataset.name.as_str()).collect();
    if !averaged.is_empty() {
        paragraphs.push(format!(
            "In {} activations were averaged over the images of each condition (folder) before RDMs were computed.",
            averaged.join(", ")
        ));
    }
    paragraphs.push(
        "The dissimilarity of two stimuli x and y is 1 − r, r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²) over the values of a layer after its readout."
            .into(),
    );
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for Compared { set, explained, .. } in compared {
        match said.iter_mut().find(|(text, _)| text == explained) {
            Some((_, names)) => names.push(&set.dataset.name),
            None => said.push((explained.clone(), vec![&set.dataset.name])),
        }
    }
    for (text, names) in said {
        let named = if compared.len() > 1 { format!("{}: ", names.join(", ")) } else { String::new() };
        paragraphs.push(format!("{named}{}", text.replace('\n', " ")));
    }
    for Compared { set, found, .. } in compared {
        let assumed =
            found.assumed.then(|| "targets without names of stimuli were taken to be in the order of the images".to_owned());
        for sentence in found.left_out.iter().chain(&found.few).cloned().chain(assumed) {
            paragraphs.push(format!("{}: {sentence}.", set.dataset.name));
        }
    }
    paragraphs.push(
        "Muttenthaler, L., & Hebart, M. N. (2021). THINGSvision: a Python toolbox for streamlining the extraction of activations \
         from deep neural networks. Frontiers in Neuroinformatics, 15, 679838."
            .into(),
    );
    Section { title: "Methods".into(), paragraphs, table: Vec::new() }
}

/// Every run with its weights.
fn networks(plan: &Plan, records: &[Value]) -> Section {
    let mut table = vec![["run", "layers", "readout", "weights", "preprocessing"].map(String::from).to_vec()];
    let mut without = Vec::new();
    for (pass, record) in plan.passes.iter().zip(records) {
        let weights = &record["weights"];
        let weights = match weights["kind"].as_str() {
            Some("random") => format!("random, seed {}", weights["seed"]),
            Some("published") => format!(
                "{} from {}, SHA-256 {}",
                weights["tag"].as_str().unwrap_or_default(),
                weights["url"].as_str().unwrap_or("a file"),
                weights["sha256"].as_str().unwrap_or_default()
            ),
            _ => format!("file, SHA-256 {}", weights["sha256"].as_str().unwrap_or_default()),
        };
        let pixels = &record["preprocessing"];
        let preprocessing = format!(
            "resize {} ({}), crop {}, mean {}, std {}",
            pixels["resize"],
            pixels["interpolation"].as_str().unwrap_or_default(),
            pixels["crop"],
            pixels["mean"],
            pixels["std"]
        );
        let readout = record["readout"].as_str().unwrap_or_default().to_owned();
        table.push(vec![pass.name(plan), pass.layers.join(", "), readout, weights, preprocessing]);
        let layers = record["layers"].as_array().into_iter().flatten();
        for layer in layers.filter(|layer| layer["without_rdm"].is_string()) {
            let (name, reason) = (layer["name"].as_str().unwrap_or_default(), layer["without_rdm"].as_str().unwrap_or_default());
            without.push(format!("{} has no RDM of {name}, which is left out: {reason}.", pass.name(plan)));
        }
    }
    Section { title: "Runs".into(), paragraphs: without, table }
}

/// Licences, and the papers to cite.
fn citations(plan: &Plan) -> Result<Section> {
    let mut table = vec![["network", "licence of code and weights", "please cite"].map(String::from).to_vec()];
    for pass in &plan.passes {
        let entry = plan.sources.registry.choose(&pass.request.models[0])?.entry;
        let line = vec![entry.name.clone(), entry.licence.clone(), entry.citation.clone()];
        if !table.contains(&line) {
            table.push(line);
        }
    }
    Ok(Section { title: "Networks".into(), paragraphs: Vec::new(), table })
}

fn datasets(plan: &Plan, records: &[Value]) -> Section {
    let mut table = vec![["dataset", "images", "conditions", "targets", "SHA-256 of images.sha256"].map(String::from).to_vec()];
    for (number, set) in plan.datasets.iter().enumerate() {
        let record = plan.passes.iter().zip(records).find(|(pass, _)| pass.set == number).map(|(_, record)| record);
        let hash = record.and_then(|record| record["contents_sha256"].as_str()).unwrap_or_default();
        let names =
            set.comparison.behavior.iter().chain(&set.comparison.fmri).map(|target| target.rsplit('/').next().unwrap_or(target));
        table.push(vec![
            set.dataset.name.clone(),
            count(set.stimuli.images.len()),
            count(set.stimuli.rows()),
            names.collect::<Vec<_>>().join(", "),
            hash.to_owned(),
        ]);
    }
    Section { title: "Datasets".into(), paragraphs: Vec::new(), table }
}
