//! `thingsvision layers`

use super::shape;
use crate::cli::Layers;
use crate::printer::{Printer, columns, count};
use anyhow::Result;
use serde_json::json;
use std::path::Path;
use thingsvision::extract::describe;
use thingsvision::models::Model;
use thingsvision::registry::Registry;

/// Lists the layers of a model with the shapes of what they give.
pub fn run(arguments: &Layers, registry: Option<&Path>, printer: Printer) -> Result<()> {
    let registry = Registry::load(registry)?;
    let choice = registry.choose(&arguments.model)?;
    let model = Model::without_weights(&choice.entry.architecture)?;
    let layers = describe(&model.manifest, &model.trace(choice.shown())?);
    let bytes = |shape: &[usize]| shape.iter().product::<usize>() * 4;
    if arguments.json {
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| {
                let last = layer.calls.last();
                json!({
                    "layer": layer.name,
                    "class": layer.class,
                    "calls": layer.calls.len(),
                    "shape": last,
                    "bytes": last.map(|shape| bytes(shape)),
                    "shapes": layer.calls,
                    "default": layer.name == choice.entry.default_layer,
                })
            })
            .collect();
        return Ok(printer.data(&serde_json::to_string_pretty(&layers)?)?);
    }
    let mut rows = vec![["layer", "module", "output", "calls", "per image", ""].map(String::from).to_vec()];
    for layer in &layers {
        let is_default = layer.name == choice.entry.default_layer;
        rows.push(vec![
            format!("{}{}{}", if is_default { "* " } else { "  " }, indent(&layer.name), layer.name),
            layer.class.to_owned(),
            layer.calls.last().map_or_else(|| "never called".into(), |last| shape(last)),
            layer.calls.len().to_string(),
            layer.calls.last().map_or_else(String::new, |last| indicatif::BinaryBytes(bytes(last) as u64).to_string()),
            remark(&layer.name, &layer.calls, is_default),
        ]);
    }
    rows[0][0].insert_str(0, "  ");
    printer.data(&columns(&rows, &[3, 4]))?;
    printer.note(&format!(
        "\n{} layers. Globs work: --layer 'layer4.*'. A module that is called more than once gives its last output; \
         NAME@0 is the first call.",
        count(layers.len())
    ));
    Ok(())
}

fn indent(name: &str) -> String {
    "  ".repeat(name.matches('.').count())
}

fn remark(name: &str, calls: &[Vec<usize>], is_default: bool) -> String {
    if calls.len() > 1 {
        format!("{name}@0 … @{}", calls.len() - 1)
    } else if is_default {
        "default".into()
    } else {
        String::new()
    }
}
