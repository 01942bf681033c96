//! Pictures: RDMs as heat maps, maps of stimuli, bars and profiles of scores, as SVG and PNG.
//!
//! A request ([`RdmRequest`], [`MdsRequest`], [`ScoresRequest`], [`VarianceRequest`]) says what is wanted. All is laid out as a `Picture`, shapes at known places; SVG is written from it, and PNG
//! drawn from the SVG, so the two agree.

mod axis;
mod bars;
mod categories;
mod colours;
mod course;
mod files;
mod font;
mod heatmap;
#[cfg(test)]
mod layout;
mod map;
mod networks;
mod picture;
mod profiles;
mod rdms;
mod request;
mod svg;
mod variance;

pub use colours::Scale;
pub use request::{
    MdsRequest, RdmRequest, ScoresRequest, Shown, VarianceRequest, draw_bars, draw_courses, draw_layers, draw_maps, draw_rdms,
    draw_variance,
};

pub(crate) use bars::bars;
pub(crate) use categories::categories;
pub(crate) use course::courses;
pub(crate) use files::Files;
pub(crate) use heatmap::Values;
pub(crate) use networks::what_target;
pub(crate) use picture::{Picture, Text};
pub(crate) use profiles::profiles;
pub(crate) use rdms::{Groups, Panel, RdmPlot};
pub(crate) use svg::{escaped, svg};
pub(crate) use variance::variance;
