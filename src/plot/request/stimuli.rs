//! Which stimuli are drawn, in which order, and with which marks, names and thumbnails.

use super::Shown;
use super::sources::Sources;
use crate::error::advise;
use crate::images::{Interpolation, Preprocessing, Reading, Size, decode};
use crate::numbers::count;
use crate::observer::Observer;
use crate::parallel::parallel;
use crate::plot::picture::Raster;
use crate::plot::{Groups, categories, files};
use crate::rdm::{Clusters, Labels, Rdms, aligned};
use crate::rsa::run_and_layer;
use crate::text::guard;
use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be known of the stimuli to draw them, in the order in which they are drawn.
pub(super) struct Drawn {
    /// Their rows in the first RDM.
    pub(super) rows: Vec<usize>,
    pub(super) ids: Option<Vec<String>>,
    /// Their IDs as people read them.
    pub(super) names: Option<Vec<String>>,
    pub(super) clusters: Option<Groups>,
    pub(super) categories: Option<Groups>,
    pub(super) thumbnails: Option<Vec<Arc<Raster>>>,
    /// How they were chosen, in sentences.
    pub(super) chosen: Vec<String>,
    /// And how they were ordered.
    pub(super) notes: Vec<String>,
}

impl Drawn {
    /// Chooses and orders the stimuli of `sources`, all of which are brought into that order.
    pub(super) fn choose(shown: &Shown, sources: &mut Sources, observer: &dyn Observer) -> Result<Drawn> {
        let mut notes = sources.notes.clone();
        let chosen = sample(shown, sources.stimuli, &mut notes);
        let how_chosen = notes.clone();
        let categories_of = |named: &String| categories(named, sources.ids.as_deref(), sources.stimuli, observer);
        let categories = shown.categories.as_ref().map(categories_of).transpose()?;
        let clusters = sources.reference.as_ref().map(|reference| clusters(shown, reference, &chosen)).transpose()?;
        let in_order = match (&clusters, &categories) {
            (Some(clusters), _) if !shown.keep_order => clusters.order.clone(),
            (None, Some(labels)) if !shown.keep_order => {
                Clusters::of_categories(chosen.iter().map(|&row| labels.of_row[row]).collect()).order
            }
            _ => (0..chosen.len()).collect(),
        };
        notes.extend(ordered_by(shown, categories.is_some()));
        let rows: Vec<usize> = in_order.iter().map(|&place| chosen[place]).collect();
        for panel in &mut sources.panels {
            panel.pairs = aligned(sources.stimuli, &panel.pairs, &rows);
        }
        let ids: Option<Vec<String>> = sources.ids.as_ref().map(|ids| rows.iter().map(|&row| ids[row].clone()).collect());
        let thumbnails = shown.thumbnails.as_deref().map(|folder| thumbnails(folder, ids.as_deref())).transpose()?;
        Ok(Drawn {
            names: ids.as_deref().filter(|_| !shown.no_names).map(display_names),
            clusters: clusters
                .filter(|_| shown.clusters.is_some())
                .map(|found| Groups::of_clusters(&found, &in_order, categories.is_some())),
            categories: categories.map(|Labels { names, of_row }| Groups {
                of: rows.iter().map(|&row| of_row[row]).collect(),
                names,
                grey: false,
            }),
            rows: rows.iter().map(|&row| sources.first_rows[row]).collect(),
            ids,
            thumbnails,
            chosen: how_chosen,
            notes,
        })
    }

    /// What is to be known of the stimuli in a map, in which order says nothing, but colours may.
    pub(super) fn map_notes(&self) -> Vec<String> {
        let of_clusters = self.clusters.is_some() && self.categories.is_none();
        let colours = of_clusters.then(|| self.notes.last().map(|note| note.replace("Ordered by", "Colours:"))).flatten();
        self.chosen.iter().cloned().chain(colours).collect()
    }

    /// The strips along the edges of RDMs, the outer one last.
    pub(super) fn groups(&self) -> Vec<Groups> {
        self.clusters.iter().chain(&self.categories).cloned().collect()
    }

    /// A table of the stimuli as they are drawn, with `columns` of numbers more.
    pub(super) fn csv(&self, columns: &[(String, Vec<f64>)]) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let groups = [("cluster", &self.clusters), ("category", &self.categories)];
        let groups: Vec<_> = groups.into_iter().filter_map(|(title, groups)| Some((title, groups.as_ref()?))).collect();
        let mut header = vec!["position", "row"];
        header.extend(self.ids.as_ref().map(|_| "stimulus"));
        header.extend(groups.iter().map(|(title, _)| *title));
        header.extend(columns.iter().map(|(title, _)| title.as_str()));
        csv.write_record(&header)?;
        for (position, row) in self.rows.iter().enumerate() {
            let mut record = vec![position.to_string(), row.to_string()];
            record.extend(self.ids.as_ref().map(|ids| ids[position].clone()));
            record.extend(groups.iter().map(|(_, groups)| groups.names[groups.of[position]].clone()));
            record.extend(columns.iter().map(|(_, values)| values[position].to_string()));
            csv.write_record(record.iter().map(|cell| guard(cell).into_owned()))?;
        }
        Ok(csv.into_inner()?)
    }
}

fn sample(shown: &Shown, stimuli: usize, notes: &mut Vec<String>) -> Vec<usize> {
    let mut all: Vec<usize> = (0..stimuli).collect();
    if let Some(most) = shown.max_conditions.map(|most| most as usize).filter(|&most| most < stimuli) {
        all.shuffle(&mut ChaCha8Rng::seed_from_u64(shown.seed));
        all.truncate(most);
        all.sort_unstable();
        notes.push(format!("{} of {} stimuli, drawn at random (seed {}).", count(most), count(stimuli), shown.seed));
    }
    all
}

fn clusters(shown: &Shown, reference: &Rdms, chosen: &[usize]) -> Result<Clusters> {
    let pairs = aligned(reference.stimuli, &reference.subjects[0], chosen);
    let rdms = Rdms { stimuli: chosen.len(), ids: None, subjects: vec![pairs] };
    Clusters::find(&rdms, shown.clusters.unwrap_or(1) as usize)
}

fn ordered_by(shown: &Shown, categories: bool) -> Option<String> {
    if shown.keep_order {
        return None;
    }
    if let Some(reference) = &shown.cluster {
        let name = run_and_layer(reference).map_or_else(|_| String::new(), |(model, layer)| format!("{model} {layer}"));
        let clusters = shown.clusters.map_or_else(|| "clusters".to_owned(), |count| format!("{count} clusters"));
        return Some(format!("Ordered by {clusters} of {} (hierarchical, average linkage).", name.trim_end()));
    }
    categories.then(|| "Ordered by category.".to_owned())
}

fn thumbnails(folder: &Path, ids: Option<&[String]>) -> Result<Vec<Arc<Raster>>> {
    let ids = ids.ok_or_else(|| {
        advise("it is not known which pictures the rows stand for", "thumbnails need IDs that are the paths of pictures")
    })?;
    parallel(ids.len(), &|i| thumbnail(folder, &ids[i]))
}

/// Pixels a side.
const SIDE: usize = 64;

/// The square in the middle of the picture of stimulus `id`: the file of that name in `folder`, or the first one in the
/// folder of that name.
fn thumbnail(folder: &Path, id: &str) -> Result<Arc<Raster>> {
    let path = find(folder, id)?;
    let square = Preprocessing {
        resize: Size::Shorter(SIDE),
        interpolation: Interpolation::Lanczos,
        crop: Some(SIDE),
        mean: [0.0; 3],
        std: [1.0; 3],
        pillow: Default::default(),
    };
    let image = decode(&path, &Reading::default(), &|width, height| square.looks_at(width, height))?;
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    square.apply(&image, &mut planes);
    let byte = |i: usize| (planes[i % 3 * SIDE * SIDE + i / 3] * 255.0).round() as u8;
    let pixels: Vec<u8> = (0..planes.len()).map(byte).collect();
    Ok(Raster { png: files::rgb(SIDE, SIDE, &pixels)?, width: SIDE, height: SIDE, sharp: false }.into())
}

fn find(folder: &Path, id: &str) -> Result<PathBuf> {
    let path = folder.join(id);
    if path.is_file() {
        return Ok(path);
    }
    let files = std::fs::read_dir(&path).map_err(|_| {
        advise(
            format!("there is no picture `{}`", path.display()),
            "name the folder in which the stimuli lie under the names that the RDM gives them: the --images of the run",
        )
    })?;
    let files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    let shown = |path: &PathBuf| path.is_file() && !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.');
    files.into_iter().filter(shown).min().with_context(|| format!("no picture in `{}`", path.display()))
}

/// File names without folder and ending, or where two stimuli would be called alike with their folders.
fn display_names(ids: &[String]) -> Vec<String> {
    let without_ending = |id: &String| Path::new(id).with_extension("").to_string_lossy().into_owned();
    let is_picture = |id: &String| Path::new(id).extension().is_some_and(|ending| (3..=4).contains(&ending.len()));
    if !ids.iter().all(is_picture) {
        return ids.to_vec();
    }
    let short: Vec<String> = ids.iter().map(|id| without_ending(&id.rsplit('/').next().unwrap_or(id).to_owned())).collect();
    let differ = short.iter().collect::<HashSet<_>>().len() == ids.len();
    if differ { short } else { ids.iter().map(without_ending).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be_told_apart() {
        let names = |ids: &[&str]| display_names(&ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&["a/one.jpg", "b/two.jpg"]), ["one", "two"]);
        assert_eq!(names(&["a/1.jpg", "b/1.jpg"]), ["a/1", "b/1"]);
        assert_eq!(names(&["aardvark", "b.1"]), ["aardvark", "b.1"]);
    }
}
