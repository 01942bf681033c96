//! The table of reweighted layers on the terminal, and the notes below it.

use super::text::{NOT_AVAILABLE, capital, matched, range};
use crate::printer::columns;
use thingsvision::numbers::count;
use thingsvision::rsa::model_name;
use thingsvision::rsa::reweight::{Reweighted, Row};

/// The title, whether there is something to say, and the cells.
type Column = (&'static str, bool, fn(&Row) -> String);

/// A row for each target and layer.
pub fn table(rows: &[Row]) -> String {
    let any = |has: fn(&Row) -> bool| rows.iter().any(has);
    let all: [Column; 8] = [
        ("units", true, |row| count(row.units)),
        ("λ", true, |row| penalty(row.penalty)),
        ("unweighted", true, |row| number(row.unweighted)),
        ("reweighted", true, |row| number(row.reweighted)),
        ("95 % interval", any(|row| row.draws.is_some()), |row| interval(row.low, row.high)),
        ("gained", true, |row| number(row.gained)),
        ("95 % interval", any(|row| row.draws.is_some()), |row| interval(row.gained_low, row.gained_high)),
        (CEILING, any(|row| row.ceiling_lower.is_some()), |row| interval(row.ceiling_lower, row.ceiling_upper)),
    ];
    let wanted: Vec<&Column> = all.iter().filter(|(_, wanted, _)| *wanted).collect();
    let titles = ["target", "kind", "model", "layer"].into_iter().chain(wanted.iter().map(|(title, ..)| *title));
    let mut lines: Vec<Vec<String>> = vec![titles.map(String::from).collect()];
    let mut before: Option<&Row> = None;
    for row in rows {
        let same_target = before.is_some_and(|before| before.target == row.target && before.kind == row.kind);
        let same_model = same_target && before.is_some_and(|before| before.model == row.model);
        let unless = |same: bool, text: &str| if same { String::new() } else { text.to_owned() };
        let names =
            [unless(same_target, &row.target), unless(same_target, &row.kind), unless(same_model, &row.model), row.layer.clone()];
        let cells = wanted.iter().map(|(title, _, cell)| unless(*title == CEILING && same_target, &cell(row)));
        lines.push(names.into_iter().chain(cells).collect());
        before = Some(row);
    }
    columns(&lines, &(4..4 + wanted.len()).collect::<Vec<_>>())
}

/// The column that is filled once for each target.
const CEILING: &str = "ceiling";

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| NOT_AVAILABLE.into(), |value| format!("{value:.3}"))
}

fn interval(low: Option<f64>, high: Option<f64>) -> String {
    low.zip(high).map_or_else(|| NOT_AVAILABLE.into(), |(low, high)| range(low, high))
}

/// Of two digits that count.
fn penalty(value: f64) -> String {
    let text = format!("{value:.1e}");
    if (0.0099..1e5).contains(&value) { text.parse::<f64>().unwrap_or(value).to_string() } else { text }
}

/// What must be known to read the table.
pub fn notes(reweighted: &Reweighted) -> Vec<String> {
    let Reweighted { request, analysis, rows, .. } = reweighted;
    let first = &rows[0];
    let matched = matched(reweighted.ids.as_deref(), reweighted.assumed);
    let times = if first.repeats > 1 { format!(", {} times", first.repeats) } else { String::new() };
    let penalty =
        if request.regression.penalty.is_some() { "given" } else { "chosen within the fitted stimuli, the geometric mean" };
    let mut notes = vec![
        format!(
            "{} of predicted and real pairs: {} stimuli in {} parts{times} (seed {}), {matched}.",
            capital(analysis.comparison.title()),
            count(first.stimuli),
            first.folds,
            request.seed
        ),
        "each part in turn, with weights that were fitted to the others; both stimuli of a pair are in the part.".into(),
        "unweighted: of the same pairs, all weights 1 (squared Euclidean distances of z-scored units).".into(),
        format!("λ: {penalty}. Weights may be negative."),
    ];
    notes.extend(first.draws.map(|draws| format!("intervals: {} bootstraps over subjects.", count(draws))));
    notes.extend(constant(rows));
    notes.extend(lacking(rows));
    notes.extend(reweighted.few.iter().map(|sentence| format!("few: {sentence}.")));
    notes
}

/// The layer with most units that do not vary in a fit.
fn constant(rows: &[Row]) -> Option<String> {
    let most = rows.iter().max_by_key(|row| row.units_constant).filter(|row| row.units_constant > 0)?;
    let name = model_name(&most.model, &most.layer);
    Some(match most.units_constant {
        1 => format!("a unit of `{name}` does not vary over the stimuli of a fit, and has weight 0."),
        many => format!("up to {} units of `{name}` do not vary over the stimuli of a fit, and have weight 0.", count(many)),
    })
}

fn lacking(rows: &[Row]) -> Option<String> {
    rows.iter().any(|row| row.unweighted.is_none() || row.reweighted.is_none()).then(|| {
        format!("{NOT_AVAILABLE}: in some part the target or the prediction does not vary: take fewer parts, --folds 2.")
    })
}
