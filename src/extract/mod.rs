//! The main job: the activations of layers for images, and their RDMs, in the folder of a run.
//!
//! A [`Request`] says what is wanted; a [`Plan`] is what that comes to on this machine; [`extract`] makes it, or goes on with what is
//! there. [`resume()`], [`merge()`] and [`verify()`] begin with the record of a run, which holds its request.

mod align_run;
mod batches;
mod chosen;
mod claim;
mod derive;
mod difference;
mod files;
mod fit_on;
mod folder;
mod join;
mod journal;
mod layers;
mod lock;
mod make;
mod merge;
mod overrides;
mod part;
mod plan;
mod rdms;
mod record;
mod reduce;
mod reduce_run;
mod request;
mod resources;
mod shown;
mod sink;
mod sources;
mod stimuli;
mod summary;
mod turns;
mod verify;

pub use align_run::{Aligned, Request as AlignRequest, align};
pub use difference::Difference;
#[doc(hidden)] // for `fuzz/harnesses`
pub use journal::Done;
pub use layers::{Description, Layer, Output, describe, resolve};
pub use make::Finished;
pub use merge::merge;
pub use overrides::Overrides;
pub use plan::{Plan, PlannedRun, State, too_small_or_large};
pub use record::{ReadCommand, Record, resume};
pub use reduce_run::{Request as ReduceRequest, reduce};
pub use request::{Request, RunRdm};

pub use sources::Sources;
pub use stimuli::Stimuli;
pub use verify::{Check, verify};

use crate::observer::Observer;
use anyhow::Result;

/// Extracts what is wanted, or goes on with it, and says where it is. What is there already and the same is not made again.
///
/// Everything is checked before the first batch: names, files, images, shapes, the disk and memory.
pub fn extract(request: &Request, observer: &dyn Observer) -> Result<Finished> {
    request.check()?;
    let sources = Sources::open(request, observer)?;
    // The names first: a wrong one must not wait for all images to be looked at.
    let choices = sources.choices(request)?;
    let stimuli = Stimuli::find(request)?;
    Plan::of(request, &sources, choices, &stimuli)?.run(observer)
}
