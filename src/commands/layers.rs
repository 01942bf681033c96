//! `thingsvision layers`

use super::models::readout_name;
use crate::cli::Layers;
use crate::printer::{Printer, columns};
use anyhow::Result;
use serde_json::{Value, json};
use thingsvision::error::{advise, text_of};
use thingsvision::extract::{Description, Output, Request, Sources, describe, too_small_or_large};
use thingsvision::nn::Channels;
use thingsvision::numbers::{count, shape};
use thingsvision::readout::Readout;
use thingsvision::weights::outline;

/// Lists the layers of a model with the shapes of what they give.
pub fn run(arguments: &Layers, places: &Request, printer: Printer) -> Result<()> {
    let request = Request { models: vec![arguments.model.clone()], ..places.clone() };
    let Sources { registry, .. } = Sources::open(&request, &printer)?;
    let choice = registry.choose(&arguments.model)?;
    let choice = if arguments.texts { registry.text_tower(&choice)? } else { choice };
    let (shown, is_guess) = arguments.pixels.shown(&registry, &choice)?;
    let model = outline(&choice)?;
    let size = shape(&shown);
    let trace = model.trace(shown).map_err(|error| match is_guess {
        true => advise(
            format!(
                "`{}` does not say what it is to be shown, and cannot take images of {size}: {}",
                choice.name(),
                text_of(&error)
            ),
            "name the side of its images: --crop N",
        ),
        false => too_small_or_large(&choice, shown, error),
    })?;
    if is_guess {
        printer.note(&format!("`{}` does not say what it is to be shown: shapes are those for images of {size}", choice.name()));
    }
    let layers = describe(model.manifest(), &trace);
    let default = &choice.entry.default_layer;
    if arguments.json {
        let layers: Vec<_> = layers.iter().map(|layer| as_json(layer, default)).collect();
        return printer.data(&serde_json::to_string_pretty(&layers)?);
    }
    let mut rows = vec![["layer", "module", "output", "calls", "per image", ""].map(String::from).to_vec()];
    for layer in &layers {
        let mark = if layer.name == *default { "* " } else { "  " };
        let last = layer.calls.last();
        let usable = last.filter(|output| output.unusable.is_none());
        rows.push(vec![
            format!("{mark}{}{}", indent(&layer.name), layer.name),
            layer.class.clone(),
            last.map_or_else(|| "never called".into(), |last| if usable.is_some() { shape(&last.shape) } else { String::new() }),
            layer.calls.len().to_string(),
            usable.map_or_else(String::new, |last| indicatif::BinaryBytes(bytes(&last.shape) as u64).to_string()),
            remark(layer, (layer.name == *default).then_some(choice.entry.default_readout)),
        ]);
    }
    rows[0][0].insert_str(0, "  ");
    printer.data(&columns(&rows, &[3, 4]))?;
    printer.note(&format!(
        "\n{} layers. Globs work: --layer 'layer4.*' is all below layer4, for * crosses dots; 'layer4.?' one level. A module that is called more than once gives its last output; \
         NAME@0 is the first call.",
        count(layers.len())
    ));
    Ok(())
}

fn as_json(layer: &Description, default: &str) -> Value {
    let last = layer.calls.last();
    let of_calls = |part: fn(&Output) -> Value| layer.calls.iter().map(part).collect::<Vec<_>>();
    json!({
        "layer": layer.name,
        "class": layer.class,
        "calls": layer.calls.len(),
        "shape": last.map(|output| &output.shape),
        "bytes": last.map(|output| bytes(&output.shape)),
        "shapes": of_calls(|output| json!(output.shape)),
        "elements": of_calls(|output| json!(output.elements)),
        "channels_last": last.is_some_and(|output| output.channels == Some(Channels::Last)),
        "unusable": last.and_then(|output| output.unusable.as_deref()),
        "default": layer.name == default,
    })
}

fn bytes(shape: &[usize]) -> usize {
    shape.iter().product::<usize>() * 4
}

fn indent(name: &str) -> String {
    "  ".repeat(name.matches('.').count())
}

/// What is not seen from the shape.
fn remark(layer: &Description, default: Option<Readout>) -> String {
    let Description { name, calls, .. } = layer;
    let Some(last) = calls.last() else { return String::new() };
    let mut remarks: Vec<String> = Vec::new();
    if calls.len() > 1 {
        remarks.push(format!("{name}@0 … @{}", calls.len() - 1));
    } else if let Some(readout) = default {
        let with = readout_name(readout).map(|name| format!(", with --readout {name}"));
        remarks.push(format!("default{}", with.unwrap_or_default()));
    }
    if let [first, .., end] = last.elements.as_slice() {
        remarks.push(format!("{name}:{first} … :{end}"));
    }
    let is_last = last.channels == Some(Channels::Last) && last.unusable.is_none();
    remarks.extend(is_last.then(|| "channels last".into()));
    remarks.extend(last.unusable.as_ref().map(|reason| format!("not to be extracted: {reason}")));
    remarks.join(", ")
}
