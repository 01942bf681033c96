//! Representational similarity analysis: how well the RDM of a layer agrees with those from behaviour or fMRI, and how
//! sure that is.
//!
//! A [`Request`] says what is wanted, and [`analyse()`] does it. An [`Analysis`] holds models and targets of the same
//! stimuli. Its scores follow from a [`Comparison`]; [`permute`] tests them, [`bootstrap()`] gives intervals and compares
//! models, [`ceiling()`] says what could be reached.

mod analyse;
mod analysis;
mod bootstrap;
mod candidates;
mod ceiling;
pub mod cka;
mod clusters;
mod comparison;
mod controls;
mod correction;
mod course;
mod explain;
mod features;
mod form;
mod kendall;
mod kernel;
mod pearson;
mod permutation;
mod random;
mod rbf;
pub mod regression;
mod relabel;
mod request;
mod resample;
pub mod reweight;
mod side_by_side;
mod table;
mod targets;
mod tree;
pub mod triplets;

pub use analyse::{Analysed, analyse};
pub use analysis::{Analysis, ControlRdm, ModelRdm, TargetRdm, model_name};
pub use bootstrap::{Bootstrap, Over, bootstrap, drawn};
pub use ceiling::{Ceiling, ceiling};
pub use comparison::Comparison;
pub use correction::{benjamini_hochberg, holm};
pub use course::{Course, TimeCluster};
pub use kendall::{Kendall, kendall};
pub use pearson::pearson;
pub use permutation::{Permuted, permute};
pub use request::Request;
pub use table::{Difference, Score, Table};

pub(crate) use bootstrap::{NoDraws, cannot_draw};
pub(crate) use candidates::{Candidate, candidates, layers_of_run, run_and_layer};
pub(crate) use features::{Layer, named_layers};
pub(crate) use random::{Purpose, generator, shuffled};
pub(crate) use regression::divided;
pub(crate) use request::check_draws;
pub(crate) use table::{csv, csv_of_objects, json, mean_and_deviation, of_run, write_rows};
pub(crate) use targets::{Named, NamedTarget, read_targets};
