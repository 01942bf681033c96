//! RDMs in tables as pandas, R and NumPy write them: `tests/fixtures/make_tables.py`.

use serde::Deserialize;
use std::collections::BTreeMap;
use thingsvision::rdm::Rdms;

#[derive(Deserialize)]
struct Table {
    writer: String,
    ending: String,
    text: String,
    n: usize,
    ids: Option<Vec<String>>,
    sum: f64,
}

#[test]
fn no_table_is_read_as_what_it_is_not() {
    let text = std::fs::read(crate::fixtures().join("tables.json")).unwrap();
    let tables: Vec<Table> = serde_json::from_slice(&text).unwrap();
    assert!(tables.len() > 500);
    let folder = tempfile::tempdir().unwrap();
    let mut refused = BTreeMap::new();
    let mut wrong = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let path = folder.path().join(format!("{number}.{}", table.ending));
        std::fs::write(&path, &table.text).unwrap();
        match Rdms::read(&path) {
            Ok(rdms) => {
                let sum = rdms.subjects.iter().flatten().filter(|value| !value.is_nan()).sum::<f64>();
                let is_it = rdms.stimuli == table.n && rdms.subjects.len() == 1 && (sum - table.sum).abs() < 1e-3;
                if !is_it || rdms.ids != table.ids {
                    wrong.push(format!(
                        "{} {} n {}: {} stimuli of {}, {:?}",
                        table.writer,
                        table.ending,
                        table.n,
                        rdms.stimuli,
                        rdms.subjects.len(),
                        rdms.ids
                    ));
                }
            }
            Err(error) => {
                assert!(error.to_string().contains(" stimuli without names, or of "), "{error}");
                *refused.entry(table.writer.clone()).or_insert(0) += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), tables.len(), wrong.join("\n"));
    // What may be read in two ways: numbers at the edges beside a diagonal that is missing, with a header and names or without both.
    let is_such = |writer: &String| {
        let is_named =
            ["pandas True True", "R write."].iter().any(|begin| writer.starts_with(begin)) && writer.contains("missing");
        is_named && (writer.contains("numbers") || writer.contains("decimals"))
            || writer.starts_with("pandas False False, missing")
    };
    assert!(refused.keys().all(is_such), "{refused:#?}");
    assert_eq!(refused.values().sum::<usize>(), 66);
}
