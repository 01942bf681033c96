//! `thingsvision rsa`

pub(super) mod candidates;
pub(super) mod targets;
mod text;

use crate::cli::Rsa;
use crate::commands::outputs;
use crate::printer::Printer;
use anyhow::Result;
use candidates::Candidate;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use targets::Wanted;
use thingsvision::arrays;
use thingsvision::error::advise;
use thingsvision::numbers::count;
use thingsvision::rsa::{
    Alignment, Analysis, Bootstrap, Explained, Lacking, Model, Permuted, Table, Target, align_files, aligned, bootstrap,
    differences, permute,
};

/// Compares every layer with every target, writes the table, and prints it.
pub fn run(arguments: &Rsa, printer: Printer) -> Result<()> {
    let Analysed { analysis, table, permuted, bootstrap, ids, assumed, few, .. } = analyse(arguments, printer)?;
    let files = table.write(&arguments.out)?;
    print(arguments, &table, printer)?;
    let notes = text::notes(arguments, &analysis, &table, ids.is_some(), assumed, permuted.as_ref(), &few);
    printer.note(&format!("\n  {}", notes.join("\n  ")));
    printer.note(&wrote(&files, &analysis));
    if arguments.explain {
        let text = format!("\n{}", explained(arguments, &analysis, permuted.as_ref(), bootstrap.as_ref()));
        // Of JSON nothing else may be on stdout.
        if arguments.json { printer.note(&text) } else { printer.data(&text)? }
    }
    Ok(())
}

/// All that was computed.
pub struct Analysed {
    pub analysis: Analysis,
    pub table: Table,
    pub permuted: Option<Permuted>,
    pub bootstrap: Option<Bootstrap>,
    /// Of the stimuli of the analysis, if they have names.
    pub ids: Option<Vec<String>>,
    /// Whether an RDM without IDs was taken to be in the order of the others.
    pub assumed: bool,
    /// Which stimuli were left out, in sentences.
    pub left_out: Vec<String>,
    /// Of what there are too few, in sentences.
    pub few: Vec<String>,
}

/// Reads, aligns and compares.
pub fn analyse(arguments: &Rsa, printer: Printer) -> Result<Analysed> {
    let wanted = targets::read(arguments)?;
    let candidates = candidates::find(&arguments.models, printer)?;
    check_outputs(arguments, &wanted, &candidates)?;
    let alignment = alignment(arguments, &wanted, &candidates)?;
    if alignment.left_out > 0 {
        printer.note(&format!("left out {} stimuli that are not in all RDMs", count(alignment.left_out)));
    }
    let (analysis, lacking) = analysis(arguments, wanted, candidates, &alignment).with_data();
    let sentences = lacking_in_words(&lacking, alignment.ids.as_deref());
    sentences.iter().for_each(|sentence| printer.note(sentence));
    analysis.check(arguments.permutations.is_some())?;

    let scores = analysis.scores()?;
    let ceilings = analysis.ceilings()?;
    let permuted = arguments.permutations.map(|count| permute(&analysis, count as usize, arguments.seed)).transpose()?;
    let draws = |count: u32| bootstrap(&analysis, arguments.over, count as usize, arguments.seed);
    let bootstrap = arguments.bootstrap.map(draws).transpose()?;
    let compared = bootstrap.as_ref().filter(|_| arguments.differences);
    let differences = compared.map(|bootstrap| differences(&analysis, &scores, bootstrap)).unwrap_or_default();
    let table = Table::new(&analysis, &scores, &ceilings, permuted.as_ref(), bootstrap.as_ref(), differences);
    let left_out: HashSet<usize> = lacking.into_iter().flat_map(|lacking| lacking.stimuli).collect();
    let kept = |ids: Vec<String>| (0..).zip(ids).filter(|(row, _)| !left_out.contains(row)).map(|(_, id)| id).collect();
    Ok(Analysed {
        few: text::few(arguments, &analysis),
        analysis,
        table,
        permuted,
        bootstrap,
        ids: alignment.ids.map(kept),
        assumed: alignment.assumed,
        left_out: sentences,
    })
}

fn print(arguments: &Rsa, table: &Table, printer: Printer) -> Result<()> {
    if arguments.json {
        return Ok(printer.data(&table.json()?)?);
    }
    printer.data(&text::table(table))?;
    if !table.differences.is_empty() {
        printer.data(&format!("\n{}", text::differences(table)))?;
    }
    Ok(())
}

fn wrote(files: &[PathBuf], analysis: &Analysis) -> String {
    let names: Vec<_> = files[1..].iter().map(|path| path.display().to_string()).collect();
    let (targets, models) = (analysis.targets.len(), analysis.models.len());
    let next = files.iter().find(|file| arrays::kind(file) == "json").map(|file| file.display().to_string());
    format!(
        "  wrote {} ({targets} × {models} scores), {}\n  next: thingsvision plot bars {}",
        files[0].display(),
        names.join(", "),
        next.unwrap_or_default()
    )
}

/// What was done, in sentences.
pub fn explained(arguments: &Rsa, analysis: &Analysis, permuted: Option<&Permuted>, bootstrap: Option<&Bootstrap>) -> String {
    let explained = Explained {
        comparison: analysis.comparison,
        stimuli: analysis.stimuli,
        tests: analysis.tests(),
        subjects: analysis.targets.iter().map(|target| target.subjects.len()).max().unwrap_or(0),
        missing: !analysis.is_complete(),
        permuted,
        bootstrap: bootstrap.map(|bootstrap| (bootstrap.over(), bootstrap.draws)),
        seed: arguments.seed,
    };
    explained.text()
}

/// Fails if a file that will be written is one that is read.
fn check_outputs(arguments: &Rsa, targets: &[Wanted], candidates: &[Candidate]) -> Result<()> {
    let prefix = &arguments.out;
    outputs::check_name(prefix, "name files in it: --out FOLDER/rsa")?;
    if matches!(arrays::kind(prefix).as_str(), "npy" | "csv" | "json") {
        return Err(advise(
            format!("`{}` is no prefix: .npy, .csv and .json will be added to it", prefix.display()),
            format!("leave the ending out: --out {}", prefix.with_extension("").display()),
        ));
    }
    let of_targets = targets.iter().flat_map(|target| target.files.iter().map(|(path, _)| path));
    let inputs = of_targets.chain(candidates.iter().map(|candidate| &candidate.path)).chain(&arguments.models);
    outputs::check(&Table::files(prefix, arguments.differences), inputs.flat_map(|input| outputs::read_of(input)))
}

fn alignment(arguments: &Rsa, targets: &[Wanted], candidates: &[Candidate]) -> Result<Alignment> {
    let of_targets = targets.iter().flat_map(|target| target.files.iter().map(|(path, rdms)| (&**path, rdms)));
    let of_models = candidates.iter().map(|candidate| (&*candidate.path, &candidate.rdm));
    align_files(of_targets, of_models, arguments.intersect)
}

fn analysis(arguments: &Rsa, targets: Vec<Wanted>, candidates: Vec<Candidate>, alignment: &Alignment) -> Analysis {
    let mut rows = alignment.rows.iter();
    let mut pairs = |rdms: &thingsvision::rdm::Rdms| -> Vec<Vec<f64>> {
        let rows = rows.next().expect("rows of every RDM");
        rdms.subjects.iter().map(|pairs| aligned(rdms.stimuli, pairs, rows)).collect()
    };
    let mut subjects = |files: &[(PathBuf, thingsvision::rdm::Rdms)]| files.iter().flat_map(|(_, rdms)| pairs(rdms)).collect();
    let targets: Vec<Target> = targets
        .into_iter()
        .map(|target| Target { subjects: subjects(&target.files), name: target.name, kind: target.kind })
        .collect();
    let models = candidates
        .into_iter()
        .map(|candidate| Model { pairs: pairs(&candidate.rdm).concat(), model: candidate.model, layer: candidate.layer })
        .collect();
    Analysis { comparison: arguments.compare, stimuli: alignment.rows[0].len(), models, targets }
}

/// Which stimuli were left out, the first of each.
fn lacking_in_words(lacking: &[Lacking], ids: Option<&[String]>) -> Vec<String> {
    let sentence = |Lacking { name, stimuli }: &Lacking| {
        let first = ids.map_or_else(|| format!("row {}", stimuli[0]), |ids| format!("`{}`", ids[stimuli[0]]));
        let more = if stimuli.len() > 1 { format!(" and {} more", stimuli.len() - 1) } else { String::new() };
        format!("left out {first}{more}: `{name}` has no data")
    };
    lacking.iter().map(sentence).collect()
}

/// A file's name without folder and endings, `.rdm.npy` counted as one.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let endings = [".npy", ".npz", ".csv", ".tsv", ".mat", ".hdf5", ".h5"];
    let name = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    name.strip_suffix(".rdm").unwrap_or(name).to_owned()
}
