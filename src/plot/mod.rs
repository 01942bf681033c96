//! Pictures: RDMs as heat maps, maps of stimuli, bars and profiles of scores, as SVG and PNG.
//!
//! Everything is laid out as a [`Picture`], a list of shapes at known places. SVG is written from it, and PNG drawn from the
//! SVG, so the two agree.

mod axis;
mod bars;
mod categories;
mod colours;
mod files;
mod font;
mod heatmap;
#[cfg(test)]
mod layout;
mod map;
mod names;
mod networks;
mod picture;
mod png;
mod profiles;
mod rdms;
mod request;
mod svg;
mod thumbnail;

pub use bars::bars;
pub use categories::categories;
pub use colours::{Colour, Scale};
pub use files::Files;
pub use font::lacks_letters;
pub use heatmap::Values;
pub use map::{Map, MapPlot};
pub use names::display_names;
pub use picture::{Anchor, Picture, Raster, Shape, Text};
pub use profiles::profiles;
pub use rdms::{Groups, MOST_GROUPS, MOST_THUMBNAILS, Panel, RdmPlot};
pub use request::{Request, draw_bars, draw_layers, draw_maps, draw_rdms};
pub use svg::{escaped, svg};
pub use thumbnail::thumbnail;
