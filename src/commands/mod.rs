//! One file a subcommand: flags → a request → one library call → print.

pub mod about;
pub mod align;
pub mod cka;
pub mod completions;
pub mod encode;
pub mod extract;
pub mod layers;
pub mod man;
pub mod merge;
pub mod models;
pub mod plot;
pub mod rdm;
pub mod reduce;
pub mod rsa;
pub mod study;
pub mod triplets;
pub mod verify;
pub mod weights;
