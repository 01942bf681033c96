//! Weights from a web server on this machine that does everything a server may do.

#![allow(clippy::unwrap_used)] // helpers of tests

mod download;
mod server;
mod store;
mod transforms;
