//! The table of reweighted layers on the terminal, and the notes below it.

use super::columns::{self, Column, NOT_AVAILABLE, column, interval, three};
use super::text::{capital, matched};
use thingsvision::numbers::count;
use thingsvision::rsa::model_name;
use thingsvision::rsa::reweight::{Reweighted, Row};

/// A row for each target and layer.
pub fn table(rows: &[Row]) -> String {
    let any = |has: fn(&Row) -> bool| rows.iter().any(has);
    let drawn = any(|row| row.draws.is_some());
    let ceiling: fn(&Row) -> Option<String> = |row| Some(interval(row.ceiling_lower, row.ceiling_upper));
    let all = [
        column("units", true, |row: &Row| Some(count(row.units))),
        column("λ", true, |row| Some(penalty(row.penalty))),
        column("unweighted", true, |row| Some(three(row.unweighted))),
        column("reweighted", true, |row| Some(three(row.reweighted))),
        column("95 % interval", drawn, |row| Some(interval(row.low, row.high))),
        column("gained", true, |row| Some(three(row.gained))),
        column("95 % interval", drawn, |row| Some(interval(row.gained_low, row.gained_high))),
        Column { once: true, ..column("ceiling", any(|row| row.ceiling_lower.is_some()), ceiling) },
    ];
    let named = rows.iter().map(|row| ([&*row.target, &*row.kind, &*row.model, &*row.layer], row));
    columns::table(["target", "kind", "model", "layer"], 2, named, &all)
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
