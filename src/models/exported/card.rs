//! What `examples/export_model.py` stores in a file beside the network.

use crate::error::{Advice, advise};
use crate::images::Preprocessing;
use crate::readout::{Readout, Tokens};
use crate::torchscript;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

/// The name of the file in the archive, below its one folder.
const FILE: &str = "extra/thingsvision.json";

/// In bytes.
const LONGEST: u64 = 1 << 20;

/// All that it may say, in JSON.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Card {
    /// The version of this form: 1.
    format: u32,
    /// The library and its version.
    #[serde(default)]
    pub source: String,
    /// Scripted or traced, by which torch.
    #[serde(default)]
    pub exported: String,
    /// Where the weights come from.
    #[serde(default)]
    pub weights: String,
    /// Of code and weights.
    #[serde(default)]
    pub licence: String,
    /// The paper to cite.
    #[serde(default)]
    pub citation: String,
    /// What the network is to be shown.
    pub preprocessing: Option<Preprocessing>,
    /// The penultimate layer.
    pub default_layer: Option<String>,
    /// Its readout.
    #[serde(default)]
    pub default_readout: Readout,
    /// Where special tokens stand in layers of tokens.
    pub tokens: Option<Tokens>,
    /// The names of modules that have several, after the first in `named_modules()`, each with the first.
    #[serde(default)]
    pub aliases: HashMap<String, String>,
    /// By module of a traced network and by call, the last for all after it, the places in PyTorch's output (`1:0`, `out`) of the
    /// tensors that the trace gives first, where the trace itself has them at others.
    #[serde(default)]
    pub elements: HashMap<String, Vec<Vec<String>>>,
}

impl Card {
    /// Of the network in the file at `path`; nothing is known if it stores none. Fails if the file holds no network.
    pub fn read(path: &Path) -> Result<Card> {
        super::archive::check_kind(path)?;
        let mut archive = torchscript::archive(path)?;
        let names: Vec<_> = archive.file_names().filter_map(|name| name.ok().map(|name| name.into_owned())).collect();
        let Some(name) = names.iter().find(|name| name.split_once('/').is_some_and(|(_, rest)| rest == FILE)) else {
            return Ok(Card::default());
        };
        let damaged = || format!("`thingsvision.json` in `{}` cannot be used", path.display());
        let again = || Advice { problem: damaged(), hint: "export the network again, with examples/export_model.py".into() };
        let card: Card = serde_json::from_reader(BufReader::new(archive.by_name(name)?.take(LONGEST))).with_context(again)?;
        if card.format != 1 {
            return Err(advise(damaged(), "it is of another version: export the network again, or take a newer program"));
        }
        if let Some(preprocessing) = &card.preprocessing {
            preprocessing.check().with_context(again)?;
        }
        Ok(card)
    }
}
