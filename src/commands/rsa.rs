//! `thingsvision rsa`

use crate::cli::Rsa;
use crate::printer::{Printer, columns, count};
use anyhow::Result;
use std::path::{Path, PathBuf};
use thingsvision::advice::advise;
use thingsvision::extract::{is_run, read_record};
use thingsvision::rdm::Rdm;
use thingsvision::rsa::{Score, Table};
use thingsvision::whole::is_same;

/// Where runs are looked for when none is named: the default of `extract --out`.
const RUNS: &str = "activations";

/// The RDM of a layer, with the names that it has in the table.
struct Candidate {
    model: String,
    layer: String,
    path: PathBuf,
    /// The hash of the run's list of images, if it is known.
    images: Option<String>,
    rdm: Rdm,
}

/// Correlates every layer with every target.
pub fn run(arguments: &Rsa, printer: Printer) -> Result<()> {
    check_outputs(arguments)?;
    let targets = read_targets(arguments)?;
    let candidates = find_candidates(arguments, printer)?;
    for (_, path, target) in &targets {
        check_sizes(path, target, &candidates)?;
    }
    check_images(&candidates)?;
    let names = distinct_names(&targets);
    let scores = targets.iter().zip(&names).flat_map(|((kind, _, target), name)| {
        candidates.iter().map(|candidate| Score {
            target: name.clone(),
            kind,
            model: candidate.model.clone(),
            layer: candidate.layer.clone(),
            compare: arguments.compare.name(),
            stimuli: target.stimuli,
            pairs: target.pairs.len(),
            score: arguments.compare.compare(target.stimuli, &candidate.rdm.pairs, &target.pairs),
        })
    });
    let table = Table { targets: targets.len(), scores: scores.collect() };
    let files = table.write(&arguments.out)?;
    if arguments.json {
        printer.data(&table.json()?)?;
    } else {
        printer.data(&text(&table))?;
    }
    let [npy, csv, json] = files.map(|path| path.display().to_string());
    printer.note(&format!(
        "\n  {}: {} stimuli, {} pairs each, taken to be in the same order on both sides.\n  \
         wrote {npy} ({} × {} scores), {csv}, {json}",
        title(arguments.compare.name()),
        count(targets[0].2.stimuli),
        count(targets[0].2.pairs.len()),
        targets.len(),
        candidates.len()
    ));
    Ok(())
}

/// Fails if a file that will be written is one that is read.
fn check_outputs(arguments: &Rsa) -> Result<()> {
    let outputs = Table::files(&arguments.out);
    for input in arguments.behavior.iter().chain(&arguments.fmri).chain(&arguments.models) {
        if outputs.iter().any(|output| is_same(input, output)) {
            return Err(advise(
                format!("the scores would overwrite `{}`", input.display()),
                "name another prefix for the results with --out",
            ));
        }
    }
    Ok(())
}

fn title(compare: &str) -> String {
    let mut letters = compare.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect::<String>() + " correlation of RDMs")
        .unwrap_or_default()
}

fn read_targets(arguments: &Rsa) -> Result<Vec<(&'static str, PathBuf, Rdm)>> {
    let behavior = arguments.behavior.iter().map(|path| ("behavior", path));
    let fmri = arguments.fmri.iter().map(|path| ("fmri", path));
    behavior.chain(fmri).map(|(kind, path)| Ok((kind, path.clone(), Rdm::read(path)?))).collect()
}

fn find_candidates(arguments: &Rsa, printer: Printer) -> Result<Vec<Candidate>> {
    let paths = if arguments.models.is_empty() { finished_runs(printer)? } else { arguments.models.clone() };
    let mut candidates = Vec::new();
    for path in &paths {
        if path.is_dir() {
            candidates.extend(layers_of_run(path, printer)?);
        } else {
            candidates.push(named_file(path)?);
        }
    }
    if candidates.is_empty() {
        return Err(advise("no layer is left to compare", "extract layers that have RDMs"));
    }
    name_apart(&mut candidates);
    Ok(candidates)
}

/// An RDM file that the user named: a layer if it lies in a run, else something of its own.
fn named_file(path: &Path) -> Result<Candidate> {
    let rdm = Rdm::read(path)?;
    let run = std::path::absolute(path)?.parent().filter(|folder| is_run(folder)).map(Path::to_owned);
    Ok(match run {
        Some(run) => {
            let images = Some(read_record(&run)?.images_sha256);
            Candidate { model: folder_name(&run)?, layer: stem(path), path: path.to_owned(), images, rdm }
        }
        None => Candidate { model: stem(path), layer: String::new(), path: path.to_owned(), images: None, rdm },
    })
}

fn finished_runs(printer: Printer) -> Result<Vec<PathBuf>> {
    let mut runs = Vec::new();
    let folders = std::fs::read_dir(RUNS).map(|folders| folders.filter_map(|folder| Some(folder.ok()?.path())).collect());
    let mut folders: Vec<_> = folders.unwrap_or_default();
    folders.sort();
    for folder in folders.into_iter().filter(|folder| is_run(folder)) {
        if read_record(&folder)?.complete {
            runs.push(folder);
        } else {
            printer.note(&format!("left out `{}`: the run was not finished", folder.display()));
        }
    }
    if runs.is_empty() {
        return Err(advise(
            format!("there are no finished runs in `{RUNS}/`"),
            "make one with `thingsvision extract --model … --images …`, or name a run's folder or an RDM file",
        ));
    }
    Ok(runs)
}

fn layers_of_run(folder: &Path, printer: Printer) -> Result<Vec<Candidate>> {
    if !is_run(folder) {
        return Err(advise(
            format!("`{}` is not the folder of a run: it has no run.json", folder.display()),
            "name a folder that `thingsvision extract` printed",
        ));
    }
    let record = read_record(folder)?;
    if !record.complete {
        return Err(advise(format!("the run in `{}` was not finished", folder.display()), "run the extraction again"));
    }
    let model = folder_name(folder)?;
    let mut candidates = Vec::new();
    for layer in record.layers {
        let path = folder.join(layer.rdm.unwrap_or_else(|| format!("{}.rdm.npy", layer.name)));
        if let (Some(reason), false) = (layer.without_rdm, path.exists()) {
            printer.note(&format!("left out `{}` of `{}`: {reason}", layer.name, folder.display()));
            continue;
        }
        if !path.exists() {
            return Err(advise(
                format!("the run in `{}` has no RDM of `{}`", folder.display(), layer.name),
                format!("make it: thingsvision rdm {}", folder.join(layer.file).display()),
            ));
        }
        match Rdm::read(&path) {
            Ok(rdm) => {
                let images = Some(record.images_sha256.clone());
                candidates.push(Candidate { model: model.clone(), layer: layer.name, path, images, rdm });
            }
            // The NaN of `--on-constant nan`.
            Err(fault) => printer.note(&format!("left out `{}` of `{}`: {fault}", layer.name, folder.display())),
        }
    }
    Ok(candidates)
}

/// Gives different files that would be called the same their paths instead.
fn name_apart(candidates: &mut [Candidate]) {
    let same_name = |a: &Candidate, b: &Candidate| a.model == b.model && a.layer == b.layer && !is_same(&a.path, &b.path);
    let clash = |candidate: &Candidate| candidates.iter().any(|other| same_name(candidate, other));
    let clashes: Vec<bool> = candidates.iter().map(clash).collect();
    for (candidate, _) in candidates.iter_mut().zip(clashes).filter(|(_, clashes)| *clashes) {
        candidate.model = candidate.path.display().to_string();
    }
}

fn folder_name(folder: &Path) -> Result<String> {
    Ok(folder.canonicalize()?.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

/// The names of the files, or their paths where two have the same name.
fn distinct_names(targets: &[(&str, PathBuf, Rdm)]) -> Vec<String> {
    let stems: Vec<_> = targets.iter().map(|(_, path, _)| stem(path)).collect();
    let alone = |name: &String| stems.iter().filter(|other| *other == name).count() == 1;
    let names = targets
        .iter()
        .zip(&stems)
        .map(|((_, path, _), name)| if alone(name) { name.clone() } else { path.display().to_string() });
    names.collect()
}

/// A file's name without folder and endings, `.rdm.npy` counted as one.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.strip_suffix(".npy").unwrap_or(&name);
    name.strip_suffix(".rdm").unwrap_or(name).to_owned()
}

fn check_sizes(path: &Path, target: &Rdm, candidates: &[Candidate]) -> Result<()> {
    let Some(other) = candidates.iter().find(|candidate| candidate.rdm.stimuli != target.stimuli) else { return Ok(()) };
    let (n, m) = (count(target.stimuli), count(other.rdm.stimuli));
    Err(advise(
        format!("`{}` has {n} stimuli, but `{}` has {m}", path.display(), other.path.display()),
        "rows must stand for the same stimuli in the same order: give the RDM of the same images, or name the runs to compare",
    ))
}

fn check_images(candidates: &[Candidate]) -> Result<()> {
    let mut runs = candidates.iter().filter(|candidate| candidate.images.is_some());
    let Some(first) = runs.next() else { return Ok(()) };
    let Some(other) = runs.find(|candidate| candidate.images != first.images) else { return Ok(()) };
    Err(advise(
        format!("the runs `{}` and `{}` are of different images", first.model, other.model),
        "one target can be in the order of only one of them: compare their images.txt, and name the runs to compare",
    ))
}

fn text(table: &Table) -> String {
    let mut rows = vec![["target", "kind", "model", "layer", table.scores[0].compare].map(String::from).to_vec()];
    let mut before = (["", ""], "");
    for score in &table.scores {
        let named = [score.target.as_str(), score.kind];
        let target = if before.0 == named { ["", ""] } else { named };
        let model = if before == (named, &score.model) { "" } else { &score.model };
        let number = format!("{:.3}", score.score);
        rows.push(vec![target[0].into(), target[1].into(), model.into(), score.layer.clone(), number]);
        before = (named, &score.model);
    }
    columns(&rows, &[4])
}
