//! `fixtures/rsa/golden.json`, which `make_rsa_fixtures.py` makes.

use crate::fixtures;
use serde_json::Value;
use thingsvision::npy::Matrix;

pub fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("rsa/golden.json")).unwrap()).unwrap()
}

pub fn vector(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

pub fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(vector).collect()
}

pub fn matrix(value: &Value) -> Matrix {
    let rows = rows(value);
    Matrix::from_rows(rows.len(), rows[0].len(), rows.concat())
}

pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
