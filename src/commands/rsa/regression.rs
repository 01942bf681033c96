//! The tables of a regression on the terminal, and the notes below them.

use super::columns::{self, NOT_AVAILABLE, column, interval, probability, three};
use super::text::{SMALL_P, matched, negative, null};
use thingsvision::numbers::count;
use thingsvision::rsa::regression::{Fit, Part, Predictor, Regressed, TargetRow};
use thingsvision::rsa::{Over, drawn};

/// A table for the targets, one for their predictors, one for what these share.
pub fn tables(regressed: &Regressed) -> String {
    let targets = &regressed.targets;
    let mut text = vec![of_targets(targets), of_predictors(targets)];
    text.extend(shared(targets));
    text.join("\n")
}

fn of_targets(targets: &[TargetRow]) -> String {
    let first = &targets[0];
    let any = |has: fn(&TargetRow) -> bool| targets.iter().any(has);
    let (tested, left_out) = (first.explained_p.is_some(), first.cross_validated.is_some());
    let all = [
        column("pairs", any(|of| of.pairs < of.stimuli * (of.stimuli - 1) / 2), |of: &TargetRow| Some(count(of.pairs))),
        column("λ", first.penalty.is_some(), |of| of.penalty.map(significant)),
        column("R²", true, |of| Some(three(Some(of.explained)))),
        column("95 % interval", first.draws.is_some(), |of| Some(interval(of.explained_low, of.explained_high))),
        column("p", tested, |of| of.explained_p.map(probability)),
        column("p family", tested && targets.len() > 1, |of| of.explained_p_family.map(probability)),
        column("R² left out", left_out, |of| Some(three(of.explained_predicted))),
        column("r left out", left_out, |of| Some(three(of.correlation_predicted))),
        column("ceiling of r", any(|of| of.ceiling_lower.is_some()), |of| Some(interval(of.ceiling_lower, of.ceiling_upper))),
    ];
    columns::table(["target", "kind"], 2, targets.iter().map(|of| ([&*of.target, &*of.kind], of)), &all)
}

fn of_predictors(targets: &[TargetRow]) -> String {
    let tested = targets[0].explained_p.is_some();
    let drawn = targets[0].draws.is_some();
    let all = [
        column("weight", true, |one: &Predictor| Some(significant(one.weight))),
        column("standardised", true, |one| Some(three(Some(one.standardised)))),
        column("95 % interval", drawn, |one| Some(interval(one.standardised_low, one.standardised_high))),
        column("unique", true, |one| Some(three(Some(one.unique)))),
        column("95 % interval", drawn, |one| Some(interval(one.unique_low, one.unique_high))),
        column("left out", targets[0].cross_validated.is_some(), |one| Some(three(one.unique_predicted))),
        column("partial r", true, |one| Some(three(one.partial))),
        column("p", tested, |one| Some(one.p.map_or_else(|| NOT_AVAILABLE.into(), probability))),
        column("p family", tested, |one| Some(one.p_family.map_or_else(|| NOT_AVAILABLE.into(), probability))),
    ];
    let names: Vec<String> = targets.iter().flat_map(|of| first_named(&of.target, of.predictors.len())).collect();
    let ones = targets.iter().flat_map(|of| &of.predictors);
    let rows = names.iter().zip(ones).map(|(target, one)| ([&**target, &*one.predictor], one));
    columns::table(["target", "predictor"], 1, rows, &all)
}

/// The name of a target for the first of so many rows; targets of two kinds may be called alike.
fn first_named(target: &str, rows: usize) -> impl Iterator<Item = String> {
    std::iter::once(target.to_owned()).chain(std::iter::repeat(String::new())).take(rows)
}

/// Weights have units: of any size.
fn significant(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) { format!("{value:.2e}") } else { format!("{value:.4}") }
}

/// What is shared by several predictors, at most this many of each target.
fn shared(targets: &[TargetRow]) -> Option<String> {
    const SHOWN: usize = 11;
    let drawn = targets[0].draws.is_some();
    let shared = |of: &TargetRow| of.parts.iter().filter(|part| part.predictors.len() > 1).count();
    let more: usize = targets.iter().map(|of| shared(of).saturating_sub(SHOWN)).sum();
    let of_target = |of: &TargetRow| -> Vec<(String, String, Part)> {
        let parts = of.parts.iter().filter(|part| part.predictors.len() > 1).take(SHOWN);
        let named = first_named(&of.target, SHOWN).zip(parts);
        named.map(|(target, part)| (target, part.predictors.join(" + "), part.clone())).collect()
    };
    let rows: Vec<(String, String, Part)> = targets.iter().flat_map(of_target).collect();
    let all = [
        column("variance", true, |part: &Part| Some(three(Some(part.variance)))),
        column("95 % interval", drawn, |part| Some(interval(part.low, part.high))),
    ];
    let named = rows.iter().map(|(target, names, part)| ([&**target, &**names], part));
    let text = columns::table(["target", "shared by"], 1, named, &all);
    let more = if more > 0 { format!("and {more} more, in the file\n") } else { String::new() };
    (!rows.is_empty()).then(|| text + &more)
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
