//! The table of scores on the terminal, and the notes below it.

use super::columns::{self, Column, NOT_AVAILABLE, column, interval, probability, range, three};
use thingsvision::names::doubt;
use thingsvision::numbers::count;
use thingsvision::rdm::{MANY_TIES, tied_share};
use thingsvision::rsa::{Analysed, Analysis, Over, Permuted, Score, Table, drawn, model_name};

/// The scores of targets without time, with a column for everything that was computed.
pub fn table(table: &Table) -> String {
    let scores = || table.scores.iter().filter(|score| score.time.is_none());
    let Some(first) = scores().next() else { return String::new() };
    let any = |has: fn(&Score) -> bool| scores().any(has);
    let pairs_differ = scores().any(|score| score.pairs != first.pairs);
    let score = if first.controls.is_some() { "partial" } else { first.compare.as_str() };
    let (drawn, tested) = (any(|score| score.draws_left_out.is_some()), any(|score| score.p.is_some()));
    let ceiling: fn(&Score) -> Option<String> = |score| {
        let bounds = score.ceiling_lower.zip(score.ceiling_upper);
        Some(bounds.map_or_else(|| "not available".into(), |(lower, upper)| range(lower, upper)))
    };
    let all = [
        column("pairs", pairs_differ, |score: &Score| Some(count(score.pairs))),
        column(&first.compare, first.controls.is_some(), |score| Some(three(score.uncontrolled))),
        column(score, true, |score| Some(three(Some(score.score)))),
        column("95 % interval", drawn, |score| Some(interval(score.low, score.high))),
        column("p", tested, |score| score.p.map(probability)),
        column("p family", tested, |score| score.p_family.map(probability)),
        column("p Holm", tested, |score| score.p_holm.map(probability)),
        column("q", tested, |score| score.q.map(probability)),
        Column { once: true, ..column("ceiling", any(|score| score.ceiling_lower.is_some()), ceiling) },
    ];
    let rows = scores().map(|score| ([&*score.target, &*score.kind, &*score.model, &*score.layer], score));
    columns::table(["target", "kind", "model", "layer"], 2, rows, &all)
}

/// The pairwise differences, the smallest p first, at most this many.
pub fn differences(table: &Table) -> String {
    const SHOWN: usize = 12;
    let p = |p: Option<f64>| p.map_or_else(|| NOT_AVAILABLE.into(), probability);
    let mut sorted: Vec<_> = table.differences.iter().collect();
    sorted.sort_by(|a, b| a.p.unwrap_or(f64::NAN).total_cmp(&b.p.unwrap_or(f64::NAN)));
    let mut rows = vec![["target", "model", "other", "difference", "p", "p Holm"].map(String::from).to_vec()];
    for found in sorted.iter().take(SHOWN) {
        let (one, other) = (model_name(&found.model, &found.layer), model_name(&found.other_model, &found.other_layer));
        let numbers = [format!("{:.3}", found.difference), p(found.p), p(found.p_holm)];
        rows.push([found.target.clone(), one, other].into_iter().chain(numbers).collect());
    }
    let more = sorted.len().saturating_sub(SHOWN);
    crate::printer::columns(&rows, &[3, 4, 5]) + &if more > 0 { format!("and {more} more, in the file\n") } else { String::new() }
}

/// What must be known to read the table: how many stimuli, in which order; the null hypothesis; hints.
pub fn notes(analysed: &Analysed) -> Vec<String> {
    let Analysed { request, analysis, table, .. } = analysed;
    let pairs: Vec<usize> = analysis.targets.iter().map(|target| analysis.kept(target).len()).collect();
    let pairs = if pairs.iter().all(|count| *count == pairs[0]) {
        let all = analysis.stimuli * (analysis.stimuli - 1) / 2;
        let of = if pairs[0] < all { format!(" of {}", count(all)) } else { String::new() };
        format!("{}{of} pairs each", count(pairs[0]))
    } else if table.scores.iter().all(|score| score.time.is_some()) {
        "pairs of each time as in the .csv".into()
    } else {
        "pairs as listed".into()
    };
    let order = matched(analysed.ids.as_deref(), analysed.assumed);
    let title = capital(analysis.comparison.title());
    let mut notes = vec![format!("{title} of RDMs: {} stimuli, {pairs}, {order}.", count(analysis.stimuli))];
    notes.extend(table.scores[0].controls.as_ref().map(|controls| partial(controls, table)));
    notes.extend(analysed.ids.as_deref().filter(|_| analysed.assumed).and_then(doubt));
    notes.extend(analysed.permuted.as_ref().map(|permuted| null(permuted, analysis.tests())));
    if analysed.permuted.is_some() && !analysis.controls.is_empty() {
        notes.push(SMALL_P.into());
    }
    notes.extend(over_time(analysed));
    if request.bootstrap > 0 {
        let draws = request.bootstrap;
        let drawn = drawn(request.over, &analysis.targets);
        let part = |(over, targets): &(Over, Vec<String>)| {
            let why = if *over == Over::Stimuli { " for want of subjects" } else { "" };
            format!("over {}, of {}{why}", over.words(), targets.join(", "))
        };
        let over = match &drawn[..] {
            [(over, _)] => format!("over {}", over.words()),
            parts => parts.iter().map(part).collect::<Vec<_>>().join("; "),
        };
        notes.push(format!("intervals: {} bootstraps {over}.", count(draws)));
        notes.extend(left_out(table, draws));
        notes.extend(beyond(table));
    }
    notes.extend(analysed.few.iter().map(|sentence| format!("few: {sentence}.")));
    notes.extend(negative(&analysed.negative));
    notes.extend(ties(analysis));
    notes
}

/// How rows were found.
pub fn matched(ids: Option<&[String]>, assumed: bool) -> &'static str {
    match (ids.is_some(), assumed) {
        (true, false) => "matched by name",
        (true, true) => "without names on one side, so taken to be in the same order",
        (false, _) => "taken to be in the same order on both sides",
    }
}

/// That tests of partial correlations may find too much; the figures are those of the simulations in docs/statistics.md.
pub(super) const SMALL_P: &str =
    "p of partial correlations: where model and target are both made of a control's features, 0.05 may be 0.10.";

/// What the columns of a table with controls say.
fn partial(controls: &str, table: &Table) -> String {
    let score = &table.scores[0];
    let of = [(score.low.is_some(), "intervals"), (score.p.is_some(), "p"), (score.ceiling_lower.is_some(), "ceiling")];
    let of: Vec<&str> = of.into_iter().filter(|(there, _)| *there).map(|(_, what)| what).collect();
    let are = if of.is_empty() { String::new() } else { format!("; {}: of the partial correlation", of.join(", ")) };
    format!("partial: held constant {controls}{are}.")
}

/// What times, clusters and onsets are.
fn over_time(analysed: &Analysed) -> Vec<String> {
    let Analysed { request, table, counted, permuted, .. } = analysed;
    let mut notes = Vec::new();
    if table.courses.is_empty() {
        return notes;
    }
    let of = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    notes.push(match &counted[..] {
        [] => "times: in ms.".to_owned(),
        names => {
            format!("times: frames of {}, counted from 0; put their times, in ms, into a .times.txt beside the file.", of(names))
        }
    });
    if permuted.is_some() {
        notes.push(
            "clusters: times side by side that deviate by more than 1.96 spreads; p: of the largest mass of any cluster in each \
             permutation, over all times, models and targets; onset: where the first with p ≤ 0.05 begins."
                .into(),
        );
    }
    if request.bootstrap > 0 {
        notes.push("intervals of peak and onset: of those of the draws; the scores of all times are in the .csv.".into());
    }
    notes
}

/// The scores that some draws do not have, at most this many.
fn left_out(table: &Table, draws: u32) -> Vec<String> {
    const SHOWN: usize = 5;
    let scores = table.scores.iter().filter_map(|score| Some((score, score.draws_left_out.filter(|&count| count > 0)?)));
    let controls = if table.scores[0].controls.is_some() { ", or the controls explain one" } else { "" };
    let note = |(score, left_out): (&Score, usize)| {
        let none = match score.low {
            Some(_) => "",
            None => "; no interval, for it would be that of the draws in which they do",
        };
        let (name, left_out, draws) = (model_name(&score.model, &score.layer), count(left_out), count(draws));
        format!(
            "`{name}`, `{}`: left out {left_out} of {draws} draws, in which one of the two does not vary{controls}{none}.",
            score.target
        )
    };
    let mut notes: Vec<String> = scores.map(note).collect();
    let more = notes.len().saturating_sub(SHOWN);
    notes.truncate(SHOWN);
    if table.differences.iter().any(|difference| difference.p.is_none()) {
        notes.push(format!("p {NOT_AVAILABLE}: too many draws were left out, or the difference is the same in all."));
    }
    notes.extend((more > 0).then(|| format!("the same of {more} more scores: see `draws_left_out` in the files.")));
    notes
}

/// The scores with intervals that no score can have, the first by name.
fn beyond(table: &Table) -> Option<String> {
    let mut scores = table.scores.iter().filter(|score| score.is_beyond());
    let first = scores.next()?;
    let more = match scores.count() {
        0 => String::new(),
        others => format!(", and of {} more scores,", count(others)),
    };
    let (name, target) = (model_name(&first.model, &first.layer), &first.target);
    Some(format!(
        "the interval of `{name}`, `{target}`{more} reaches beyond ±1, which no score does: too few subjects or stimuli."
    ))
}

pub(super) fn null(permuted: &Permuted, tests: usize) -> String {
    let of = match permuted.exhaustive {
        true => format!("all {} permutations", count(permuted.permutations + 1)),
        false => format!("{} permutations", count(permuted.permutations)),
    };
    format!(
        "p: {of} of the stimuli, two-sided; null hypothesis: their labels are exchangeable; smallest possible {}.\n  \
         p family: maximum over {tests} tests, each in units of its spread; p Holm, q (Benjamini-Hochberg): over the same.",
        probability(permuted.smallest())
    )
}

/// RDMs that may be similarities, at most this many.
pub(super) fn negative(sentences: &[String]) -> Vec<String> {
    const SHOWN: usize = 5;
    let more = sentences.len().saturating_sub(SHOWN);
    let mut notes: Vec<String> = sentences.iter().take(SHOWN).map(|sentence| format!("{sentence}.")).collect();
    notes.extend((more > 0).then(|| format!("the same of {more} more: see `thingsvision rdm check`.")));
    notes
}

/// Measures that favour ties are wrong for models that have many.
fn ties(analysis: &Analysis) -> Option<String> {
    if !analysis.comparison.favours_ties() {
        return None;
    }
    let share = |pairs: &Vec<f64>| tied_share(pairs.iter().copied().filter(|pair| pair.is_finite()).collect());
    let (name, share) = analysis
        .models
        .iter()
        .map(|model| (&model.model, share(&model.pairs)))
        .chain(analysis.targets.iter().map(|target| (&target.name, share(&target.subjects[0]))))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    (share > MANY_TIES).then(|| {
        format!("{:.0} % of the pairs of `{name}` are tied, which this measure favours: better --compare rho-a.", 100.0 * share)
    })
}

/// With a capital at the beginning; not of `ρ-a`, which would look like a P.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| [first.to_ascii_uppercase()].into_iter().chain(letters).collect()).unwrap_or_default()
}
