//! The flags of `thingsvision rsa` and `thingsvision cka`.

use thingsvision::rsa::{self, cka};

/// `thingsvision rsa`
#[derive(Debug, clap::Args)]
pub struct Rsa {
    /// What is to be compared
    #[command(flatten)]
    pub request: rsa::Request,

    /// Print what was done, with all formulas, ready for a methods section
    #[arg(long)]
    pub explain: bool,

    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

/// `thingsvision cka`
#[derive(Debug, clap::Args)]
pub struct Cka {
    /// What is to be compared
    #[command(flatten)]
    pub request: cka::Request,

    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}
