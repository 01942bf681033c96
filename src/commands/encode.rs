//! `thingsvision encode`

use super::rsa::columns::{self, Column, column, interval, three};
use crate::cli::Encode;
use crate::printer::Printer;
use anyhow::Result;
use thingsvision::encode::{Choice, Encoded, Method, Row, encode};
use thingsvision::numbers::{count, count_of};

/// Fits every layer to all responses, writes the scores, and prints the table.
pub fn run(arguments: &Encode, printer: Printer) -> Result<()> {
    let encoded = encode(&arguments.request, &printer)?;
    let written = encoded.write()?;
    if !encoded.rows.is_empty() {
        printer.data(&if arguments.json { encoded.json()? } else { table(&encoded.rows) })?;
    }
    let out = encoded.request.out.display();
    let next = match written {
        Some([csv, json]) => {
            format!(
                "wrote {}, {}, and the scores of each target in {out}/\n  next: thingsvision plot layers {}",
                csv.display(),
                json.display(),
                json.display()
            )
        }
        None => format!(
            "{} of {} are in {out}/; the same command without --shard makes the table of all",
            count(encoded.rows.len()),
            count_of(encoded.all, "fit")
        ),
    };
    printer.note(&format!("\n  {}\n  {next}", notes(&encoded).join("\n  ")));
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let any = |has: fn(&Row) -> bool| rows.iter().any(has);
    let share = |title, wanted, cell| column::<Row>(title, wanted, cell);
    let all: Vec<Column<Row>> = vec![
        Column { once: true, ..column("images", true, |row: &Row| Some(count(row.images))) },
        Column { once: true, ..column("targets", true, |row: &Row| Some(count(row.targets))) },
        column("r", true, |row| Some(three(Some(row.r)))),
        column("95 % interval", any(|row| row.draws.is_some()), |row| Some(interval(row.low, row.high))),
        column("R²", true, |row| Some(three(Some(row.r2)))),
        column("r/√c", any(|row| row.with_ceiling.is_some()), |row| Some(three(row.r_normalised))),
        column("q ≤ 0.05", any(|row| row.significant.is_some()), |row| row.significant.map(count)),
        column("family", any(|row| row.significant_family.is_some()), |row| row.significant_family.map(count)),
        share("only 1", any(|row| row.unique_1.is_some()), |row| row.unique_1.map(|share| three(Some(share)))),
        share("only 2", any(|row| row.unique_2.is_some()), |row| row.unique_2.map(|share| three(Some(share)))),
        share("only 3", any(|row| row.unique_3.is_some()), |row| row.unique_3.map(|share| three(Some(share)))),
        share("1 & 2", any(|row| row.shared_1_2.is_some()), |row| row.shared_1_2.map(|share| three(Some(share)))),
        share("1 & 3", any(|row| row.shared_1_3.is_some()), |row| row.shared_1_3.map(|share| three(Some(share)))),
        share("2 & 3", any(|row| row.shared_2_3.is_some()), |row| row.shared_2_3.map(|share| three(Some(share)))),
        share("all", any(|row| row.shared_1_2_3.is_some()), |row| row.shared_1_2_3.map(|share| three(Some(share)))),
    ];
    let named = rows.iter().map(|row| ([&*row.target, &*row.model, &*row.layer], row));
    columns::table(["responses", "model", "layer"], 1, named, &all)
}

/// What must be known to read the table.
fn notes(encoded: &Encoded) -> Vec<String> {
    let Encoded { request, rows, kept, .. } = encoded;
    let split = match request.train {
        Some(_) => "of the images of --test".to_owned(),
        None => format!("mean of {} folds", request.folds),
    };
    let chosen = match request.choose {
        Choice::Folds => format!("by {} parts of what is fitted", request.inner_folds),
        Choice::LeaveOneOut => "by leaving out one row of what is fitted".to_owned(),
        Choice::Generalised => "by generalised cross-validation of what is fitted".to_owned(),
    };
    let how = match request.method {
        Method::Ridge => format!("penalties chosen {chosen}"),
        Method::Pls => format!("partial least squares of {}", count_of(request.components, "component")),
    };
    let mut notes = vec![format!("r, R²: of predicted and true responses, {split}, mean over targets; {how}.")];
    if rows.iter().any(|row| row.with_ceiling.is_some()) {
        notes.push("r/√c: r over the root of the noise ceiling, median over targets whose ceiling is above 0.".into());
    }
    if let Some(permutations) = rows.iter().find_map(|row| row.permutations) {
        notes.push(format!(
            "q ≤ 0.05, family: targets with p ≤ 0.05 of {} permutations, corrected by false discovery rate and by the largest r.",
            count(permutations)
        ));
    }
    if let Some(draws) = rows.iter().find_map(|row| row.draws) {
        notes.push(format!("intervals: of the mean r over targets, from {} bootstraps of the predicted images.", count(draws)));
    }
    if rows.iter().any(|row| row.unique_1.is_some()) {
        notes.push("only, &: R² by one space beside the others, and what spaces share; they add up to R².".into());
    }
    notes.extend(encoded.notes.clone());
    let at_end =
        |share: fn(&Row) -> Option<f64>| rows.iter().filter(move |row| share(row).is_some_and(|share| share > OFTEN)).count();
    for (fits, end, hint) in
        [(at_end(|row| row.smallest), "smallest", "smaller"), (at_end(|row| row.largest), "largest", "larger")]
    {
        if fits > 0 {
            let hint =
                if end == "largest" { format!("nothing to predict, or try {hint} ones") } else { format!("try {hint} ones") };
            notes.push(format!(
                "{} chose the {end} penalty for more than half of the targets: {hint}, --penalties.",
                count_of(fits, "fit")
            ));
        }
    }
    if *kept > 0 {
        notes.push(format!("kept {} that {} done before.", count_of(*kept, "fit"), if *kept == 1 { "was" } else { "were" }));
    }
    notes
}

/// The share of targets from which on an end of the penalties is spoken of.
const OFTEN: f64 = 0.5;
