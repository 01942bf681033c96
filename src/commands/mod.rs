//! One file a subcommand: flags to objects, one library call, print.

pub mod cka;
pub mod extract;
pub mod layers;
pub mod merge;
pub mod models;
mod outputs;
pub mod plot;
pub mod rdm;
pub mod resume;
pub mod rsa;
pub mod study;
pub mod verify;
pub mod weights;

/// `256 × 6 × 6`.
fn shape(sizes: &[usize]) -> String {
    if sizes.is_empty() { "one number".into() } else { sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ") }
}
