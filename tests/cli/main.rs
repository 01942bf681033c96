//! The program as a user meets it: stdout, stderr, exit code, and the files it writes.
#![allow(clippy::unwrap_used)] // helpers of tests

mod averages;
mod caveats;
mod cka;
mod exported;
mod exported_refusals;
mod exported_registry;
mod extract;
mod faults;
mod fmri;
mod foreign;
mod foreign_files;
mod formats;
mod images;
mod inference;
mod join;
mod lab;
mod matlab;
mod models;
mod names;
mod outputs;
mod plot;
mod rdm;
mod rdm_files;
mod readouts;
mod refusals;
mod resume;
mod rsa;
mod safety;
mod stacks;
mod study;
mod tables;
mod threads;
mod triplets;
mod weights;
mod which_images;
