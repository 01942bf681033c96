//! The table of scores over time on the terminal: a line for each movie and model, and the clusters.

use super::columns::{self, Column, NOT_AVAILABLE, column, probability, three};
use thingsvision::rsa::{Course, Table, TimeCluster};

/// Clusters that are shown of each movie and model.
const SHOWN: usize = 3;

/// Peaks and onsets, with a column for everything that was computed.
pub fn courses(table: &Table) -> Option<String> {
    let first = table.courses.first()?;
    let tested = table.scores.iter().any(|score| score.time.is_some() && score.p.is_some());
    let drawn = table.courses.iter().any(|course| course.peak_low.is_some());
    let score = &table.scores.iter().find(|score| score.target == first.target && score.kind == first.kind)?;
    let name = if score.controls.is_some() { "partial" } else { score.compare.as_str() };
    let all = [
        column("peak", true, |course: &Course| Some(time(course.peak))),
        column("95 % interval", drawn, |course| Some(interval(course.peak_low, course.peak_high))),
        column(name, true, |course| Some(three(Some(course.score)))),
        column("onset", tested, |course| Some(course.onset.map_or_else(|| "none".into(), time))),
        column("95 % interval", tested && drawn, |course| course.onset.map(|_| interval(course.onset_low, course.onset_high))),
        Column { left: true, ..column("clusters", tested, |course| Some(clusters(&course.clusters))) },
    ];
    let rows = table.courses.iter().map(|of| ([&*of.target, &*of.kind, &*of.model, &*of.layer], of));
    Some(columns::table(["target", "kind", "model", "layer"], 2, rows, &all))
}

/// To a hundredth.
fn time(time: f64) -> String {
    ((time * 100.0).round() / 100.0).to_string()
}

fn interval(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{} … {}", time(low), time(high)),
        _ => NOT_AVAILABLE.into(),
    }
}

/// Those of the smallest p.
fn clusters(all: &[TimeCluster]) -> String {
    let mut sorted: Vec<&TimeCluster> = all.iter().collect();
    sorted.sort_by(|a, b| a.p.total_cmp(&b.p));
    let one = |cluster: &&TimeCluster| {
        let below = if cluster.mass < 0.0 { ", below chance" } else { "" };
        format!("{} … {}: p {}{below}", time(cluster.from), time(cluster.to), probability(cluster.p))
    };
    let shown: Vec<String> = sorted.iter().take(SHOWN).map(one).collect();
    let more = if sorted.len() > SHOWN { format!("; {} more", sorted.len() - SHOWN) } else { String::new() };
    shown.join("; ") + &more
}
