//! `thingsvision triplets`

use super::rsa::columns::{self, Column, NOT_AVAILABLE, column, interval, three};
use super::rsa::text::matched;
use crate::cli::Triplets;
use crate::printer::Printer;
use anyhow::Result;
use thingsvision::names::doubt;
use thingsvision::numbers::count;
use thingsvision::rsa::model_name;
use thingsvision::rsa::triplets::{CHANCE, Row, Scores, score};

/// Scores every layer, writes the table, and prints it.
pub fn run(arguments: &Triplets, printer: Printer) -> Result<()> {
    let scores = score(&arguments.request, &printer)?;
    let [csv, json] = scores.write()?.map(|path| path.display().to_string());
    printer.data(&if arguments.json { scores.json()? } else { table(&scores.rows) })?;
    printer.note(&format!("\n  {}\n  wrote {csv}, {json}\n  next: thingsvision plot bars {json}", notes(&scores).join("\n  ")));
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let any = |has: fn(&Row) -> bool| rows.iter().any(has);
    let differ = any(|row| row.temperature != Some(1.0));
    let all = [
        column("accuracy", true, |row: &Row| Some(three(Some(row.accuracy)))),
        column("95 % interval", any(|row| row.draws.is_some()), |row| Some(interval(row.low, row.high))),
        column("T", differ, |row| Some(row.temperature.map_or_else(|| NOT_AVAILABLE.into(), temperature))),
        column("p", true, |row| Some(three(row.probability))),
        column("log p", true, |row| Some(three(row.log_likelihood))),
        Column {
            once: true,
            ..column("ceiling", any(|row| row.ceiling_lower.is_some()), |row| {
                Some(interval(row.ceiling_lower, row.ceiling_upper))
            })
        },
    ];
    let named = rows.iter().map(|row| ([&*row.choices, &*row.model, &*row.layer], row));
    columns::table(["triplets", "model", "layer"], 1, named, &all)
}

/// Of three digits that count.
fn temperature(value: f64) -> String {
    let text = format!("{value:.2e}");
    if (1e-3..1e4).contains(&value) { text.parse::<f64>().unwrap_or(value).to_string() } else { text }
}

/// What must be known to read the table.
fn notes(scores: &Scores) -> Vec<String> {
    let Scores { request, rows, ids, assumed, .. } = scores;
    let first = &rows[0];
    let (title, stimuli, triplets) = (request.similarity.title(), count(first.stimuli), count(first.triplets));
    let order = if scores.are_rows { "numbers taken for rows" } else { matched(ids.as_deref(), *assumed) };
    let mut notes = vec![
        format!("odd one out by {title}: {triplets} triplets of {stimuli} stimuli, {order}; chance is {CHANCE:.3}."),
        format!("p: mean probability of the odd one that people chose; log p: of its logarithm, by chance {:.3}.", CHANCE.ln()),
    ];
    if request.fit_temperature {
        notes.push("T: the temperature of the highest likelihood of these same triplets.".into());
    }
    notes.extend(ids.as_deref().filter(|_| *assumed && !scores.are_rows).and_then(doubt));
    notes.extend(first.draws.map(|draws| format!("intervals: {} bootstraps over stimuli.", count(draws))));
    notes.extend(left_out(rows));
    notes.extend(ties(rows));
    if first.repeated > 0 {
        notes.push(format!(
            "ceiling: of {} triplets that were judged more than once, {} judgements.",
            count(first.repeated),
            count(first.repeated_judgements)
        ));
    }
    notes.extend(scores.few.iter().map(|sentence| format!("few: {sentence}.")));
    notes
}

fn left_out(rows: &[Row]) -> Option<String> {
    let (missing, draws) = rows[0].draws_left_out.filter(|&missing| missing > 0).zip(rows[0].draws)?;
    let why = if rows[0].low.is_none() { "; too many for an interval" } else { "" };
    Some(format!("{} of {} bootstraps have no triplet whose stimuli were all drawn{why}.", count(missing), count(draws)))
}

/// The layer with most ties.
fn ties(rows: &[Row]) -> Option<String> {
    let most = rows.iter().max_by_key(|row| row.ties).filter(|row| row.ties > 0)?;
    let name = model_name(&most.model, &most.layer);
    Some(format!(
        "ties: of {} triplets `{name}` has pairs tied with that of people; these count as 1/2 or 1/3.",
        count(most.ties)
    ))
}
