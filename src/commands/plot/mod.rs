//! `thingsvision plot`

mod rdms;
mod scores;
mod sources;
mod stimuli;

use crate::cli::{Plot, PlotCommand};
use crate::printer::Printer;
use anyhow::Result;
use thingsvision::plot::{Files, Picture, lacks_letters};

/// Draws what is wanted, and prints the paths of the pictures.
pub fn run(arguments: &Plot, printer: Printer) -> Result<()> {
    match &arguments.command {
        PlotCommand::Rdm(wanted) => rdms::heat_maps(wanted, printer),
        PlotCommand::Mds(wanted) => rdms::maps(wanted, printer),
        PlotCommand::Bars(wanted) => scores::bars(wanted, printer),
        PlotCommand::Layers(wanted) => scores::layers(wanted, printer),
    }
}

/// Writes a picture, which programs call by `title`, and prints where it is.
fn write(files: &Files, picture: &Picture, title: &str, printer: Printer) -> Result<()> {
    let paths = files.write(picture, title)?;
    if let Some(text) = picture.texts().find(|text| lacks_letters(&text.text)) {
        printer.note(&format!("some letters are not in the font of pictures and are shown as boxes, as in `{}`", text.text));
    }
    paths.iter().try_for_each(|path| Ok(printer.data(&path.display().to_string())?))
}
