//! The report of a study: one HTML file that holds all it shows, and opens without a network.

use super::{Figure, Summary};
use crate::plot::{escaped, svg};
use std::fmt::Write;

/// A heading and what stands below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) paragraphs: Vec<String>,
    /// The first line is the header.
    pub(super) table: Vec<Vec<String>>,
}

/// All that the report says.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// The name of the study.
    pub(super) title: &'a str,
    /// What was compared, in a sentence or two.
    pub(super) summary: &'a str,
    pub(super) figures: &'a [Figure],
    pub(super) scores: &'a [Summary],
    /// Methods, networks, datasets, versions.
    pub(super) sections: &'a [Section],
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

impl Report<'_> {
    /// The text of the file.
    pub(super) fn html(&self) -> String {
        let title = escaped(self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{}</p>\n",
            escaped(self.summary)
        );
        for figure in self.figures {
            let letter = figure.name.split('-').next().unwrap_or_default();
            let picture = svg(&figure.picture, &figure.title);
            let (title, caption) = (escaped(&figure.title), escaped(&figure.caption));
            html += &format!("<figure>\n{picture}<figcaption><b>{letter}. {title}.</b> {caption}</figcaption>\n</figure>\n");
        }
        html += "<h2>Scores</h2>\n";
        html += &table(&score_table(self.scores), 5);
        for section in self.sections {
            html += &section.html();
        }
        html + "</body>\n</html>\n"
    }
}

impl Section {
    fn html(&self) -> String {
        let mut html = format!("<h2>{}</h2>\n", escaped(&self.title));
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

/// The header and a line for each network, layer and target.
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
