//! RDMs as MATLAB's RSA toolbox and Meadows keep them, and numbers of half precision: `tests/fixtures/make_matlab_fixtures.py`.

use serde::Deserialize;
use std::collections::BTreeMap;
use thingsvision::rdm::Rdms;

#[derive(Deserialize)]
struct Expected {
    pairs: Vec<Vec<f64>>,
    ids: Option<Vec<String>>,
}

#[test]
fn rdms_of_toolboxes_are_read_as_scipy_and_rsatoolbox_read_them() {
    let text = std::fs::read(crate::fixtures().join("matlab.json")).unwrap();
    let files: BTreeMap<String, Expected> = serde_json::from_slice(&text).unwrap();
    assert!(files.len() > 15);
    for (name, Expected { pairs, ids }) in files {
        let rdms = Rdms::read(&crate::fixtures().join("matlab").join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((rdms.stimuli, rdms.subjects, rdms.ids), (5, pairs, ids), "{name}");
    }
}
