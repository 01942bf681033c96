//! RDMs as heat maps, and maps of stimuli.

use super::stimuli::Drawn;
use super::{MdsRequest, RdmRequest, Shown, write};
use crate::error::advise;
use crate::numbers::{count, count_of};
use crate::observer::Observer;
use crate::plot::map::{Map, MapPlot};
use crate::plot::rdms::{MOST_THUMBNAILS, Panel, RdmPlot};
use crate::plot::{Files, Values};
use crate::rdm::{Pooling, Rdms, align_files, aligned, average, outputs, plane, stored};
use crate::rsa::{Candidate, Named, candidates, layers_of_run, run_and_layer};
use crate::{arrays, atomic_file};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Panels in a row unless asked otherwise.
const IN_A_ROW: usize = 9;

/// Draws RDMs side by side, the same stimuli in the same order, and says where the pictures are; the order is beside them.
pub fn draw_rdms(request: &RdmRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let (files, table, sources, drawn) =
        read(&request.shown, request.out.as_deref().unwrap_or(Path::new("rdms")), ".order.csv", observer)?;
    if drawn.thumbnails.is_some() && drawn.rows.len() > MOST_THUMBNAILS {
        return Err(advise(
            format!("{} stimuli are too many for thumbnails", count(drawn.rows.len())),
            format!("draw at most {MOST_THUMBNAILS}: --max-conditions 100"),
        ));
    }
    let rows: Vec<Vec<Panel>> = sources.panels.chunks(columns(&request.shown)).map(<[Panel]>::to_vec).collect();
    let picture = RdmPlot {
        rows: &rows,
        stimuli: drawn.rows.len(),
        values: if request.raw { Values::Raw } else { Values::Ranks },
        scale: request.colours,
        unit: request.unit.as_deref().unwrap_or("dissimilarity"),
        names: drawn.names.as_deref(),
        thumbnails: drawn.thumbnails.as_deref(),
        groups: &drawn.groups(),
        notes: &drawn.notes,
    }
    .picture()?;
    atomic_file::write(&table, &drawn.csv(&[])?)?;
    let what = format!("{} of {} stimuli", count_of(sources.panels.len(), "RDM"), count(drawn.rows.len()));
    observer.note(&format!("{what}; their order is in {}", table.display()));
    write(&files, &picture, &format!("Representational dissimilarity matrices: {what}"), observer)
}

/// Draws maps of the stimuli by classical multidimensional scaling, and says where the pictures are; the points are beside them.
pub fn draw_maps(request: &MdsRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let (files, table, sources, drawn) =
        read(&request.shown, request.out.as_deref().unwrap_or(Path::new("mds")), ".points.csv", observer)?;
    let stimuli = drawn.rows.len();
    let map = |Panel { title, subtitle, pairs }: Panel| {
        let plane = plane(&Rdms { stimuli, ids: None, subjects: vec![pairs] })?;
        Ok(Map { title, subtitle, plane })
    };
    let maps: Vec<Map> = sources.panels.into_iter().map(map).collect::<Result<_>>()?;
    let picture = MapPlot {
        maps: &maps,
        names: drawn.names.as_deref(),
        thumbnails: drawn.thumbnails.as_deref(),
        groups: drawn.categories.as_ref().or(drawn.clusters.as_ref()),
        columns: columns(&request.shown).min(3),
        notes: &drawn.map_notes(),
    }
    .picture();
    let axis = |map: &Map, k: usize| map.plane.points.iter().map(|point| point[k]).collect::<Vec<_>>();
    let coordinates = maps.iter().flat_map(|map| {
        let name = format!("{} {}", map.title, map.subtitle);
        ["x", "y"].into_iter().enumerate().map(move |(k, letter)| (format!("{} {letter}", name.trim_end()), axis(map, k)))
    });
    atomic_file::write(&table, &drawn.csv(&coordinates.collect::<Vec<_>>())?)?;
    let smallest = maps.iter().map(|map| map.plane.shares[0] + map.plane.shares[1]).fold(1.0, f64::min);
    let what = format!("{} of {} stimuli", count_of(maps.len(), "map"), count(stimuli));
    let (share, place) = (100.0 * smallest, table.display());
    observer.note(&format!("{what}, which show at least {share:.0} % of the variance; the points are in {place}"));
    write(&files, &picture, &format!("Multidimensional scaling: {what}"), observer)
}

fn read(shown: &Shown, out: &Path, table: &str, observer: &dyn Observer) -> Result<(Files, PathBuf, Sources, Drawn)> {
    shown.check()?;
    let files = Files::new(out)?;
    let table = files.beside(table);
    let mut sources = Sources::read(shown, observer)?;
    let categories = shown.categories.iter().map(PathBuf::from);
    files.check(std::slice::from_ref(&table), sources.files.iter().cloned().chain(categories))?;
    let drawn = Drawn::choose(shown, &mut sources, observer)?;
    Ok((files, table, sources, drawn))
}

fn columns(shown: &Shown) -> usize {
    shown.columns.map_or(IN_A_ROW, |columns| columns as usize)
}

/// The RDMs that are drawn: read, of subjects their mean, and brought to the same stimuli.
pub(super) struct Sources {
    pub(super) panels: Vec<Panel>,
    pub(super) stimuli: usize,
    pub(super) ids: Option<Vec<String>>,
    /// The RDM by which stimuli are ordered.
    pub(super) reference: Option<Rdms>,
    /// Where the first RDM has the stimuli.
    pub(super) first_rows: Vec<usize>,
    /// What was left out or assumed, in sentences.
    pub(super) notes: Vec<String>,
    files: Vec<PathBuf>,
}

impl Sources {
    fn read(shown: &Shown, observer: &dyn Observer) -> Result<Sources> {
        let mut sources = if shown.rdms.is_empty() { candidates(&[], observer)? } else { Vec::new() };
        for named in &shown.rdms {
            sources.extend(candidates_of(named, observer)?);
        }
        if let Some(path) = &shown.cluster {
            sources.push(mean(None, vec![path.clone()])?);
        }
        let alignment = align_files(sources.iter().map(|source| (&*source.path, &source.rdm)), [], shown.intersect)?;
        let mut notes = Vec::new();
        if alignment.left_out > 0 {
            notes.push(format!("{} stimuli that are not in all RDMs are left out.", count(alignment.left_out)));
        }
        if alignment.assumed && alignment.ids.is_some() {
            notes.push("RDMs without names are taken to be in the order of the others.".into());
        }
        notes.iter().for_each(|note| observer.note(note));
        let first_rows = alignment.rows[0].clone();
        let stimuli = alignment.rows[0].len();
        let files = sources.iter().flat_map(|source| outputs::read_of(&source.path)).collect();
        let mut panels: Vec<Panel> = Vec::new();
        for (source, rows) in sources.into_iter().zip(&alignment.rows) {
            let pairs = aligned(source.rdm.stimuli, &source.rdm.subjects[0], rows);
            panels.push(Panel { title: source.model, subtitle: source.layer, pairs });
        }
        let reference = shown.cluster.as_ref().and_then(|_| panels.pop());
        let reference = reference.map(|panel| Rdms { stimuli, ids: None, subjects: vec![panel.pairs] });
        Ok(Sources { panels, stimuli, ids: alignment.ids, reference, first_rows, notes, files })
    }
}

/// What `[NAME=]RDM` or `RUN_DIR` names.
fn candidates_of(text: &str, observer: &dyn Observer) -> Result<Vec<Candidate>> {
    if Path::new(text).is_dir() {
        return layers_of_run(Path::new(text), observer);
    }
    let named = Named::parse(text, "")?;
    Ok(vec![mean(named.name, named.files)?])
}

fn mean(name: Option<String>, files: Vec<PathBuf>) -> Result<Candidate> {
    let (all, _) = stored::of_all_subjects(&files)?;
    let number = all.subjects.len();
    let mean = if number > 1 { average(&all, Pooling::Mean)? } else { all.subjects[0].clone() };
    let (run, layer) = run_and_layer(&files[0])?;
    let layer = if number > 1 { format!("mean of {number} subjects") } else { layer };
    let rdm = Rdms { subjects: vec![mean], ..all };
    Ok(Candidate { model: name.unwrap_or(run), layer, path: arrays::split(&files[0]).0, rdm })
}
