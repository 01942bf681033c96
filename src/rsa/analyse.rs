//! From a request to scores: RDMs are read, aligned, compared, tested.

use super::analysis::Lacking;
use super::candidates::{Candidate, candidates};
use super::request::Request;
use super::table::{Computed, differences};
use super::targets::{NamedControl, NamedTarget, read_controls, read_targets};
use super::{Analysis, Bootstrap, ControlRdm, ModelRdm, Over, Permuted, Table, TargetRdm, bootstrap, permute};
use crate::numbers::count;
use crate::observer::Observer;
use crate::rdm::{Alignment, Rdms, align_files, aligned, ids, negative, outputs};
use anyhow::Result;
use std::collections::HashSet;
use std::path::PathBuf;

/// All that was computed.
pub struct Analysed {
    /// What was asked for.
    pub request: Request,
    /// What was compared with what.
    pub analysis: Analysis,
    /// The scores.
    pub table: Table,
    /// The permutation test, if there was one.
    pub permuted: Option<Permuted>,
    /// The bootstrap, if there was one.
    pub bootstrap: Option<Bootstrap>,
    /// Of the stimuli of the analysis, if they have names.
    pub ids: Option<Vec<String>>,
    /// Whether an RDM without IDs was taken to be in the order of the others.
    pub assumed: bool,
    /// Which IDs were taken for others, for they lack folders or endings, in sentences.
    pub renamed: Vec<String>,
    /// Which stimuli were left out, in sentences.
    pub left_out: Vec<String>,
    /// Of what there are too few, in sentences.
    pub few: Vec<String>,
    /// Which RDMs have negative pairs, in sentences.
    pub negative: Vec<String>,
}

/// Reads, aligns and compares all models and targets; nothing is written.
pub fn analyse(request: &Request, observer: &dyn Observer) -> Result<Analysed> {
    request.check()?;
    let targets = read_targets(request)?;
    let controls = read_controls(request)?;
    let candidates = candidates(&request.models, observer)?;
    check_outputs(request, &targets, &controls, &candidates)?;
    let alignment = alignment(request, &targets, &controls, &candidates)?;
    alignment.renamed.iter().for_each(|sentence| observer.note(sentence));
    if alignment.left_out > 0 {
        observer.note(&format!("left out {} stimuli that are not in all RDMs", count(alignment.left_out)));
    }
    let (analysis, lacking) = analysis(request, targets, controls, candidates, &alignment).with_data();
    let sentences = lacking_in_words(&lacking, alignment.ids.as_deref());
    sentences.iter().for_each(|sentence| observer.note(sentence));
    analysis.check(request.permutations > 0)?;
    let (analysis, explained) = analysis.with_models_left()?;
    explained.iter().for_each(|name| observer.note(&format!("left out `{name}`: the controls explain it entirely")));

    let scores = analysis.scores()?;
    let uncontrolled = analysis.uncontrolled()?;
    let ceilings = analysis.ceilings()?;
    let wanted = |number: u32| (number > 0).then_some(number as usize);
    let permuted = wanted(request.permutations).map(|number| permute(&analysis, number, request.seed)).transpose()?;
    let draws = |number: usize| bootstrap(&analysis, request.over, number, request.seed);
    let bootstrap = wanted(request.bootstrap).map(draws).transpose()?;
    let compared = bootstrap.as_ref().filter(|_| request.differences);
    let differences = compared.map(|bootstrap| differences(&analysis, &scores, bootstrap)).unwrap_or_default();
    let computed = Computed {
        scores: &scores,
        uncontrolled: uncontrolled.as_deref(),
        ceilings: &ceilings,
        permuted: permuted.as_ref(),
        bootstrap: bootstrap.as_ref(),
    };
    let table = Table::new(&analysis, &computed, differences);
    let left_out: HashSet<usize> = lacking.into_iter().flat_map(|lacking| lacking.stimuli).collect();
    let kept = |ids: Vec<String>| (0..).zip(ids).filter(|(row, _)| !left_out.contains(row)).map(|(_, id)| id).collect();
    Ok(Analysed {
        request: request.clone(),
        few: few(request, &analysis),
        negative: negatives(&analysis),
        analysis,
        table,
        permuted,
        bootstrap,
        ids: alignment.ids.map(kept),
        assumed: alignment.assumed,
        renamed: alignment.renamed,
        left_out: sentences,
    })
}

impl Analysed {
    /// Writes the scores as `.npy`, CSV and JSON, and says where.
    pub fn write(&self) -> Result<Vec<PathBuf>> {
        self.table.write(&self.request.out)
    }
}

/// Fails if a file that will be written is one that is read.
fn check_outputs(
    request: &Request,
    targets: &[NamedTarget],
    controls: &[NamedControl],
    candidates: &[Candidate],
) -> Result<()> {
    let of_targets = targets.iter().flat_map(|target| target.files.iter().map(|(path, _)| path));
    let of_controls = controls.iter().map(|control| &control.path);
    let inputs = of_targets.chain(of_controls).chain(candidates.iter().map(|candidate| &candidate.path)).chain(&request.models);
    outputs::check(&Table::files(&request.out, request.differences), inputs.flat_map(|input| outputs::read_of(input)))
}

fn alignment(
    request: &Request,
    targets: &[NamedTarget],
    controls: &[NamedControl],
    candidates: &[Candidate],
) -> Result<Alignment> {
    let of_targets = targets.iter().flat_map(|target| target.files.iter().map(|(path, rdms)| (&**path, rdms)));
    let of_models = candidates.iter().map(|candidate| (&*candidate.path, &candidate.rdm));
    let of_controls = controls.iter().map(|control| (&*control.path, &control.rdm));
    align_files(of_targets.chain(of_controls), of_models, request.intersect)
}

fn analysis(
    request: &Request,
    targets: Vec<NamedTarget>,
    controls: Vec<NamedControl>,
    candidates: Vec<Candidate>,
    alignment: &Alignment,
) -> Analysis {
    let mut rows = alignment.rows.iter();
    let mut pairs = |rdms: &Rdms| -> Vec<Vec<f64>> {
        let rows = rows.next().expect("rows of every RDM");
        rdms.subjects.iter().map(|pairs| aligned(rdms.stimuli, pairs, rows)).collect()
    };
    let mut subjects = |files: &[(PathBuf, Rdms)]| files.iter().flat_map(|(_, rdms)| pairs(rdms)).collect();
    let targets: Vec<TargetRdm> = targets
        .into_iter()
        .map(|target| TargetRdm { subjects: subjects(&target.files), name: target.name, kind: target.kind })
        .collect();
    let controls =
        controls.into_iter().map(|control| ControlRdm { pairs: pairs(&control.rdm).concat(), name: control.name }).collect();
    let models = candidates
        .into_iter()
        .map(|candidate| ModelRdm { pairs: pairs(&candidate.rdm).concat(), model: candidate.model, layer: candidate.layer })
        .collect();
    Analysis { comparison: request.compare, stimuli: alignment.rows[0].len(), controls, models, targets }
}

/// Which stimuli were left out, the first of each.
fn lacking_in_words(lacking: &[Lacking], ids: Option<&[String]>) -> Vec<String> {
    let sentence = |Lacking { name, stimuli }: &Lacking| {
        let first = ids::name(ids, stimuli[0]);
        let more = if stimuli.len() > 1 { format!(" and {} more", stimuli.len() - 1) } else { String::new() };
        format!("left out {first}{more}: `{name}` has no data")
    };
    lacking.iter().map(sentence).collect()
}

/// What RDMs have negative pairs, of a target with several subjects the first such.
fn negatives(analysis: &Analysis) -> Vec<String> {
    let models = analysis.models.iter().filter_map(|model| Some((model.name(), negative(&model.pairs)?)));
    let controls = analysis.controls.iter().filter_map(|control| Some((control.name.clone(), negative(&control.pairs)?)));
    let targets = analysis
        .targets
        .iter()
        .filter_map(|target| Some((target.name.clone(), target.subjects.iter().find_map(|pairs| negative(pairs))?)));
    models.chain(controls).chain(targets).map(|(name, found)| format!("`{name}`: {found}")).collect()
}

/// Stimuli or subjects of which fewer are few.
pub(super) const FEW: usize = 20;

/// Warnings of tests and intervals that say little.
fn few(request: &Request, analysis: &Analysis) -> Vec<String> {
    let mut notes = Vec::new();
    if analysis.stimuli < FEW && (request.permutations > 0 || request.bootstrap > 0) {
        notes.push(format!("with fewer than {FEW} stimuli tests find little, and intervals are unsure"));
    }
    let smallest = analysis.targets.iter().min_by_key(|target| target.subjects.len());
    if let (1.., Over::Subjects, Some(target)) = (request.bootstrap, request.over, smallest)
        && target.subjects.len() < FEW
    {
        let subjects = target.subjects.len();
        notes.push(format!(
            "`{}` has {subjects} subjects, over which intervals are too narrow (with 12, 91 % and not 95 % held the truth)",
            target.name
        ));
    }
    notes
}
