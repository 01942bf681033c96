//! The figures of a study: RDMs, bars of scores, profiles along layers; each by itself, and all in one.

use super::compare::{Scene, network};
use crate::plot::{Groups, Panel, Picture, RdmPlot, Scale, Text, Values, bars, profiles};
use crate::rdm::{Clusters, Rdms, aligned};
use crate::rsa::Score;
use anyhow::Result;

pub(super) struct Figure {
    /// Of its files, `B-behavior`.
    pub(super) name: String,
    pub(super) title: String,
    /// What has to be known to read it.
    pub(super) caption: String,
    pub(super) picture: Picture,
}

/// All figures; the last one holds the others. Stimuli are ordered by `clusters` clusters of the first target; `measure`
/// names what scores are.
pub(super) fn figures(scenes: &[Scene], clusters: usize, measure: &str) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (number, scene) in scenes.iter().enumerate() {
        let letter = if scenes.len() > 1 { format!("A{}", number + 1) } else { "A".to_owned() };
        figures.push(rdms(scene, &letter, clusters)?);
    }
    let family = family(scenes);
    // Of the datasets in a figure.
    let stimuli = |is_in: &dyn Fn(&Scene) -> bool| {
        let stimuli = |scene: &Scene| format!("{}: {} stimuli.", scene.name, scene.stimuli);
        scenes.iter().filter(|scene| is_in(scene)).map(stimuli).collect::<Vec<_>>().join(" ")
    };
    let mut letters = 'B'..;
    let mut name = |of: &str| format!("{}-{of}", letters.next().expect("a few letters of many"));
    for (kind, title) in [("behavior", "Networks and behaviour"), ("fmri", "Networks and fMRI")] {
        let scores = of_kind(scenes, kind, true);
        if !scores.is_empty() {
            let is_in = |scene: &Scene| scene.found.table.scores.iter().any(|score| score.kind == kind);
            let last = scenes.iter().any(|scene| is_in(scene) && has_several_layers(scene)).then_some(LAST);
            let more = [stimuli(&is_in)].into_iter().chain(last.map(str::to_owned)).collect::<Vec<_>>();
            let caption =
                sentences([Some(format!("{measure} between RDMs of networks and of {}.", target_word(kind)).as_str()), last]);
            figures.push(Figure {
                name: name(kind),
                title: title.into(),
                caption,
                picture: bars(&scores, measure, &family, &more),
            });
        }
    }
    if scenes.iter().any(has_many_layers) {
        let kinds = scenes.iter().flat_map(|scene| &scene.found.table.scores).map(|score| score.kind.as_str());
        let mut kinds: Vec<&str> = kinds.collect();
        kinds.sort_unstable();
        kinds.dedup();
        let all: Vec<Score> = kinds.into_iter().flat_map(|kind| of_kind(scenes, kind, false)).collect();
        let layers = |score: &Score| all.iter().filter(|o| (&o.target, &o.model) == (&score.target, &score.model)).count();
        let scores: Vec<Score> = all.iter().filter(|score| layers(score) > 2).cloned().collect();
        let (name, title) = (name("layers"), "Along the layers".to_owned());
        let caption = format!("{measure} between RDMs of every layer and of targets, of networks with more than two layers.");
        let more = [stimuli(&has_many_layers)];
        figures.push(Figure { name, title, caption, picture: profiles(&scores, measure, &family, &more) });
    }
    let all = flow(figures.iter().map(lettered).collect());
    let (name, title) = ("figure".to_owned(), "All panels".to_owned());
    figures.push(Figure { name, title, caption: String::new(), picture: all });
    Ok(figures)
}

/// RDMs side by side at most, if they need not be below each other.
const IN_A_ROW: usize = 8;

const LAST: &str = "Of networks with several layers the last one is shown.";

fn target_word(kind: &str) -> &str {
    if kind == "fmri" { "brain areas" } else { "behaviour" }
}

/// Over which tests p was corrected: those of a dataset.
fn family(scenes: &[Scene]) -> String {
    match scenes {
        [one] => format!("{} tests", one.found.table.scores.len()),
        _ => "the tests of each dataset".to_owned(),
    }
}

/// Pictures in rows, as many in each as there is room for.
fn flow(pictures: Vec<Picture>) -> Picture {
    const WIDEST: f64 = 1300.0;
    let mut rows: Vec<Vec<Picture>> = Vec::new();
    for picture in pictures {
        let width = |row: &Vec<Picture>| row.iter().map(|picture| picture.width).sum::<f64>();
        match rows.last_mut() {
            Some(row) if width(row) + picture.width <= WIDEST => row.push(picture),
            _ => rows.push(vec![picture]),
        }
    }
    Picture::column(rows.into_iter().map(|row| Picture::row(row, 0.0)).collect(), 10.0)
}

fn lettered(figure: &Figure) -> Picture {
    let mut heading = Picture::new(figure.picture.width, 34.0);
    let letter = Text::new(14.0, 28.0, 20.0, figure.name.split('-').next().unwrap_or_default()).bold();
    let after = 14.0 + letter.length() + 12.0;
    heading.write(letter);
    heading.write(Text::new(after, 28.0, 14.0, figure.title.clone()));
    Picture::column(vec![heading, figure.picture.clone()], 0.0)
}

fn rdms(scene: &Scene, letter: &str, clusters: usize) -> Result<Figure> {
    let (order, groups, note) = order(scene, clusters)?;
    let ordered = |panel: &Panel| Panel { pairs: aligned(scene.stimuli, &panel.pairs, &order), ..panel.clone() };
    let chosen = shown(scene);
    let (random, trained): (Vec<&Panel>, Vec<&Panel>) = scene
        .models
        .iter()
        .filter(|model| chosen.contains(&model.title))
        .filter(|model| is_last(scene, model))
        .partition(|model| network(&model.title).1);
    let targets: Vec<&Panel> = scene.targets.iter().collect();
    let rows = match (trained.len(), random.len()) {
        // Of one kind of weights all may stand in a row.
        (0, models) | (models, 0) if targets.len() + models <= IN_A_ROW => vec![[targets, trained, random].concat()],
        _ => vec![targets, trained, random],
    };
    let rows: Vec<Vec<Panel>> = rows
        .iter()
        .filter(|row: &&Vec<&Panel>| !row.is_empty())
        .map(|row| row.iter().map(|panel| ordered(panel)).collect())
        .collect();
    let plot = RdmPlot {
        rows: &rows,
        stimuli: scene.stimuli,
        values: Values::Ranks,
        scale: Scale::default(),
        unit: "",
        names: None,
        thumbnails: None,
        groups: &groups,
        notes: std::slice::from_ref(&note),
    };
    Ok(Figure {
        name: format!("{letter}-rdms-{}", scene.name),
        title: format!("RDMs, {} ({} stimuli)", scene.name, scene.stimuli),
        caption: sentences([
            Some("Dissimilarities as ranks."),
            Some(&note),
            has_several_seeds(scene).then_some("Of random networks the first seed is shown."),
            has_several_layers(scene).then_some(LAST),
        ]),
        picture: plot.picture()?,
    })
}

/// The order of the stimuli, their marks, and how they were ordered.
fn order(scene: &Scene, clusters: usize) -> Result<(Vec<usize>, Vec<Groups>, String)> {
    let reference = &scene.targets[0];
    let rdms = Rdms { stimuli: scene.stimuli, ids: None, subjects: vec![reference.pairs.clone()] };
    let categories = |order: &[usize]| {
        let of = |groups: &Groups| Groups { of: order.iter().map(|&row| groups.of[row]).collect(), ..groups.clone() };
        scene.categories.as_ref().map(of)
    };
    if reference.pairs.iter().any(|pair| pair.is_nan()) {
        let order: Vec<usize> = (0..scene.stimuli).collect();
        let note = format!("Stimuli in the given order, for pairs are missing in {}.", reference.title);
        return Ok((order.clone(), categories(&order).into_iter().collect(), note));
    }
    let found = Clusters::find(&rdms, clusters.clamp(1, scene.stimuli))?;
    let of_category = categories(&found.order);
    let of_cluster = Groups::of_clusters(&found, &found.order, of_category.is_some());
    let note = format!("Stimuli ordered by {} clusters of {} (average linkage).", found.count(), reference.title);
    Ok((found.order, [of_cluster].into_iter().chain(of_category).collect(), note))
}

/// The runs that are shown: of random networks the first seed.
fn shown(scene: &Scene) -> Vec<String> {
    let mut networks = Vec::new();
    let mut runs = Vec::new();
    for panel in &scene.models {
        let network = network(&panel.title);
        if !networks.contains(&network) {
            networks.push(network);
            runs.push(panel.title.clone());
        }
    }
    runs
}

fn is_last(scene: &Scene, panel: &Panel) -> bool {
    let same = |other: &&Panel| network(&other.title) == network(&panel.title);
    scene.models.iter().rfind(same).is_some_and(|last| last.subtitle == panel.subtitle)
}

/// The scores with targets of a kind, which are called `dataset, target`; of each run the last layer, or all.
fn of_kind(scenes: &[Scene], kind: &str, last: bool) -> Vec<Score> {
    let mut all = Vec::new();
    for scene in scenes {
        for score in scene.found.table.scores.iter().filter(|score| score.kind == kind) {
            let same = |other: &&Score| network(&other.model) == network(&score.model);
            let is_last = scene.found.table.scores.iter().rfind(same).is_some_and(|last| last.layer == score.layer);
            if is_last || !last {
                all.push(Score { target: format!("{}, {}", scene.name, score.target), ..score.clone() });
            }
        }
    }
    all
}

fn has_several_layers(scene: &Scene) -> bool {
    scene.models.iter().any(|panel| !is_last(scene, panel))
}

fn has_several_seeds(scene: &Scene) -> bool {
    let shown = shown(scene);
    scene.models.iter().any(|panel| !shown.contains(&panel.title))
}

/// Those that are to be said.
fn sentences<const N: usize>(all: [Option<&str>; N]) -> String {
    all.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn has_many_layers(scene: &Scene) -> bool {
    scene.models.iter().any(|panel| scene.models.iter().filter(|other| other.title == panel.title).count() > 2)
}
