//! How a caller follows a job: what it says of itself, how far it is, and whether it is to stop.

/// Told what a job does, and asked whether it is to go on. Every function may be left out.
pub trait Observer: Sync {
    /// A sentence for people, which nothing depends on.
    fn note(&self, _text: &str) {}

    /// A note with a label of at most nine letters, as in the summary before a run; without one it continues that before it.
    fn fact(&self, label: &str, text: &str) {
        self.note(&format!("  {label:<9} {text}"));
    }

    /// Begins a stage, of `total` units if their number is known. It is over when the progress is dropped.
    fn begin(&self, _stage: Stage, _total: Option<usize>) -> Box<dyn Progress + '_> {
        Box::new(Unseen)
    }

    /// Why the job is to stop, as soon as it can without losing anything: "stopped by Ctrl-C". First asked when there is something to
    /// lose; whoever stops a job by a signal may begin to listen then.
    fn stopped(&self) -> Option<&'static str> {
        None
    }
}

/// Why a job ended before its work was done: it was asked to, by [`Observer::stopped`].
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub &'static str);

/// What takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    /// Fetching the weights of this model, in bytes.
    Fetch(&'a str),
    /// Extracting activations, in images.
    Extract,
    /// Computing RDMs, one for each time and subject.
    Rdms,
    /// Reweighting the units of layers, in fits.
    Reweight,
    /// Scoring layers on triplets, in layers.
    Triplets,
    /// Fitting responses, in folds of layers and weightings of feature spaces.
    Encode,
}

/// How far a stage is.
pub trait Progress: Sync {
    /// `done` of `total` units are done; the total may become known on the way.
    fn at(&self, done: u64, total: Option<u64>);

    /// So many units more are done.
    fn add(&self, units: u64);
}

/// Nobody looks.
struct Unseen;

impl Progress for Unseen {
    fn at(&self, _done: u64, _total: Option<u64>) {}

    fn add(&self, _units: u64) {}
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// Passes on how far a part of a larger task is, which says itself what it does.
pub struct ProgressOnly<'a>(pub &'a dyn Observer);

impl Observer for ProgressOnly<'_> {
    fn begin(&self, stage: Stage, total: Option<usize>) -> Box<dyn Progress + '_> {
        self.0.begin(stage, total)
    }

    fn stopped(&self) -> Option<&'static str> {
        self.0.stopped()
    }
}
