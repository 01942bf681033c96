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
    /// The movies whose times are not known, so that frames are counted.
    pub counted: Vec<String>,
}

/// Reads, aligns and compares all models and targets; nothing is written.
pub fn analyse(request: &Request, observer: &dyn Observer) -> Result<Analysed> {
    request.check()?;
    let read = Read {
        targets: read_targets(request)?,
        controls: read_controls(request)?,
        candidates: candidates(&request.models, observer)?,
    };
    read.check_outputs(&Table::files(&request.out), &request.models)?;
    let counted = read.counted();
    let Aligned { analysis, ids, assumed, renamed, left_out, .. } = read.aligned(request, observer)?;
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
    Ok(Analysed {
        request: request.clone(),
        few: few(request, &analysis),
        negative: negatives(&analysis),
        analysis,
        table,
        permuted,
        bootstrap,
        ids,
        assumed,
        renamed,
        left_out,
        counted,
    })
}

impl Analysed {
    /// Writes the scores as `.npy`, CSV and JSON, and says where.
    pub fn write(&self) -> Result<Vec<PathBuf>> {
        self.table.write(&self.request.out)
    }
}

/// RDMs as they were read.
pub(super) struct Read {
    pub(super) targets: Vec<NamedTarget>,
    pub(super) controls: Vec<NamedControl>,
    pub(super) candidates: Vec<Candidate>,
}

/// RDMs that were brought to the same stimuli, and what is to be said of that.
pub(super) struct Aligned {
    pub(super) analysis: Analysis,
    pub(super) ids: Option<Vec<String>>,
    /// Which of the aligned stimuli have data.
    pub(super) places: Vec<usize>,
    pub(super) assumed: bool,
    pub(super) renamed: Vec<String>,
    pub(super) left_out: Vec<String>,
}

impl Read {
    /// Fails if one of `files`, which will be written, is one that is read.
    pub(super) fn check_outputs(&self, files: &[PathBuf], models: &[PathBuf]) -> Result<()> {
        let of_targets = self.targets.iter().flat_map(|target| target.files.iter().map(|(path, _)| path));
        let of_controls = self.controls.iter().map(|control| &control.path);
        let of_models = self.candidates.iter().map(|candidate| &candidate.path).chain(models);
        outputs::check(files, of_targets.chain(of_controls).chain(of_models).flat_map(|input| outputs::read_of(input)))
    }

    /// The movies whose times are not known.
    fn counted(&self) -> Vec<String> {
        let mut names: Vec<String> = self.targets.iter().filter(|of| of.is_counted).map(|of| of.name.clone()).collect();
        names.dedup();
        names
    }

    /// The stimuli of which all have data, in one order; fails where the measure cannot compare them.
    pub(super) fn aligned(self, request: &Request, observer: &dyn Observer) -> Result<Aligned> {
        let alignment = self.alignment(request)?;
        self.aligned_as(request, alignment, observer)
    }

    /// The same, aligned as this says, whose first rows are those of the RDMs.
    pub(super) fn aligned_as(self, request: &Request, alignment: Alignment, observer: &dyn Observer) -> Result<Aligned> {
        alignment.renamed.iter().for_each(|sentence| observer.note(sentence));
        if alignment.left_out > 0 {
            observer.note(&format!("left out {} stimuli that are not in all RDMs", count(alignment.left_out)));
        }
        let (analysis, lacking) = self.analysis(request, &alignment).with_data();
        let sentences = lacking_in_words(&lacking, alignment.ids.as_deref());
        sentences.iter().for_each(|sentence| observer.note(sentence));
        analysis.check(request.permutations > 0)?;
        let left_out: HashSet<usize> = lacking.into_iter().flat_map(|lacking| lacking.stimuli).collect();
        let places: Vec<usize> = (0..alignment.rows[0].len()).filter(|place| !left_out.contains(place)).collect();
        let kept = |ids: Vec<String>| places.iter().map(|&place| ids[place].clone()).collect();
        Ok(Aligned {
            analysis,
            ids: alignment.ids.map(kept),
            places,
            assumed: alignment.assumed,
            renamed: alignment.renamed,
            left_out: sentences,
        })
    }

    fn alignment(&self, request: &Request) -> Result<Alignment> {
        let of_targets = self.targets.iter().flat_map(|target| target.files.iter().map(|(path, rdms)| (&**path, rdms)));
        let of_controls = self.controls.iter().map(|control| (&*control.path, &control.rdm));
        let of_models = self.candidates.iter().map(|candidate| (&*candidate.path, &candidate.rdm));
        align_files(of_targets.chain(of_controls), of_models, request.intersect)
    }

    fn analysis(self, request: &Request, alignment: &Alignment) -> Analysis {
        let mut rows = alignment.rows.iter();
        let mut pairs = |rdms: &Rdms| -> Vec<Vec<f64>> {
            let rows = rows.next().expect("rows of every RDM");
            rdms.subjects.iter().map(|pairs| aligned(rdms.stimuli, pairs, rows)).collect()
        };
        let mut subjects = |files: &[(PathBuf, Rdms)]| files.iter().flat_map(|(_, rdms)| pairs(rdms)).collect();
        let target = |target: NamedTarget| TargetRdm {
            subjects: subjects(&target.files),
            name: target.name,
            kind: target.kind,
            time: target.time,
        };
        let targets = self.targets.into_iter().map(target).collect();
        let control = |control: NamedControl| ControlRdm { pairs: pairs(&control.rdm).concat(), name: control.name };
        let controls = self.controls.into_iter().map(control).collect();
        let model = |of: Candidate| ModelRdm { pairs: pairs(&of.rdm).concat(), model: of.model, layer: of.layer };
        let models = self.candidates.into_iter().map(model).collect();
        Analysis { comparison: request.compare, stimuli: alignment.rows[0].len(), controls, models, targets }
    }
}

/// Which stimuli were left out, the first of each.
fn lacking_in_words(lacking: &[Lacking], ids: Option<&[String]>) -> Vec<String> {
    let sentence = |Lacking { name, stimuli }: &Lacking| {
        let first = ids::name(ids, stimuli[0]);
        let more = if stimuli.len() > 1 { format!(" and {} more", stimuli.len() - 1) } else { String::new() };
        format!("left out {first}{more}: `{name}` has no data")
    };
    let mut sentences: Vec<String> = lacking.iter().map(sentence).collect();
    // The frames of a movie lack the same.
    sentences.dedup();
    sentences
}

/// What RDMs have negative pairs, of a target with several subjects the first such.
pub(super) fn negatives(analysis: &Analysis) -> Vec<String> {
    let models = analysis.models.iter().filter_map(|model| Some((model.name(), negative(&model.pairs)?)));
    let controls = analysis.controls.iter().filter_map(|control| Some((control.name.clone(), negative(&control.pairs)?)));
    let targets = analysis
        .targets
        .iter()
        .filter_map(|target| Some((target.title(), target.subjects.iter().find_map(|pairs| negative(pairs))?)));
    models.chain(controls).chain(targets).map(|(name, found)| format!("`{name}`: {found}")).collect()
}

/// Stimuli or subjects of which fewer are few.
pub(super) const FEW: usize = 20;

/// Warnings of tests and intervals that say little.
pub(super) fn few(request: &Request, analysis: &Analysis) -> Vec<String> {
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
