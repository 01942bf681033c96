//! A comparison of networks with behaviour and fMRI, described in one file: what it asks for, its results, figures and
//! report.

mod figure;
mod file;
mod report;
mod results;

pub use figure::{Figure, Scene, figures};
pub use file::{Dataset, Network, Study, Weights};
pub use report::{Report, Section};
pub use results::{Summary, results_csv, summary_csv};
