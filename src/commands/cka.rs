//! `thingsvision cka`

use crate::cli::Cka;
use crate::printer::{Printer, columns};
use anyhow::Result;
use thingsvision::names::doubt;
use thingsvision::numbers::count;
use thingsvision::rsa::cka::{Compared, compare};

/// Compares all layers with each other, and prints the matrix.
pub fn run(arguments: &Cka, printer: Printer) -> Result<()> {
    let compared = compare(&arguments.request, &printer)?;
    printer.data(&if arguments.json { json(&compared)? } else { text(&compared) })?;
    printer.note(&said(arguments, &compared));
    Ok(())
}

/// What must be known to read the matrix.
fn said(arguments: &Cka, Compared { layers, alignment, few, .. }: &Compared) -> String {
    let kind = if arguments.request.unbiased { "unbiased " } else { "" };
    let order = match (&alignment.ids, alignment.assumed) {
        (Some(_), false) => "matched by name",
        (Some(_), true) => "without names on one side, so taken to be in the same order",
        (None, _) => "taken to be in the same order",
    };
    let doubt = alignment.ids.as_deref().filter(|_| alignment.assumed).and_then(doubt).map(|doubt| format!("\n  {doubt}"));
    let few = few.as_ref().map(|few| format!("\n  few: {few}.")).unwrap_or_default();
    let (layers, stimuli) = (layers.len(), count(alignment.rows[0].len()));
    let kernel = match arguments.request.width() {
        Some(width) => format!("rbf CKA (bandwidth {width} × the median distance)"),
        None => "linear CKA".into(),
    };
    format!("\n  {kind}{kernel} of {layers} layers, {stimuli} stimuli, {order}{}{few}", doubt.unwrap_or_default())
}

fn text(Compared { layers, cka, .. }: &Compared) -> String {
    let header = std::iter::once(String::new()).chain((1..=layers.len()).map(|number| number.to_string()));
    let mut rows: Vec<Vec<String>> = vec![header.collect()];
    for (i, layer) in layers.iter().enumerate() {
        let name = format!("{} {layer}", i + 1);
        rows.push(std::iter::once(name).chain(cka.row(i).iter().map(|value| format!("{value:.3}"))).collect());
    }
    columns(&rows, &(1..=layers.len()).collect::<Vec<_>>())
}

fn json(Compared { layers, cka, .. }: &Compared) -> Result<String> {
    let rows: Vec<Vec<f64>> = cka.outer_iter().map(|row| row.to_vec()).collect();
    Ok(serde_json::to_string_pretty(&serde_json::json!({ "layers": layers, "cka": rows }))? + "\n")
}
