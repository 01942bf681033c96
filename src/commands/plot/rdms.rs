//! `thingsvision plot rdm` and `plot mds`.

use super::sources::Sources;
use super::stimuli::Drawn;
use super::write;
use crate::cli::{PlotMds, PlotRdm, Shown};
use crate::printer::Printer;
use anyhow::Result;
use std::path::PathBuf;
use thingsvision::atomic_file;
use thingsvision::error::advise;
use thingsvision::numbers::count;
use thingsvision::plot::{Files, MOST_THUMBNAILS, Map, MapPlot, Panel, RdmPlot, Values};
use thingsvision::rdm::{Plane, Rdms, plane};

/// Panels in a row unless asked otherwise.
const IN_A_ROW: usize = 9;

/// RDMs as heat maps.
pub fn heat_maps(wanted: &PlotRdm, printer: Printer) -> Result<()> {
    let (files, table, sources, drawn) = read(&wanted.shown, &wanted.out, "order.csv", printer)?;
    if drawn.thumbnails.is_some() && drawn.rows.len() > MOST_THUMBNAILS {
        return Err(advise(
            format!("{} stimuli are too many for thumbnails", count(drawn.rows.len())),
            format!("draw at most {MOST_THUMBNAILS}: --max-conditions 100"),
        ));
    }
    let number_of_rdms = number(sources.panels.len(), "RDM");
    let rows: Vec<Vec<Panel>> = sources.panels.chunks(columns(&wanted.shown)).map(<[Panel]>::to_vec).collect();
    let picture = RdmPlot {
        rows: &rows,
        stimuli: drawn.rows.len(),
        values: if wanted.raw { Values::Raw } else { Values::Ranks },
        scale: wanted.colours,
        unit: wanted.unit.as_deref().unwrap_or("dissimilarity"),
        names: drawn.names.as_deref(),
        thumbnails: drawn.thumbnails.as_deref(),
        groups: &drawn.groups(),
        notes: &drawn.notes,
    }
    .picture()?;
    atomic_file::write(&table, &drawn.csv(&[])?)?;
    let what = format!("{number_of_rdms} of {} stimuli", count(drawn.rows.len()));
    printer.note(&format!("{what}; their order is in {}", table.display()));
    write(&files, &picture, &format!("Representational dissimilarity matrices: {what}"), printer)
}

/// Maps of the stimuli.
pub fn maps(wanted: &PlotMds, printer: Printer) -> Result<()> {
    let (files, table, sources, drawn) = read(&wanted.shown, &wanted.out, "points.csv", printer)?;
    let stimuli = drawn.rows.len();
    let mut maps = Vec::new();
    for panel in sources.panels {
        let plane = plane(&Rdms { stimuli, ids: None, subjects: vec![panel.pairs] })?;
        maps.push(Map { title: panel.title, subtitle: panel.subtitle, plane });
    }
    let picture = MapPlot {
        maps: &maps,
        names: drawn.names.as_deref(),
        thumbnails: drawn.thumbnails.as_deref(),
        groups: drawn.categories.as_ref().or(drawn.clusters.as_ref()),
        columns: columns(&wanted.shown).min(3),
        notes: &drawn.map_notes(),
    }
    .picture();
    let axis = |map: &Map, k: usize| map.plane.points.iter().map(|point| point[k]).collect::<Vec<_>>();
    let coordinates = maps.iter().flat_map(|map| {
        let name = format!("{} {}", map.title, map.subtitle);
        ["x", "y"].into_iter().enumerate().map(move |(k, letter)| (format!("{} {letter}", name.trim_end()), axis(map, k)))
    });
    atomic_file::write(&table, &drawn.csv(&coordinates.collect::<Vec<_>>())?)?;
    let shares: Vec<&Plane> = maps.iter().map(|map| &map.plane).collect();
    let smallest = shares.iter().map(|plane| plane.shares[0] + plane.shares[1]).fold(1.0, f64::min);
    let what = format!("{} of {} stimuli", number(maps.len(), "map"), count(stimuli));
    printer.note(&format!(
        "{what}, which show at least {:.0} % of the variance; the points are in {}",
        100.0 * smallest,
        table.display()
    ));
    write(&files, &picture, &format!("Multidimensional scaling: {what}"), printer)
}

/// All that both need, and where it goes.
fn read(shown: &Shown, out: &std::path::Path, table: &str, printer: Printer) -> Result<(Files, PathBuf, Sources, Drawn)> {
    let files = Files::new(out)?;
    let table = files.beside(table);
    let mut sources = Sources::read(shown, printer)?;
    let categories = shown.categories.iter().map(PathBuf::from);
    files.check(std::slice::from_ref(&table), sources.files.iter().cloned().chain(categories))?;
    let drawn = Drawn::choose(shown, &mut sources, printer)?;
    Ok((files, table, sources, drawn))
}

fn columns(shown: &Shown) -> usize {
    shown.columns.map_or(IN_A_ROW, |columns| columns as usize)
}

fn number(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}
