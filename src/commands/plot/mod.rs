//! `thingsvision plot`

pub(super) mod pictures;
mod rdms;
mod scores;
mod sources;
pub(super) mod stimuli;

use crate::cli::{Plot, PlotCommand};
use crate::printer::Printer;
use anyhow::Result;

/// Draws what is wanted, and prints the paths of the pictures.
pub fn run(arguments: &Plot, printer: Printer) -> Result<()> {
    match &arguments.command {
        PlotCommand::Rdm(wanted) => rdms::heat_maps(wanted, printer),
        PlotCommand::Mds(wanted) => rdms::maps(wanted, printer),
        PlotCommand::Bars(wanted) => scores::bars(wanted, printer),
        PlotCommand::Layers(wanted) => scores::layers(wanted, printer),
    }
}
