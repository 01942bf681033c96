//! The categories of stimuli, by their folders or a table.

use super::rdms::MOST_GROUPS;
use crate::error::advise;
use crate::images::Conditions;
use crate::observer::Observer;
use crate::rdm::{Categories, Labels, renamed};
use anyhow::Result;
use std::collections::HashMap;
use std::path::Path;

/// The category of each of this many `stimuli`, by `folder` or a table.
pub fn categories(named: &str, ids: Option<&[String]>, stimuli: usize, observer: &dyn Observer) -> Result<Labels> {
    let unnamed = || {
        advise(
            "it is not known which stimuli the rows stand for, so they cannot be found among the categories",
            "put their IDs, one a line, into a file beside the RDM that ends in .ids.txt",
        )
    };
    if named == "folder" {
        let conditions = Conditions::by_folder(ids.ok_or_else(unnamed)?)?;
        return checked(Labels { names: conditions.ids, of_row: conditions.of_image });
    }
    let read = Categories::read(Path::new(named))?;
    if let Some(header) = &read.header {
        observer.note(&format!("took the first line of `{named}` for a header: `{header}`"));
    }
    let Some(labelled) = read.ids else {
        if read.labels.of_row.len() != stimuli {
            return Err(advise(
                format!("`{named}` has the categories of {} stimuli, but there are {stimuli}", read.labels.of_row.len()),
                "give one category a line in the order of the rows, or lines of `ID,category`",
            ));
        }
        return checked(read.labels);
    };
    let own = ids.ok_or_else(unnamed)?;
    let found = renamed(named, &labelled, own)?;
    found.iter().for_each(|found| observer.note(&found.said));
    let labelled = found.map_or(labelled, |found| found.ids);
    let places: HashMap<&String, usize> = labelled.iter().zip(read.labels.of_row.iter().copied()).collect();
    let of = |id: &String| {
        places.get(id).map(|&label| read.labels.names[label].clone()).ok_or_else(|| {
            advise(
                format!("`{named}` has no category of `{id}`"),
                "IDs must be written as in the images.txt or .ids.txt of the RDM",
            )
        })
    };
    checked(Labels::new(&own.iter().map(of).collect::<Result<Vec<_>>>()?))
}

fn checked(labels: Labels) -> Result<Labels> {
    if labels.names.len() > MOST_GROUPS {
        return Err(advise(
            format!("{} categories cannot be told apart by colour", labels.names.len()),
            format!("give at most {MOST_GROUPS}, in a table of `ID,category`"),
        ));
    }
    Ok(labels)
}
