//! The tables of a regression on the terminal, and the notes below them.

use super::text::{NOT_AVAILABLE, SMALL_P, matched, negative, null, probability, range};
use crate::printer::columns;
use thingsvision::numbers::count;
use thingsvision::rsa::regression::{Fit, Predictor, Regressed, TargetRow};
use thingsvision::rsa::{Over, drawn};

/// What a column says of a row.
type Cell<T> = fn(&T) -> Option<String>;

/// The title, whether there is something to say, and the cells.
type Column<T> = (&'static str, bool, Cell<T>);

/// A table for the targets, one for their predictors, one for what these share.
pub fn tables(regressed: &Regressed) -> String {
    let targets = &regressed.targets;
    let mut text = vec![of_targets(targets), of_predictors(targets)];
    text.extend(shared(targets));
    text.join("\n")
}

fn three(value: f64) -> String {
    format!("{value:.3}")
}

fn interval(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => range(low, high),
        _ => NOT_AVAILABLE.into(),
    }
}

fn of_targets(targets: &[TargetRow]) -> String {
    let first = &targets[0];
    let any = |has: fn(&TargetRow) -> bool| targets.iter().any(has);
    let all: [Column<TargetRow>; 9] = [
        ("pairs", any(|of| of.pairs < of.stimuli * (of.stimuli - 1) / 2), |of| Some(count(of.pairs))),
        ("λ", first.penalty.is_some(), |of| of.penalty.map(significant)),
        ("R²", true, |of| Some(three(of.explained))),
        ("95 % interval", first.draws.is_some(), |of| Some(interval(of.explained_low, of.explained_high))),
        ("p", first.explained_p.is_some(), |of| of.explained_p.map(probability)),
        ("p family", first.explained_p.is_some() && targets.len() > 1, |of| of.explained_p_family.map(probability)),
        ("R² left out", first.cross_validated.is_some(), |of| Some(or_none(of.explained_predicted))),
        ("r left out", first.cross_validated.is_some(), |of| Some(or_none(of.correlation_predicted))),
        ("ceiling of r", any(|of| of.ceiling_lower.is_some()), |of| Some(interval(of.ceiling_lower, of.ceiling_upper))),
    ];
    let rows = targets.iter().map(|of| ([of.target.clone(), of.kind.clone()], of));
    table(&["target", "kind"], rows, &all)
}

fn or_none(value: Option<f64>) -> String {
    value.map_or_else(|| NOT_AVAILABLE.into(), three)
}

fn of_predictors(targets: &[TargetRow]) -> String {
    let tested = targets[0].explained_p.is_some();
    let drawn = targets[0].draws.is_some();
    let all: [Column<Predictor>; 9] = [
        ("weight", true, |one| Some(significant(one.weight))),
        ("standardised", true, |one| Some(three(one.standardised))),
        ("95 % interval", drawn, |one| Some(interval(one.standardised_low, one.standardised_high))),
        ("unique", true, |one| Some(three(one.unique))),
        ("95 % interval", drawn, |one| Some(interval(one.unique_low, one.unique_high))),
        ("left out", targets[0].cross_validated.is_some(), |one| Some(or_none(one.unique_predicted))),
        ("partial r", true, |one| Some(or_none(one.partial))),
        ("p", tested, |one| Some(one.p.map_or_else(|| NOT_AVAILABLE.into(), probability))),
        ("p family", tested, |one| Some(one.p_family.map_or_else(|| NOT_AVAILABLE.into(), probability))),
    ];
    let of_target = |of: &TargetRow| {
        let name = |place: usize| if place == 0 { of.target.clone() } else { String::new() };
        (0..of.predictors.len()).map(name).collect::<Vec<_>>()
    };
    let rows = targets
        .iter()
        .flat_map(|of| of_target(of).into_iter().zip(&of.predictors).map(|(target, one)| ([target, one.predictor.clone()], one)));
    table(&["target", "predictor"], rows, &all)
}

/// Weights have units: of any size.
fn significant(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) { format!("{value:.2e}") } else { format!("{value:.4}") }
}

/// What is shared by several predictors, at most this many of each target.
fn shared(targets: &[TargetRow]) -> Option<String> {
    const SHOWN: usize = 11;
    let mut rows: Vec<Vec<String>> = vec![["target", "shared by", "variance"].map(String::from).to_vec()];
    let drawn = targets[0].draws.is_some();
    rows[0].extend(drawn.then(|| "95 % interval".to_owned()));
    let mut more = 0;
    for of in targets {
        let all: Vec<_> = of.parts.iter().filter(|part| part.predictors.len() > 1).collect();
        more += all.len().saturating_sub(SHOWN);
        for (place, part) in all.iter().take(SHOWN).enumerate() {
            let target = if place == 0 { of.target.clone() } else { String::new() };
            let mut row = vec![target, part.predictors.join(" + "), three(part.variance)];
            row.extend(drawn.then(|| interval(part.low, part.high)));
            rows.push(row);
        }
    }
    let text = columns(&rows, &[2, 3][..if drawn { 2 } else { 1 }]);
    let more = if more > 0 { format!("and {more} more, in the file\n") } else { String::new() };
    (rows.len() > 1).then(|| text + &more)
}

/// Rows of names and of those columns in which there is something to say.
fn table<'a, T: 'a>(names: &[&str; 2], rows: impl Iterator<Item = ([String; 2], &'a T)>, all: &[Column<T>]) -> String {
    let wanted: Vec<&Column<T>> = all.iter().filter(|(_, wanted, _)| *wanted).collect();
    let titles = names.iter().copied().chain(wanted.iter().map(|(title, ..)| *title)).map(String::from);
    let mut lines: Vec<Vec<String>> = vec![titles.collect()];
    for (names, of) in rows {
        lines.push(names.into_iter().chain(wanted.iter().map(|(_, _, cell)| cell(of).unwrap_or_default())).collect());
    }
    columns(&lines, &(2..2 + wanted.len()).collect::<Vec<_>>())
}

/// What must be known to read the tables.
pub fn notes(regressed: &Regressed) -> Vec<String> {
    let Regressed { request, regression, targets, permuted, .. } = regressed;
    let first = &targets[0];
    let of = if first.compare == "spearman" { " of ranks" } else { "" };
    let how = first.fit.title();
    let (stimuli, order) = (count(first.stimuli), matched(regressed.ids.as_deref(), regressed.assumed));
    let mut notes = vec![format!("{how} regression{of}: {stimuli} stimuli, {} pairs, {order}.", pairs(targets))];
    notes.extend(inflated(targets));
    if first.parts.is_empty() {
        notes.push("shared variance is taken apart for at most six predictors.".into());
    }
    if first.fit == Fit::Ridge {
        notes.push(
            "R², unique, shared: of the penalised fit, with which they need not be above 0; weights are drawn to 0.".into(),
        );
    }
    if first.fit != Fit::Ordinary {
        notes.push("partial r, and its p: of ordinary least squares.".into());
    }
    if let Some(over) = first.cross_validated {
        notes.push(left_out(over, request.regression.folds.unwrap_or(5), request.seed));
        let lacking: Vec<String> =
            targets.iter().filter(|of| of.explained_predicted.is_none()).map(|of| format!("`{}`", of.target)).collect();
        if !lacking.is_empty() {
            let names = lacking.join(", ");
            notes.push(format!(
                "left out {NOT_AVAILABLE} of {names}: within a fold something does not vary, or predictors are not apart."
            ));
        }
    }
    if let Some(permuted) = permuted {
        notes.push(null(permuted, targets.len() * first.predictors.len()) + " p Holm and q are in the files.");
        notes.push(SMALL_P.into());
        let family = if targets.len() > 1 { format!("; p family over {} targets", targets.len()) } else { String::new() };
        notes.push(format!("p of R²: one-sided, of relabelled targets{family}."));
    }
    if request.bootstrap > 0 {
        let drawn = drawn(request.over, &regression.analysis.targets);
        let words: Vec<&str> = drawn.iter().map(|(over, _)| over.words()).collect();
        notes.push(format!("intervals: {} bootstraps over {}.", count(request.bootstrap as usize), words.join("; ")));
        if first.fit == Fit::Ordinary {
            notes.push("R² and unique variance are never below 0, nor are their intervals; p tells them from 0.".into());
        }
        let most = targets.iter().filter_map(|of| of.draws_left_out).max().unwrap_or(0);
        if most > 0 {
            notes.push(format!(
                "left out up to {} draws, in which something does not vary, or predictors are not apart or explain any RDM.",
                count(most)
            ));
        }
    }
    notes.extend(regressed.few.iter().map(|sentence| format!("few: {sentence}.")));
    notes.extend(negative(&regressed.negative));
    notes
}

fn pairs(targets: &[TargetRow]) -> String {
    let same = targets.iter().all(|of| of.pairs == targets[0].pairs);
    if same { count(targets[0].pairs) } else { "as listed".into() }
}

/// Predictors whose weights are unsure for the others are much like them.
fn inflated(targets: &[TargetRow]) -> Option<String> {
    const MUCH: f64 = 10.0;
    let all = targets.iter().flat_map(|of| &of.predictors);
    let most = all.max_by(|a, b| a.inflation.total_cmp(&b.inflation)).filter(|most| most.inflation > MUCH)?;
    Some(format!(
        "`{}` is much like the other predictors (variance inflation {:.0}): weights of its own are unsure.",
        most.predictor, most.inflation
    ))
}

fn left_out(over: Over, folds: u32, seed: u64) -> String {
    let stimuli =
        format!("{folds} parts of the stimuli in turn (seed {seed}), no pair of which has a stimulus in common with the fit");
    match over {
        Over::Stimuli => format!("left out: {stimuli}."),
        Over::Subjects => "left out: each subject in turn, predicted by the mean of the others.".into(),
        Over::Both => format!("left out: each subject in turn, predicted by the mean of the others, and {stimuli}."),
    }
}
