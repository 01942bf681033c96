//! What a study will do: every file is looked at, every run compared with what is there.

use crate::cli::{Cli, Command, Extract, Rsa};
use crate::commands::extract::Stimuli;
use crate::commands::extract::planned::{Planned, State, plan};
use crate::commands::plot::stimuli::categories;
use crate::commands::rsa::targets;
use crate::printer::{Printer, columns};
use anyhow::{Context, Result};
use clap::Parser;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};
use thingsvision::atomic_file;
use thingsvision::error::advise;
use thingsvision::numbers::{bytes, count};
use thingsvision::parallel::parallel;
use thingsvision::rdm::ids::check_unique;
use thingsvision::registry::Registry;
use thingsvision::rsa::{NoDraws, Rows, align, cannot_draw};
use thingsvision::study::{Dataset, Network, Study, Weights};
use thingsvision::weights::Store;

/// All that a study will do.
pub struct Plan {
    pub datasets: Vec<Set>,
    pub passes: Vec<Pass>,
    /// Multiplications in a second, on all cores.
    speed: f64,
}

/// A dataset, found and checked.
pub struct Set {
    pub dataset: Dataset,
    pub stimuli: Stimuli,
    /// The comparison, without the runs that it is to compare.
    pub rsa: Rsa,
}

/// A run of one network on one dataset.
pub struct Pass {
    /// The number of its dataset.
    pub set: usize,
    pub arguments: Extract,
    pub planned: Planned,
}

impl Plan {
    /// Reads all files of `study` that can be read before the networks run, and compares the runs with what is there.
    pub fn new(study: &Study, registry: &Registry, store: &Store) -> Result<Plan> {
        let mut datasets = Vec::new();
        for dataset in &study.datasets {
            let named = || format!("dataset `{}`", dataset.name);
            datasets.push(Set::find(study, dataset).with_context(named)?);
        }
        let mut passes = Vec::new();
        for (set, Set { dataset, stimuli, .. }) in datasets.iter().enumerate() {
            for network in &study.models {
                for arguments in networks(study, dataset, network)? {
                    let planned = plan(&arguments, registry, store, stimuli)?;
                    passes.push(Pass { set, arguments, planned });
                }
            }
        }
        check_names(&passes)?;
        Ok(Plan { datasets, passes, speed: speed()? })
    }

    /// Runs that are to be made.
    pub fn missing(&self) -> impl Iterator<Item = &Pass> {
        self.passes.iter().filter(|pass| pass.planned.state != State::Done)
    }

    /// Says what will be done.
    pub fn say(&self, study: &Study, printer: Printer) {
        for set in &self.datasets {
            let rows = set.stimuli.rows();
            let as_conditions =
                if rows == set.stimuli.images.len() { String::new() } else { format!(", {} conditions", count(rows)) };
            let targets = [&set.rsa.behavior[..], &set.rsa.fmri].concat().join(", ");
            printer.fact("dataset", &format!("{}: {}{as_conditions}", set.dataset.name, set.stimuli.images.summary()));
            printer.fact("targets", &targets);
        }
        let missing = self.missing().count();
        let done = self.passes.len() - missing;
        printer.fact("runs", &format!("{} of {} models; {done} done, {missing} to do", self.passes.len(), study.models.len()));
        for pass in &self.passes {
            if let State::Changed(differences) = &pass.planned.state {
                printer.fact("again", &format!("{}: {}", pass.name(self), differences.join("; ")));
            }
        }
        if missing > 0 {
            let needed = self.missing().map(|pass| pass.planned.bytes).sum();
            let free = atomic_file::free_space(&study.out).map_or_else(|_| "?".into(), bytes);
            printer.fact("writes", &format!("{} to {} ({free} free)", bytes(needed), study.out.display()));
            let seconds = self.missing().map(|pass| self.seconds(pass)).sum();
            printer.fact(
                "time",
                &format!("about {}, by the networks' arithmetic and the speed of this machine's cores", duration(seconds)),
            );
        }
    }

    /// The runs as a table.
    pub fn table(&self) -> Result<String> {
        let mut rows = vec![["run", "images", "layers", "state", "writes", "time"].map(String::from).to_vec()];
        for pass in &self.passes {
            let Planned { layers, state, bytes: size, .. } = &pass.planned;
            let (state, cost) = match state {
                State::Done => ("done", None),
                State::Missing => ("to do", Some(())),
                State::Unfetched => ("to fetch and do", Some(())),
                State::Changed(_) => ("changed, again", Some(())),
            };
            let cost = cost.map(|()| [bytes(*size), duration(self.seconds(pass))]).unwrap_or_default();
            let layers = if let [only] = &layers[..] { only.clone() } else { count(layers.len()) };
            let images = count(self.datasets[pass.set].stimuli.images.len());
            rows.push([pass.name(self), images, layers, state.to_owned()].into_iter().chain(cost).collect());
        }
        Ok(columns(&rows, &[1, 4, 5]))
    }

    /// Fails if the disk has no room for what is missing.
    pub fn check_space(&self, study: &Study) -> Result<()> {
        let needed: u64 = self.missing().map(|pass| pass.planned.bytes).sum();
        let free = atomic_file::free_space(&study.out)?;
        if needed <= free {
            return Ok(());
        }
        Err(advise(
            format!("{} are to be written, and the disk of `{}` has {} free", bytes(needed), study.out.display(), bytes(free)),
            "take fewer layers or random networks, or another disk as `out`",
        ))
    }

    /// How long a run may take, roughly.
    fn seconds(&self, pass: &Pass) -> f64 {
        // Decoding and preparing a photograph, on one core.
        const IMAGE: f64 = 1e-3;
        const START: f64 = 1.0;
        let images = self.datasets[pass.set].stimuli.images.len() as f64;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        START + images * (pass.planned.multiplications / self.speed + IMAGE / cores)
    }
}

impl Pass {
    /// `things/alexnet.random-0`.
    pub fn name(&self, plan: &Plan) -> String {
        let run = self.planned.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("{}/{run}", plan.datasets[self.set].dataset.name)
    }
}

impl Set {
    fn find(study: &Study, dataset: &Dataset) -> Result<Set> {
        let rsa = comparison(study, dataset)?;
        let targets = targets::read(&rsa)?;
        let probe = words(study, dataset, &study.models[0].model);
        let stimuli = Stimuli::find(&parse_extract(probe)?)?;
        let ids = stimuli.row_ids();
        let images = dataset.images.as_ref().or(dataset.image_list.as_ref()).map(|path| path.display().to_string());
        let images = images.unwrap_or_default();
        let own = Rows { name: &images, stimuli: ids.len(), ids: Some(ids), leads: true };
        for target in &targets {
            for (path, rdms) in &target.files {
                let name = path.display().to_string();
                align(&[own, Rows { name: &name, stimuli: rdms.stimuli, ids: rdms.ids.as_deref(), leads: false }], false)?;
            }
        }
        check_unique(ids, &images)?;
        if study.bootstrap > 0 {
            check_bootstrap(study, &targets)?;
        }
        if let Some(named) = &dataset.categories {
            categories(named, Some(ids), ids.len(), Printer::new(true))?;
        }
        Ok(Set { dataset: dataset.clone(), stimuli, rsa })
    }
}

/// Fails if the bootstrap has nothing to draw.
fn check_bootstrap(study: &Study, targets: &[targets::Wanted]) -> Result<()> {
    let subjects = |target: &targets::Wanted| target.files.iter().map(|(_, rdms)| rdms.subjects.len()).sum();
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

/// The flags of `thingsvision rsa` for a dataset, without runs.
fn comparison(study: &Study, dataset: &Dataset) -> Result<Rsa> {
    let mut words: Vec<OsString> = ["thingsvision", "rsa"].map(OsString::from).to_vec();
    let name = clap::ValueEnum::to_possible_value(&study.compare).map(|value| value.get_name().to_owned());
    words.push(format!("--compare={}", name.unwrap_or_default()).into());
    words.push(format!("--seed={}", study.seed).into());
    if study.permutations > 0 {
        words.push(format!("--permutations={}", study.permutations).into());
    }
    if study.bootstrap > 0 {
        let over = clap::ValueEnum::to_possible_value(&study.over).map(|value| value.get_name().to_owned());
        words.push(format!("--bootstrap={}", study.bootstrap).into());
        words.push(format!("--over={}", over.unwrap_or_default()).into());
    }
    words.extend(dataset.behavior.iter().map(|target| format!("--behavior={target}").into()));
    words.extend(dataset.fmri.iter().map(|target| format!("--fmri={target}").into()));
    words.extend(["--out".into(), study.out.join(&dataset.name).join("rsa").into_os_string()]);
    match parse(words)? {
        Command::Rsa(rsa) => Ok(rsa),
        _ => unreachable!("it is `rsa`"),
    }
}

/// The flags of `thingsvision extract` for each of the weights of a network.
fn networks(study: &Study, dataset: &Dataset, network: &Network) -> Result<Vec<Extract>> {
    let mut all = Vec::new();
    for weights in study.weights_of(network) {
        let (value, seeds) = match weights {
            Weights::Pretrained => ("pretrained", 1),
            Weights::Random(count) => ("random", *count),
            Weights::File(path) => (path.as_str(), 1),
        };
        for seed in 0..seeds {
            let mut words = words(study, dataset, &network.model);
            words.push(format!("--weights={value}").into());
            words.push(format!("--seed={seed}").into());
            words.extend(network.layers.iter().map(|layer| format!("--layer={layer}").into()));
            let flags = [("readout", &network.readout), ("preprocess", &network.preprocess), ("tokens", &network.tokens)];
            words.extend(flags.iter().filter_map(|(flag, value)| Some(format!("--{flag}={}", value.as_ref()?).into())));
            all.push(parse_extract(words).with_context(|| format!("model `{}`", network.model))?);
        }
    }
    Ok(all)
}

/// What all networks on a dataset have in common.
fn words(study: &Study, dataset: &Dataset, model: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["thingsvision", "extract", "--force"].map(OsString::from).to_vec();
    words.extend([format!("--model={model}").into(), format!("--device={}", study.device).into()]);
    words.extend(["--out".into(), study.out.join("activations").join(&dataset.name).into_os_string()]);
    let paths = [("--images", &dataset.images), ("--image-list", &dataset.image_list)];
    for (flag, path) in paths.into_iter().filter_map(|(flag, path)| Some((flag, path.as_ref()?))) {
        words.extend([flag.into(), path.clone().into_os_string()]);
    }
    words.extend(dataset.average_by.iter().map(|by| format!("--average-by={by}").into()));
    words
}

fn parse_extract(words: Vec<OsString>) -> Result<Extract> {
    match parse(words)? {
        Command::Extract(extract) => Ok(*extract),
        _ => unreachable!("it is `extract`"),
    }
}

/// The flags as the command line would read them, with the same defaults.
fn parse(words: Vec<OsString>) -> Result<Command> {
    let parsed = Cli::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        advise(first, "values in the file are written as on the command line: `thingsvision extract --help`")
    })?;
    Ok(parsed.command)
}

/// Fails if two runs would be in one folder.
fn check_names(passes: &[Pass]) -> Result<()> {
    for (number, pass) in passes.iter().enumerate() {
        if passes[..number].iter().any(|other| other.planned.folder == pass.planned.folder) {
            let run = Path::new(pass.planned.folder.file_name().unwrap_or_default()).display().to_string();
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
