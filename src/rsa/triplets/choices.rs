//! The judgements that are compared, and where each layer has their stimuli.

use super::Request;
use super::judgements::Judgement;
use crate::error::advise;
use crate::numbers::count;
use crate::observer::Observer;
use crate::rdm::{Alignment, Triplets, align, ids, renamed};
use crate::rsa::features::Layer;
use anyhow::Result;
use std::collections::HashMap;
use std::path::Path;

pub(super) struct Choices {
    /// In order.
    pub(super) judgements: Vec<Judgement>,
    /// Of each layer the rows of the stimuli that were judged.
    pub(super) rows: Vec<Vec<usize>>,
    pub(super) alignment: Alignment,
    /// Whether stimuli are numbers of rows.
    pub(super) are_rows: bool,
}

impl Choices {
    /// Reads the judgements and finds their stimuli in all layers.
    pub(super) fn read(request: &Request, layers: &[Layer], observer: &dyn Observer) -> Result<Choices> {
        let alignment = align(&layers.iter().map(|layer| layer.rows(false)).collect::<Vec<_>>(), request.intersect)?;
        alignment.renamed.iter().for_each(|sentence| observer.note(sentence));
        let known = request.ids.as_deref().map(ids::names).transpose()?;
        let triplets = Triplets::read(&request.choices, known)?;
        if let Some(header) = &triplets.header {
            observer.note(&format!("took the first line for a header: `{header}`"));
        }
        let found = Found { path: &request.choices, layers, alignment: &alignment };
        let places = match &triplets.ids {
            Some(names) => found.by_name(names, request, observer)?,
            None => found.by_row(&triplets)?,
        };
        let is_unknown = |&stimulus: &usize| places[stimulus].is_none();
        let unknown = triplets.judgements.iter().position(|judged| judged.iter().any(is_unknown));
        if let Some(judgement) = unknown.filter(|_| !request.intersect) {
            let stimulus = triplets.judgements[judgement].into_iter().find(is_unknown).unwrap_or_default();
            let name = &triplets.ids.as_deref().unwrap_or_default()[stimulus];
            let place = triplets.place(&request.choices, judgement);
            return Err(advise(
                format!("{place} has `{name}`, which is no stimulus of `{}`", layers[0].name),
                "names must be written as in images.txt or .ids.txt; --intersect leaves out the judgements of other stimuli",
            ));
        }
        let known = triplets.judgements.iter().filter_map(|&[a, b, c]| Some([places[a]?, places[b]?, places[c]?]));
        let (judgements, stimuli) = in_order(known, alignment.rows[0].len());
        let left_out = triplets.judgements.len() - judgements.len();
        if left_out > 0 {
            observer.note(&format!("left out {} triplets with stimuli that not all have", count(left_out)));
        }
        if judgements.is_empty() {
            return Err(advise("no triplet is left to compare", "compare layers of the stimuli that were judged"));
        }
        let are_rows = triplets.ids.is_none();
        let rows = alignment.rows.iter().map(|rows| stimuli.iter().map(|&place| rows[place]).collect()).collect();
        Ok(Choices { judgements, rows, alignment, are_rows })
    }
}

/// The judgements in order, of those of `all` stimuli that come in them, and which these are.
fn in_order(judged: impl Iterator<Item = [usize; 3]> + Clone, all: usize) -> (Vec<Judgement>, Vec<usize>) {
    let mut comes = vec![false; all];
    judged.clone().flatten().for_each(|place| comes[place] = true);
    let stimuli: Vec<usize> = (0..all).filter(|&place| comes[place]).collect();
    let mut numbers = vec![0; all];
    stimuli.iter().enumerate().for_each(|(number, &place)| numbers[place] = number);
    let mut judgements: Vec<Judgement> = judged.map(|judged| Judgement::new(judged.map(|place| numbers[place]))).collect();
    judgements.sort_unstable();
    (judgements, stimuli)
}

/// Where the stimuli of a file of judgements are looked for.
struct Found<'a> {
    path: &'a Path,
    layers: &'a [Layer],
    alignment: &'a Alignment,
}

impl Found<'_> {
    /// The places of these names among the stimuli of all layers, if they are there.
    fn by_name(&self, names: &[String], request: &Request, observer: &dyn Observer) -> Result<Vec<Option<usize>>> {
        let file = self.path.display().to_string();
        let Some(own) = &self.alignment.ids else {
            let ids = request.ids.as_ref().map_or("", |_| ", or leave out --ids if the numbers of the triplets count its rows");
            return Err(advise(
                format!("`{file}` has names, and the rows of `{}` have none", self.layers[0].name),
                format!("put them, one a line, into a file beside it that ends in .ids.txt{ids}"),
            ));
        };
        let found = renamed(&file, names, own)?;
        found.iter().for_each(|found| observer.note(&found.said));
        let names = found.as_ref().map_or(names, |found| &found.ids);
        let places: HashMap<&String, usize> = own.iter().zip(0..).collect();
        Ok(names.iter().map(|name| places.get(name).copied()).collect())
    }

    /// The rows that numbers stand for. Fails where they may stand for others.
    fn by_row(&self, triplets: &Triplets) -> Result<Vec<Option<usize>>> {
        let (first, rows) = (&self.layers[0], &self.alignment.rows);
        let hint = "name the stimuli that the numbers count, one a line: --ids FILE; or write their names instead of numbers";
        let stimuli = first.features.rows;
        let differs = |&layer: &usize| rows[layer] != rows[0] || self.layers[layer].features.rows != stimuli;
        if let Some(other) = (1..rows.len()).find(differs) {
            let (file, one, other) = (self.path.display(), &first.name, &self.layers[other].name);
            return Err(advise(
                format!("`{file}` has numbers of rows, and `{one}` and `{other}` do not have the same stimuli in the same order"),
                hint,
            ));
        }
        let is_beyond = |judged: &[usize; 3]| judged.iter().any(|&number| number >= stimuli);
        if let Some(judgement) = triplets.judgements.iter().position(is_beyond) {
            let number = triplets.judgements[judgement].iter().max().copied().unwrap_or_default();
            let place = triplets.place(self.path, judgement);
            let from_1 = triplets.has_no_0("rows").map(|sentence| format!("{sentence}; ")).unwrap_or_default();
            return Err(advise(
                format!("{place} has the number {number}, but `{}` has {stimuli} stimuli, counted from 0", first.name),
                format!("{from_1}{hint}"),
            ));
        }
        if let Some((number, row)) = self.named_otherwise(triplets) {
            let ids = self.alignment.ids.as_deref();
            let (by_row, by_name) = (ids::name(ids, number), ids::name(ids, row));
            return Err(advise(
                format!(
                    "`{}` has the number {number}, which may be row {number}, {by_row}, or the stimulus {by_name}",
                    self.path.display()
                ),
                hint,
            ));
        }
        // Of the same stimuli in the same order all rows are there.
        Ok((0..triplets.stimuli).map(Some).collect())
    }

    /// A number that is the name of another row than it counts, if all of them are names.
    fn named_otherwise(&self, triplets: &Triplets) -> Option<(usize, usize)> {
        let ids = self.alignment.ids.as_deref()?;
        let number = |id: &String| Path::new(id).file_stem()?.to_string_lossy().parse::<usize>().ok();
        let rows: HashMap<usize, usize> = ids.iter().zip(0..).filter_map(|(id, row)| Some((number(id)?, row))).collect();
        let mut is_judged = vec![false; triplets.stimuli];
        triplets.judgements.iter().flatten().for_each(|&number| is_judged[number] = true);
        let judged = || (0..triplets.stimuli).filter(|&number| is_judged[number]);
        let named: Option<Vec<(usize, usize)>> = judged().map(|number| Some((number, *rows.get(&number)?))).collect();
        named?.into_iter().find(|(number, row)| number != row)
    }
}
