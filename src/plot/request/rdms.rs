//! RDMs as heat maps, and maps of stimuli.

use super::sources::Sources;
use super::stimuli::Drawn;
use super::{MdsRequest, RdmRequest, Shown, write};
use crate::atomic_file;
use crate::error::advise;
use crate::numbers::{count, count_of};
use crate::observer::Observer;
use crate::plot::map::{Map, MapPlot};
use crate::plot::rdms::{MOST_THUMBNAILS, Panel, RdmPlot};
use crate::plot::{Files, Values};
use crate::rdm::{Rdms, plane};
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
    let mut maps: Vec<Map> = sources.panels.into_iter().map(map).collect::<Result<_>>()?;
    if let Some((first, others)) = maps.split_first_mut() {
        others.iter_mut().for_each(|map| map.plane = map.plane.clone().aligned(&first.plane));
    }
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
