//! What a study will do: every file is looked at, every run compared with what is there.

use super::in_fields;
use super::request::{Dataset, Study};
use crate::atomic_file::free_space;
use crate::error::advise;
use crate::extract::{self, Sources, State, Stimuli};
use crate::numbers::{bytes, count};
use crate::observer::{Observer, Silent};
use crate::parallel::parallel;
use crate::plot::categories;
use crate::rdm::ids::check_unique;
use crate::rdm::{Rows, align};
use crate::rsa::{self, NoDraws, cannot_draw, read_targets};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// All that a study will do.
pub struct Plan<'a> {
    pub(super) study: &'a Study,
    /// Networks, weights, and where they are looked for.
    pub(super) sources: Sources,
    pub(super) datasets: Vec<Set<'a>>,
    pub(super) passes: Vec<Pass>,
    /// Multiplications in a second, on all cores.
    speed: f64,
}

pub(super) struct Set<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) stimuli: Stimuli,
    /// The comparison, without the runs that it is to compare.
    pub(super) comparison: rsa::Request,
}

/// A run of one network on one dataset.
pub(super) struct Pass {
    /// The number of its dataset.
    pub(super) set: usize,
    pub(super) request: extract::Request,
    pub(super) folder: PathBuf,
    pub(super) layers: Vec<String>,
    pub(super) state: State,
    /// What it writes.
    bytes: u64,
    /// For each image.
    multiplications: f64,
}

impl<'a> Plan<'a> {
    /// Reads all files of `study` that can be read before the networks run, and compares the runs with what is there. Networks
    /// come from the registry and the store that `places` names.
    pub fn new(study: &'a Study, places: &extract::Request) -> Result<Plan<'a>> {
        Self::find(study, places).map_err(in_fields)
    }

    fn find(study: &'a Study, places: &extract::Request) -> Result<Plan<'a>> {
        let models = study.models.iter().map(|network| network.model.clone()).collect();
        let sources = Sources::open_as_they_are(&extract::Request { models, ..places.clone() })?;
        let mut datasets = Vec::new();
        for dataset in &study.datasets {
            let named = || format!("dataset `{}`", dataset.name);
            datasets.push(Set::find(study, dataset).with_context(named)?);
        }
        let mut passes = Vec::new();
        for (set, Set { dataset, stimuli, .. }) in datasets.iter().enumerate() {
            for network in &study.models {
                for request in study.extractions(dataset, network, places) {
                    passes.push(Pass::new(set, request, &sources, stimuli)?);
                }
            }
        }
        check_names(&passes)?;
        Ok(Plan { study, sources, datasets, passes, speed: speed()? })
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = &Pass> {
        self.passes.iter().filter(|pass| pass.state != State::Done)
    }

    /// Says what will be done.
    pub fn say(&self, observer: &dyn Observer) {
        for set in &self.datasets {
            let rows = set.stimuli.rows();
            let as_conditions =
                if rows == set.stimuli.images.len() { String::new() } else { format!(", {} conditions", count(rows)) };
            let targets = [&set.comparison.behavior[..], &set.comparison.fmri].concat().join(", ");
            observer.fact("dataset", &format!("{}: {}{as_conditions}", set.dataset.name, set.stimuli.images.summary()));
            observer.fact("targets", &targets);
        }
        let missing = self.missing().count();
        let (all, done, models) = (self.passes.len(), self.passes.len() - missing, self.study.models.len());
        observer.fact("runs", &format!("{all} of {models} models; {done} done, {missing} to do"));
        for pass in &self.passes {
            if let State::Changed(differences) = &pass.state {
                let differences: Vec<_> = differences.iter().map(ToString::to_string).collect();
                observer.fact("again", &format!("{}: {}", pass.name(self), differences.join("; ")));
            }
        }
        if missing > 0 {
            let out = &self.study.out;
            let free = free_space(out).map_or_else(|_| "?".into(), bytes);
            observer.fact("writes", &format!("{} to {} ({free} free)", bytes(self.bytes()), out.display()));
            let seconds = duration(self.missing().map(|pass| self.seconds(pass)).sum());
            let text = format!("about {seconds}, by the networks' arithmetic and the speed of this machine's cores");
            observer.fact("time", &text);
        }
    }

    /// The cells of a table of the runs, the first line its header.
    pub fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![["run", "images", "layers", "state", "writes", "time"].map(String::from).to_vec()];
        for pass in &self.passes {
            let state = match &pass.state {
                State::Done => "done",
                State::Missing => "to do",
                State::Unfetched => "to fetch and do",
                State::Changed(_) => "changed, again",
            };
            let cost = match pass.state {
                State::Done => [String::new(), String::new()],
                _ => [bytes(pass.bytes), duration(self.seconds(pass))],
            };
            let layers = if let [only] = &pass.layers[..] { only.clone() } else { count(pass.layers.len()) };
            let images = count(self.datasets[pass.set].stimuli.images.len());
            rows.push([pass.name(self), images, layers, state.to_owned()].into_iter().chain(cost).collect());
        }
        rows
    }

    /// Of what is missing.
    fn bytes(&self) -> u64 {
        self.missing().map(|pass| pass.bytes).sum()
    }

    /// Fails if the disk has no room for what is missing.
    pub(super) fn check_space(&self) -> Result<()> {
        let out = &self.study.out;
        let (needed, free) = (self.bytes(), free_space(out)?);
        if needed <= free {
            return Ok(());
        }
        Err(advise(
            format!("{} are to be written, and the disk of `{}` has {} free", bytes(needed), out.display(), bytes(free)),
            "take fewer layers or random networks, or another disk as `out`",
        ))
    }

    fn seconds(&self, pass: &Pass) -> f64 {
        // Decoding and preparing a photograph, on one core.
        const IMAGE: f64 = 1e-3;
        const START: f64 = 1.0;
        let images = self.datasets[pass.set].stimuli.images.len() as f64;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        START + images * (pass.multiplications / self.speed + IMAGE / cores)
    }
}

impl Pass {
    fn new(set: usize, request: extract::Request, sources: &Sources, stimuli: &Stimuli) -> Result<Pass> {
        let plan = extract::Plan::new(&request, sources, stimuli)?;
        let run = plan.runs.first().context("one model is planned")?;
        plan.check_places()?;
        let (state, bytes) = (plan.state(run)?, plan.size(run));
        let (folder, layers) = (run.folder.clone(), run.layers.iter().map(|layer| layer.name.clone()).collect());
        let multiplications = run.multiplications;
        Ok(Pass { set, folder, layers, state, bytes, multiplications, request })
    }

    /// `things/alexnet.random-0`.
    pub(super) fn name(&self, plan: &Plan) -> String {
        let run = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("{}/{run}", plan.datasets[self.set].dataset.name)
    }
}

impl<'a> Set<'a> {
    fn find(study: &Study, dataset: &'a Dataset) -> Result<Set<'a>> {
        let comparison = study.comparison(dataset);
        let targets = read_targets(&comparison)?;
        let stimuli = Stimuli::find(&study.images(dataset))?;
        let ids = stimuli.row_ids();
        let images = dataset.images.as_ref().or(dataset.image_list.as_ref()).or(dataset.texts.as_ref());
        let images = images.map(|path| path.display().to_string());
        let images = images.unwrap_or_default();
        let own = Rows { name: &images, stimuli: ids.len(), ids: Some(ids), leads: true };
        for (path, rdms) in targets.iter().flat_map(|target| &target.files) {
            let name = path.display().to_string();
            align(&[own, Rows { name: &name, stimuli: rdms.stimuli, ids: rdms.ids.as_deref(), leads: false }], false)?;
        }
        check_unique(ids, &images)?;
        if study.bootstrap > 0 {
            check_bootstrap(study, &targets)?;
        }
        if let Some(named) = &dataset.categories {
            categories(named, Some(ids), ids.len(), &Silent)?;
        }
        Ok(Set { dataset, stimuli, comparison })
    }
}

/// Fails if the bootstrap has nothing to draw.
fn check_bootstrap(study: &Study, targets: &[rsa::NamedTarget]) -> Result<()> {
    let subjects = |target: &rsa::NamedTarget| target.files.iter().map(|(_, rdms)| rdms.subjects.len()).sum();
    let targets = targets.iter().map(|target| (target.name.as_str(), subjects(target)));
    match cannot_draw(study.compare, study.over, targets) {
        None => Ok(()),
        Some(NoDraws::OneSubject(problem)) => {
            Err(advise(problem, "take `over = \"stimuli\"`, or `bootstrap = 0`, or give one RDM of each subject"))
        }
        Some(NoDraws::WholeMatrices(problem)) => {
            Err(advise(problem, "take `bootstrap = 0`, `over = \"subjects\"`, or another `compare`"))
        }
    }
}

fn check_names(passes: &[Pass]) -> Result<()> {
    for (number, pass) in passes.iter().enumerate() {
        if passes[..number].iter().any(|other| other.folder == pass.folder) {
            let run = Path::new(pass.folder.file_name().unwrap_or_default()).display().to_string();
            return Err(advise(format!("`{run}` is asked for twice"), "name each model with the same weights once"));
        }
    }
    Ok(())
}

/// Multiplications in a second on all cores, by a product of matrices such as networks are made of.
fn speed() -> Result<f64> {
    const SIDE: i64 = 768;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rates = parallel(cores, &|_| {
        let matrix = Tensor::f_ones([SIDE, SIDE], (Kind::Float, Device::Cpu))?;
        drop(matrix.f_matmul(&matrix)?);
        let start = Instant::now();
        let mut products = 0;
        while start.elapsed() < Duration::from_millis(60) {
            drop(matrix.f_matmul(&matrix)?);
            products += 1;
        }
        Ok(f64::from(products) * SIDE.pow(3) as f64 / start.elapsed().as_secs_f64())
    })?;
    Ok(rates.into_iter().sum())
}

/// `3 h 20 min`.
fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{:.0} s", seconds.max(1.0)),
        seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h {:.0} min", (seconds / 3600.0).floor(), (seconds % 3600.0) / 60.0),
    }
}
