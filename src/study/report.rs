//! The report of a study: its methods, networks and datasets, figures and scores in one HTML file, which opens without a network.

use super::compare::{Scene, Summary};
use super::figure::Figure;
use super::plan::Plan;
use crate::numbers::{count, count_of};
use crate::plot::{escaped, svg};
use crate::run;
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

struct Section {
    title: &'static str,
    paragraphs: Vec<String>,
    /// The first line is the header.
    table: Vec<Vec<String>>,
}

const STYLE: &str = "\
body { font: 16px/1.5 'Liberation Sans', Arial, Helvetica, sans-serif; color: #262626; max-width: 72rem; margin: 2rem auto; \
padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
figure { margin: 1.5rem 0; overflow-x: auto; } figure svg { width: auto; max-width: max(100%, 900px); height: auto; }
figcaption { color: #555; font-size: .9rem; max-width: 48rem; } p { max-width: 48rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e0e0e0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { max-width: 28rem; overflow-wrap: break-word; } td:first-child { white-space: nowrap; }
@media print { figure, tr { break-inside: avoid; } }
";

pub(super) fn html(plan: &Plan, scenes: &[Scene], figures: &[Figure], summaries: &[Summary], file: &Path) -> Result<String> {
    let study = plan.study;
    let title = escaped(&study.out.file_name().unwrap_or_default().to_string_lossy());
    let sets: Vec<String> = scenes.iter().map(|scene| format!("{} ({} stimuli)", scene.name, count(scene.stimuli))).collect();
    let has = |kind: &str| scenes.iter().any(|scene| scene.found.analysis.targets.iter().any(|target| target.kind == kind));
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
    let sections = [methods(plan, scenes, &records), networks(plan, &records), citations(plan)?, datasets(plan, &records)];
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{}</p>\n",
        escaped(&summary)
    );
    // The last figure is the others together.
    for figure in &figures[..figures.len() - 1] {
        let letter = figure.name.split('-').next().unwrap_or_default();
        let picture = svg(&figure.picture, &figure.title);
        let (title, caption) = (escaped(&figure.title), escaped(&figure.caption));
        html += &format!("<figure>\n{picture}<figcaption><b>{letter}. {title}.</b> {caption}</figcaption>\n</figure>\n");
    }
    html += "<h2>Scores</h2>\n";
    html += &table(&score_table(summaries), 5);
    html.extend(sections.iter().map(Section::html));
    Ok(html + "</body>\n</html>\n")
}

fn methods(plan: &Plan, scenes: &[Scene], records: &[Value]) -> Section {
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
    let seeds: BTreeSet<u64> = records.iter().filter_map(|record| record["weights"]["seed"].as_u64()).collect();
    if !seeds.is_empty() {
        let spread = if seeds.len() > 1 {
            " Of several seeds the mean score and the standard deviation over them are given, and no interval; results.csv has that of each."
        } else {
            ""
        };
        paragraphs.push(format!(
            "Random weights are those that PyTorch draws for the untrained network after torch.manual_seed(seed).{spread}"
        ));
    }
    let averaged = plan.study.datasets.iter().filter(|dataset| dataset.average_by.is_some());
    let averaged: Vec<&str> = averaged.map(|dataset| dataset.name.as_str()).collect();
    if !averaged.is_empty() {
        paragraphs.push(format!(
            "In {} activations were averaged over the images of each condition (a folder, or a value in a column of the list) before RDMs were computed.",
            averaged.join(", ")
        ));
    }
    paragraphs.push(
        "The dissimilarity of two stimuli x and y is 1 − r, r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²) over the values of a layer after its readout."
            .into(),
    );
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for Scene { name, found, .. } in scenes {
        let explained = found.explained();
        match said.iter_mut().find(|(text, _)| *text == explained) {
            Some((_, names)) => names.push(name),
            None => said.push((explained, vec![name])),
        }
    }
    for (text, names) in said {
        let named = if scenes.len() > 1 { format!("{}: ", names.join(", ")) } else { String::new() };
        paragraphs.push(format!("{named}{}", text.replace('\n', " ")));
    }
    for Scene { name, found, .. } in scenes {
        let assumed =
            found.assumed.then(|| "targets without names of stimuli were taken to be in the order of the images".to_owned());
        for sentence in found.renamed.iter().chain(&found.left_out).chain(&found.few).cloned().chain(assumed) {
            paragraphs.push(format!("{name}: {sentence}."));
        }
    }
    paragraphs.push(
        "Muttenthaler, L., & Hebart, M. N. (2021). THINGSvision: a Python toolbox for streamlining the extraction of activations \
         from deep neural networks. Frontiers in Neuroinformatics, 15, 679838."
            .into(),
    );
    Section { title: "Methods", paragraphs, table: Vec::new() }
}

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
    Section { title: "Runs", paragraphs: without, table }
}

fn citations(plan: &Plan) -> Result<Section> {
    let mut table = vec![["network", "licence of code and weights", "please cite"].map(String::from).to_vec()];
    for pass in &plan.passes {
        let entry = plan.sources.registry.choose(&pass.request.models[0])?.entry;
        let line = vec![entry.name.clone(), entry.licence.clone(), entry.citation.clone()];
        if !table.contains(&line) {
            table.push(line);
        }
    }
    Ok(Section { title: "Networks", paragraphs: Vec::new(), table })
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
    Section { title: "Datasets", paragraphs: Vec::new(), table }
}

impl Section {
    fn html(&self) -> String {
        let mut html = format!("<h2>{}</h2>\n", self.title);
        for paragraph in &self.paragraphs {
            writeln!(html, "<p>{}</p>", escaped(paragraph)).expect("a String takes all");
        }
        if !self.table.is_empty() {
            html += &table(&self.table, usize::MAX);
        }
        html
    }
}

/// The cells from column `numbers` on are numbers.
fn table(rows: &[Vec<String>], numbers: usize) -> String {
    let mut html = String::from("<div class=\"scroll\"><table>\n");
    for (number, row) in rows.iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        html += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            let class = if column >= numbers { " class=\"number\"" } else { "" };
            html += &format!("<{tag}{class}>{}</{tag}>", escaped(cell));
        }
        html += "</tr>\n";
    }
    html + "</table></div>\n"
}

fn score_table(scores: &[Summary]) -> Vec<Vec<String>> {
    let header = ["dataset", "target", "model", "layer", "weights", "score", "spread", "95 % interval", "p family", "ceiling"];
    let number = |value: f64| format!("{value:.3}").replace('-', "−");
    let range = |low: Option<f64>, high: Option<f64>| match low.zip(high) {
        Some((low, high)) => format!("{} … {}", number(low), number(high)),
        None => String::new(),
    };
    let line = |score: &Summary| {
        let weights = match (score.weights, score.seeds) {
            ("random", 1) => "random".to_owned(),
            ("random", seeds) => format!("random, {seeds} seeds"),
            (weights, _) => weights.to_owned(),
        };
        vec![
            score.dataset.clone(),
            score.target.clone(),
            score.model.clone(),
            score.layer.clone(),
            weights,
            number(score.mean),
            score.deviation.map(|deviation| format!("± {}", number(deviation))).unwrap_or_default(),
            range(score.low, score.high),
            score.p_family.map(|p| format!("{p:.4}")).unwrap_or_default(),
            range(score.ceiling_lower, score.ceiling_upper),
        ]
    };
    let all = [header.map(String::from).to_vec()].into_iter().chain(scores.iter().map(line));
    let rows: Vec<Vec<String>> = all.collect();
    // Columns in which there is nothing to say are left out.
    let said: Vec<usize> = (0..header.len()).filter(|&column| rows[1..].iter().any(|row| !row[column].is_empty())).collect();
    rows.into_iter().map(|row| said.iter().map(|&column| row[column].clone()).collect()).collect()
}
