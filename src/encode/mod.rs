//! Encoding models: how well responses of voxels, channels or neurons are predicted by the features of layers, in images that were not
//! fitted. Ridge regression with a penalty for each target, and banded ridge of several feature spaces.
//!
//! Targets are read, fitted and scored a block at a time, so memory does not grow with their number.

mod bands;
mod ceiling;
mod choose;
mod design;
mod files;
mod fit;
mod folds;
#[cfg(test)]
mod goldens;
mod inference;
mod matched;
mod model;
mod null;
mod pls;
mod predictions;
mod report;
mod request;
mod responses;
mod ridge;
mod score;
mod weights;

pub use choose::Choice;
pub use design::Standardise;
pub use report::{Encoded, Row};
pub use request::{Exchange, Method, Penalties, Repeats, Request};

pub(crate) use report::read;

use crate::error::advise;
use crate::observer::{Observer, Stage};
use crate::rdm::outputs;
use crate::rsa::{Layer, named_layers};
use anyhow::{Context, Result};
use files::Unit;
use matched::Matched;
use model::Model;
use responses::Responses;
use std::collections::HashSet;

/// Fits every model to every file of responses and writes their scores, all that was not done before; the table is not written.
pub fn encode(request: &Request, observer: &dyn Observer) -> Result<Encoded> {
    request.check()?;
    let layers = named_layers(&request.features, "a regression", observer)?;
    if let Some(layer) = layers.iter().find(|layer| layer.features.columns == 0) {
        return Err(advise(format!("`{}` has no units", layer.name), "give features [images, units]"));
    }
    let responses = Responses::read_all(request)?;
    check_outputs(request, &layers, &responses)?;
    let models = Model::all(request, &layers)?;
    let units = Unit::all(request, &responses, &models, &layers)?;
    let own = |number: usize| request.shard.is_none_or(|shard| number % shard.of == shard.number - 1);
    let (mut rows, mut notes): (Vec<Row>, Vec<String>) = (Vec::new(), Vec::new());
    // All is looked at before anything is fitted.
    let mut wanted = Vec::new();
    for (number, responses) in responses.iter().enumerate() {
        let mut of = Vec::new();
        for (place, model) in models.iter().enumerate().filter(|(place, _)| own(number * models.len() + place)) {
            let unit = &units[number * models.len() + place];
            of.push((model, unit, unit.done(request)?));
        }
        let is_left = of.iter().any(|(.., done)| done.is_none());
        let matched = is_left.then(|| Matched::new(request, responses, &layers, observer)).transpose()?;
        for (model, ..) in of.iter().filter(|(.., done)| done.is_none()) {
            matched
                .as_ref()
                .map_or(Ok(()), |matched| model.check(request, matched, &layers))
                .with_context(|| about(responses, model))?;
        }
        wanted.push((responses, matched, of));
    }
    let left = wanted.iter().flat_map(|(.., of)| of).filter(|(.., done)| done.is_none());
    let progress = observer.begin(Stage::Encode, Some(left.map(|(model, ..)| model.steps(request)).sum()));
    let mut fitted = 0;
    for (responses, matched, of) in wanted {
        for (model, unit, done) in of {
            match (done, &matched) {
                (Some((row, own)), _) => {
                    rows.push(row);
                    notes.extend(own);
                }
                (None, Some(matched)) => {
                    let scored = model.fit(request, matched, &layers, unit, observer, &*progress);
                    rows.push(scored.with_context(|| about(responses, model))?);
                    fitted += 1;
                }
                (None, None) => {}
            }
        }
        notes.extend(matched.into_iter().flat_map(|matched| matched.notes));
    }
    drop(progress);
    let mut seen = HashSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    Ok(Encoded { request: request.clone(), kept: rows.len() - fitted, all: units.len(), rows, notes })
}

fn about(responses: &Responses, model: &Model) -> String {
    format!("`{}` by `{}`", responses.name, model.name())
}

fn check_outputs(request: &Request, layers: &[Layer], responses: &[Responses]) -> Result<()> {
    outputs::check_name(&request.out, "leave the slash out")?;
    if request.out.is_file() {
        return Err(advise(
            format!("`{}` is a file, and a folder is needed", request.out.display()),
            "name a folder: --out encode",
        ));
    }
    let read = layers.iter().map(|layer| &layer.path).chain(responses.iter().map(|responses| &responses.path));
    outputs::check(&report::tables(&request.out), read.flat_map(|path| outputs::read_of(path)))
}
