//! `thingsvision plot`

use crate::cli::{Plot, PlotCommand};
use crate::printer::Printer;
use anyhow::Result;
use thingsvision::plot::{draw_bars, draw_courses, draw_layers, draw_maps, draw_rdms, draw_variance};

/// Draws what is wanted, and prints the paths of the pictures.
pub fn run(arguments: &Plot, printer: Printer) -> Result<()> {
    let pictures = match &arguments.command {
        PlotCommand::Rdm(wanted) => draw_rdms(wanted, &printer),
        PlotCommand::Mds(wanted) => draw_maps(wanted, &printer),
        PlotCommand::Bars(wanted) => draw_bars(wanted, &printer),
        PlotCommand::Layers(wanted) => draw_layers(wanted, &printer),
        PlotCommand::Time(wanted) => draw_courses(wanted, &printer),
        PlotCommand::Variance(wanted) => draw_variance(wanted, &printer),
    };
    pictures?.iter().try_for_each(|path| printer.data(&path.display().to_string()))
}
