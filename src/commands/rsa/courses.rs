//! The table of scores over time on the terminal: a line for each movie and model, and the clusters.

use super::text::{NOT_AVAILABLE, probability};
use crate::printer::columns;
use thingsvision::rsa::{Course, Table, TimeCluster};

/// Clusters that are shown of each movie and model.
const SHOWN: usize = 3;

/// What a column says of a course.
type Cell = fn(&Course) -> String;

/// Peaks and onsets, with a column for everything that was computed.
pub fn courses(table: &Table) -> Option<String> {
    let first = table.courses.first()?;
    let any = |has: fn(&Course) -> bool| table.courses.iter().any(has);
    let tested = table.scores.iter().any(|score| score.time.is_some() && score.p.is_some());
    let drawn = any(|course| course.peak_low.is_some());
    let score = &table.scores.iter().find(|score| score.target == first.target && score.kind == first.kind)?;
    let name = if score.controls.is_some() { "partial" } else { score.compare.as_str() };
    let all: [(&str, bool, Cell); 6] = [
        ("peak", true, |course| time(course.peak)),
        ("95 % interval", drawn, |course| interval(course.peak_low, course.peak_high)),
        (name, true, |course| format!("{:.3}", course.score)),
        ("onset", tested, |course| course.onset.map_or_else(|| "none".into(), time)),
        ("95 % interval", tested && drawn, |course| match course.onset {
            Some(_) => interval(course.onset_low, course.onset_high),
            None => String::new(),
        }),
        ("clusters", tested, |course| clusters(&course.clusters)),
    ];
    let wanted: Vec<_> = all.into_iter().filter(|(_, wanted, _)| *wanted).collect();
    let mut rows = vec![["target", "kind", "model", "layer"].map(String::from).to_vec()];
    rows[0].extend(wanted.iter().map(|(title, ..)| (*title).to_owned()));
    let mut before: Option<&Course> = None;
    for course in &table.courses {
        let same_target = before.is_some_and(|before| before.target == course.target && before.kind == course.kind);
        let same_model = same_target && before.is_some_and(|before| before.model == course.model);
        let unless = |same: bool, text: &str| if same { String::new() } else { text.to_owned() };
        let names = [unless(same_target, &course.target), unless(same_target, &course.kind), unless(same_model, &course.model)];
        let cells = wanted.iter().map(|(.., cell)| cell(course));
        rows.push(names.into_iter().chain([course.layer.clone()]).chain(cells).collect());
        before = Some(course);
    }
    let numbers = wanted.len() - usize::from(tested);
    Some(columns(&rows, &(4..4 + numbers).collect::<Vec<_>>()))
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
