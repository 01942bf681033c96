//! Which rows of several RDMs stand for the same stimuli: by their IDs, or by order where there are none.

use super::renamed::{Renamed, renamed};
use super::{Rdms, pair, pairs_of};
use crate::error::advise;
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What is known of the rows of an RDM.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// The file, for messages.
    pub(crate) name: &'a str,
    pub(crate) stimuli: usize,
    /// Which differ.
    pub(crate) ids: Option<&'a [String]>,
    /// Whether those without IDs follow its order, if others with IDs have another: that of a model.
    pub(crate) leads: bool,
}

/// The stimuli that are compared, and where each RDM has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// Of each RDM the rows, in the common order.
    pub rows: Vec<Vec<usize>>,
    /// The IDs in the common order, if any RDM has some.
    pub ids: Option<Vec<String>>,
    /// Whether an RDM without IDs was taken to be in the order of the others (of the models, if these have IDs).
    pub assumed: bool,
    /// How many stimuli are not in all RDMs.
    pub left_out: usize,
    /// Which IDs were taken for others, for they lack folders or endings, in sentences.
    pub renamed: Vec<String>,
}

/// Aligns the RDMs of files, see [`align`]: those of `files`, then those of `models`, which lead.
pub(crate) fn align_files<'a>(
    files: impl IntoIterator<Item = (&'a Path, &'a Rdms)>,
    models: impl IntoIterator<Item = (&'a Path, &'a Rdms)>,
    intersect: bool,
) -> Result<Alignment> {
    let all = files.into_iter().map(|file| (file, false)).chain(models.into_iter().map(|model| (model, true)));
    let named: Vec<_> = all.map(|((path, rdms), leads)| (path.display().to_string(), rdms, leads)).collect();
    let rows =
        named.iter().map(|(name, rdms, leads)| Rows { name, stimuli: rdms.stimuli, ids: rdms.ids.as_deref(), leads: *leads });
    align(&rows.collect::<Vec<_>>(), intersect)
}

/// Aligns RDMs: those with IDs must have the same ones, in any order, perhaps without folders or endings, or with `intersect` share some. Those without must be of
/// the same size, and are in the order of those that have IDs and lead, or of all that have IDs: these must agree on one. IDs
/// that only count, as pandas and R put them before rows, are none where others are called otherwise.
pub(crate) fn align(all: &[Rows], intersect: bool) -> Result<Alignment> {
    let all = &without_counts(all)?[..];
    let labelled = |rows: &Rows| rows.ids.is_some();
    let some_lead = all.iter().any(|rows| labelled(rows) && rows.leads);
    let mut leaders = all.iter().filter(|rows| labelled(rows) && (rows.leads || !some_lead));
    let none = Alignment { rows: Vec::new(), ids: None, assumed: false, left_out: 0, renamed: Vec::new() };
    let Some(reference) = leaders.next().or(all.first()) else { return Ok(none) };
    for rows in all.iter().filter(|rows| !labelled(rows) || !labelled(reference)) {
        check_size(rows, reference)?;
    }
    let assumed = all.iter().any(|rows| !labelled(rows));
    let Some(ids) = reference.ids else {
        return Ok(Alignment { rows: all.iter().map(|rows| (0..rows.stimuli).collect()).collect(), assumed, ..none });
    };
    let found: Vec<Option<Renamed>> =
        all.iter().map(|rows| rows.ids.map_or(Ok(None), |own| renamed(rows.name, own, ids))).collect::<Result<_>>()?;
    let mut named = all.to_vec();
    for (rows, found) in named.iter_mut().zip(&found) {
        rows.ids = found.as_ref().map_or(rows.ids, |found| Some(&found.ids));
    }
    let all = &named[..];
    let shared = shared(all, reference, ids, intersect)?;
    let left_out = union(all) - shared.len();
    if let Some(rows) = all.iter().find(|rows| !labelled(rows)) {
        let hint = "put its IDs, one a line, into a file beside it that ends in .ids.txt";
        if left_out > 0 {
            return Err(advise(
                format!("`{}` has no IDs, so its rows cannot be found among those that the others share", rows.name),
                hint,
            ));
        }
        if let Some(other) = leaders.find(|other| other.ids != reference.ids) {
            let (one, other) = (reference.name, other.name);
            return Err(advise(
                format!("`{}` has no IDs, and `{one}` and `{other}` have the stimuli in different orders", rows.name),
                hint,
            ));
        }
    }
    let rows = all.iter().map(|rows| places(rows, &shared)).collect();
    let renamed = found.into_iter().flatten().map(|found| found.said).collect();
    Ok(Alignment { rows, ids: Some(shared), assumed, left_out, renamed })
}

/// Without the IDs that count 0, 1, 2, … or 1, 2, 3, … and disagree with those of another: of that one the same names, or a part of
/// them, would have to be meant.
///
/// IDs that count may be the names of the other without folder and ending, `1` of `1.jpg`: then they are, unless the order of the rows
/// says otherwise. That is an error with both.
fn without_counts<'a>(all: &[Rows<'a>]) -> Result<Vec<Rows<'a>>> {
    let only_counts = |rows: &Rows| rows.ids.and_then(first_count);
    let disagree = |rows: &Rows, other: &Rows| match (only_counts(rows), other.ids.and_then(first_of_set)) {
        (Some(first), Some(of_other)) => first != of_other && only_counts(other).is_some(),
        (Some(_), None) => other.ids.is_some_and(|ids| !is_part(rows.ids.unwrap_or_default(), ids)),
        (None, _) => false,
    };
    let of = |rows: &Rows<'a>| {
        let mut ids = rows.ids;
        for other in all.iter().filter(|other| disagree(rows, other)) {
            let are_names = are_names(rows, other)?;
            ids = ids.filter(|_| are_names);
        }
        Ok(Rows { ids, ..*rows })
    };
    all.iter().map(of).collect()
}

/// Whether the IDs of `rows`, which count, are those of `other` without folder and ending. Fails if they are in another order, which
/// counting would not be.
fn are_names(rows: &Rows, other: &Rows) -> Result<bool> {
    let (Some(own), Some(others)) = (rows.ids, other.ids) else { return Ok(false) };
    let Some(found) = renamed(rows.name, own, others).ok().flatten().filter(|found| found.found == own.len()) else {
        return Ok(false);
    };
    let differs = (0..).zip(found.ids.iter().zip(others)).find(|(_, (named, counted))| named != counted);
    match differs {
        Some((row, (named, counted))) if own.len() == others.len() => Err(advise(
            format!(
                "the IDs in `{}` count its rows, and may be names: `{}` is `{named}` by its name, and `{counted}` by its place",
                rows.name, own[row]
            ),
            format!("write them as `{}` has them, or leave them out where rows are in its order", other.name),
        )),
        _ => Ok(true),
    }
}

/// 0 or 1, if the IDs count from there on.
fn first_count(ids: &[String]) -> Option<usize> {
    [0, 1].into_iter().find(|first| ids.iter().zip(*first..).all(|(id, number)| *id == number.to_string()))
}

/// The same in any order.
fn first_of_set(ids: &[String]) -> Option<usize> {
    let mut numbers: Vec<usize> = ids.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?;
    numbers.sort_unstable();
    [0, 1].into_iter().find(|first| numbers.iter().zip(*first..).all(|(id, number)| *id == number))
}

/// Whether the fewer IDs are all among the more.
fn is_part(one: &[String], other: &[String]) -> bool {
    let (fewer, more) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let more: HashSet<&String> = more.iter().collect();
    fewer.iter().all(|id| more.contains(id))
}

fn check_size(rows: &Rows, reference: &Rows) -> Result<()> {
    if rows.stimuli == reference.stimuli {
        return Ok(());
    }
    let stimuli = |rows: &Rows| format!("`{}` has {} stimuli", rows.name, rows.stimuli);
    Err(advise(
        format!("{}, but {}", stimuli(rows), stimuli(reference).replace(" stimuli", "")),
        "rows must stand for the same stimuli in the same order: give the RDM of the same images, or name the runs to compare",
    ))
}

const WRITTEN_ALIKE: &str = "IDs must be written alike, with the same folders and endings: compare the .ids.txt and images.txt";

/// The IDs that all labelled RDMs have, in the order of the first.
fn shared(all: &[Rows], reference: &Rows, ids: &[String], intersect: bool) -> Result<Vec<String>> {
    let mut shared = ids.to_vec();
    for rows in all {
        let Some(own) = rows.ids else { continue };
        let own: HashSet<&String> = own.iter().collect();
        let all_are_there = own.len() == ids.len() && ids.iter().all(|id| own.contains(id));
        if !all_are_there && !intersect {
            return Err(not_the_same(reference, rows));
        }
        shared.retain(|id| own.contains(id));
    }
    if shared.len() < 4 {
        return Err(advise(format!("they share {} stimuli, too few to compare", shared.len()), WRITTEN_ALIKE));
    }
    Ok(shared)
}

fn not_the_same(reference: &Rows, rows: &Rows) -> anyhow::Error {
    let ids = |rows: &Rows| -> HashSet<String> { rows.ids.unwrap_or_default().iter().cloned().collect() };
    let lacking = |rows: &Rows, other: &Rows| {
        let own = ids(rows);
        let lacking: Vec<_> = other.ids.unwrap_or_default().iter().filter(|id| !own.contains(*id)).collect();
        let shown: Vec<_> = lacking.iter().take(3).map(|id| format!("`{id}`")).collect();
        let more = if lacking.len() > 3 { format!(" and {} more", lacking.len() - 3) } else { String::new() };
        (!lacking.is_empty()).then(|| format!("`{}` has no {}{more}", rows.name, shown.join(", ")))
    };
    let shared = ids(rows).intersection(&ids(reference)).count();
    let faults: Vec<_> = [lacking(rows, reference), lacking(reference, rows)].into_iter().flatten().collect();
    advise(
        format!("`{}` and `{}` are not of the same stimuli: {}", reference.name, rows.name, faults.join("; ")),
        match shared {
            0..4 => WRITTEN_ALIKE,
            _ => "compare the same stimuli, or only those that all have: --intersect",
        },
    )
}

fn union(all: &[Rows]) -> usize {
    all.iter().filter_map(|rows| rows.ids).flatten().collect::<HashSet<_>>().len()
}

/// Where `rows` has each of `ids`.
fn places(rows: &Rows, ids: &[String]) -> Vec<usize> {
    let Some(own) = rows.ids else { return (0..rows.stimuli).collect() };
    let place: HashMap<&String, usize> = own.iter().zip(0..).collect();
    ids.iter().map(|id| place[id]).collect()
}

/// The pairs of `rows` of an RDM of `n` stimuli, in their order.
pub(crate) fn aligned(n: usize, pairs: &[f64], rows: &[usize]) -> Vec<f64> {
    let of = |(i, j): (usize, usize)| pairs[pair(n, rows[i], rows[j])];
    pairs_of(rows.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    fn rows<'a>(name: &'a str, ids: &'a [String]) -> Rows<'a> {
        Rows { name, stimuli: ids.len(), ids: Some(ids), leads: false }
    }

    #[test]
    fn ids_are_found_in_any_order() {
        let (a, b) = (ids("abcde"), ids("ecdab"));
        let alignment = align(&[rows("a", &a), rows("b", &b)], false).unwrap();
        assert_eq!(alignment.rows, [vec![0, 1, 2, 3, 4], vec![3, 4, 1, 2, 0]]);
        // Pairs of b: ec ed ea eb cd ca cb da db ab.
        let pairs: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(aligned(5, &pairs, &alignment.rows[1]), [9., 5., 7., 2., 6., 8., 3., 4., 0., 1.]);
        assert!(!alignment.assumed);
    }

    #[test]
    fn other_ids_are_an_error_that_names_some_unless_only_shared_ones_are_wanted() {
        let (a, b) = (ids("abcdefgh"), ids("abcdx"));
        let all = [rows("a", &a), rows("b", &b)];
        let error = align(&all, false).unwrap_err().to_string();
        assert_eq!(error, "`a` and `b` are not of the same stimuli: `b` has no `e`, `f`, `g` and 1 more; `a` has no `x`");
        let alignment = align(&all, true).unwrap();
        assert_eq!((alignment.ids, alignment.left_out), (Some(ids("abcd")), 5));
        assert!(align(&[rows("a", &a), rows("c", &ids("abcy"))], true).is_err());
    }

    #[test]
    fn those_without_ids_follow_the_models_or_need_one_order() {
        let (a, b) = (ids("abcde"), ids("ecdab"));
        let unlabelled = Rows { name: "u", stimuli: 5, ids: None, leads: false };
        let model = |name, ids| Rows { leads: true, ..rows(name, ids) };
        for all in [[unlabelled, rows("a", &a), model("b", &b)], [rows("a", &a), unlabelled, model("b", &b)]] {
            let alignment = align(&all, false).unwrap();
            let at = all.iter().position(|rows| rows.ids.is_none()).unwrap();
            assert_eq!(alignment.rows[at], alignment.rows[2]);
        }
        let error = "`u` has no IDs, and `a` and `b` have the stimuli in different orders";
        for all in [[rows("a", &a), rows("b", &b), unlabelled], [unlabelled, model("a", &a), model("b", &b)]] {
            assert_eq!(align(&all, false).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn ids_that_only_count_are_none_where_others_are_called_otherwise() {
        let count = |from: usize, to: usize| (from..to).map(|id| id.to_string()).collect::<Vec<_>>();
        let (pandas, r, names) = (count(0, 5), count(1, 6), ids("abcde"));
        for other in [&r, &names] {
            let alignment = align(&[rows("pandas", &pandas), rows("other", other)], true).unwrap();
            assert!(alignment.assumed);
            assert_eq!(alignment.rows, [[0, 1, 2, 3, 4]; 2]);
        }
        // Counts of the same kind are names, also a part of them and in another order.
        let turned = ["3", "1", "2", "0", "4"].map(str::to_owned).to_vec();
        let alignment = align(&[rows("a", &pandas), rows("b", &turned)], false).unwrap();
        assert_eq!((alignment.assumed, alignment.rows[1].clone()), (false, vec![3, 1, 2, 0, 4]));
        let (all, part) = (count(0, 9), count(3, 8));
        assert_eq!(align(&[rows("a", &all), rows("b", &part)], true).unwrap().ids, Some(part.clone()));
        // Of another kind in another order nobody knows what is meant.
        assert!(align(&[rows("r", &r), rows("b", &turned)], false).is_err());
    }

    #[test]
    fn without_ids_sizes_must_agree() {
        let a = ids("abcde");
        let unlabelled = |stimuli| Rows { name: "u", stimuli, ids: None, leads: false };
        let alignment = align(&[unlabelled(5), rows("a", &a)], false).unwrap();
        assert!(alignment.assumed);
        assert_eq!(align(&[unlabelled(6), rows("a", &a)], false).unwrap_err().to_string(), "`u` has 6 stimuli, but `a` has 5");
        assert!(align(&[unlabelled(5), rows("a", &a), rows("b", &ids("abcdx"))], true).is_err());
    }
}
