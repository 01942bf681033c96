//! Inputs from a seed, equal bit for bit to those of `fixtures/differential/inputs.py`, which says what each part means.

use serde::{Deserialize, Deserializer};
use std::path::Path;
use thingsvision::npy::Matrix;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    Uniform,
    Heavy,
    Few,
    Integers,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Row {
    None,
    Equal,
    Near,
    Constant,
    Zero,
    Nan,
    Infinite,
    Shared,
}

/// Features `[n, p]`.
#[derive(Debug, Deserialize)]
pub struct Features {
    seed: u64,
    pub n: usize,
    p: usize,
    values: Values,
    r#type: String,
    #[serde(deserialize_with = "exact")]
    scale: f64,
    #[serde(deserialize_with = "exact")]
    offset: f64,
    row: Row,
}

/// The pairs of `n` stimuli, of several subjects.
#[derive(Debug, Deserialize)]
pub struct Pairs {
    seed: u64,
    pub n: usize,
    pub subjects: usize,
    values: Values,
    #[serde(deserialize_with = "exact")]
    scale: f64,
    #[serde(deserialize_with = "exact")]
    offset: f64,
    #[serde(deserialize_with = "exact")]
    apart: f64,
    flat: Option<usize>,
    pub missing: usize,
}

/// A number that is written as text.
pub fn exact<'de, D: Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    String::deserialize(number)?.parse().map_err(serde::de::Error::custom)
}

fn mixed(z: u64) -> u64 {
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// Splitmix64 (Steele, Lea & Flood 2014).
fn draws(seed: u64) -> impl Iterator<Item = u64> {
    (1..).map(move |k: u64| mixed(seed.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15))))
}

pub fn numbers(values: Values, count: usize, seed: u64) -> Vec<f64> {
    let base = |z: u64| {
        let uniform = (z >> 11) as f64 * 2f64.powi(-52) - 1.0;
        match values {
            Values::Uniform => uniform,
            Values::Heavy => uniform * uniform * uniform * uniform * uniform,
            Values::Few => (z % 5) as f64 - 1.0,
            Values::Integers => (z % 2001) as f64 - 1000.0,
        }
    };
    draws(seed).take(count).map(base).collect()
}

/// Random bytes, eight of each draw.
pub fn octets(seed: u64, count: usize) -> Vec<u8> {
    draws(seed).flat_map(u64::to_le_bytes).take(count).collect()
}

/// Of the bits of all numbers, every NaN being the same.
pub fn digest(values: impl IntoIterator<Item = f64>) -> String {
    let bits = |value: f64| if value.is_nan() { 0x7FF8_0000_0000_0000 } else { value.to_bits() };
    format!("{:016x}", values.into_iter().fold(0, |state, value| mixed(state ^ bits(value))))
}

impl Features {
    pub fn rows(&self) -> Vec<Vec<f64>> {
        let values = numbers(self.values, self.n * self.p, self.seed);
        let mut x: Vec<Vec<f64>> =
            values.chunks(self.p).map(|row| row.iter().map(|value| value * self.scale + self.offset).collect()).collect();
        let (last, unit) = (self.n - 1, self.p - 1);
        match self.row {
            Row::None => {}
            Row::Equal => x[1] = x[0].clone(),
            Row::Near => {
                x[1] = x[0].clone();
                x[1][unit] *= 1.0 + 2f64.powi(-20);
            }
            Row::Constant => x[last] = vec![x[last][0]; self.p],
            Row::Zero => x[last].fill(0.0),
            Row::Nan => x[last][unit] = f64::NAN,
            Row::Infinite => x[last][unit] = f64::INFINITY,
            Row::Shared => x.iter_mut().for_each(|row| {
                let first = row[0];
                row.iter_mut().for_each(|value| *value += first);
            }),
        }
        x
    }

    /// In a file of their type.
    pub fn open(&self, path: &Path) -> Matrix {
        self.write(path);
        Matrix::open(path).unwrap()
    }

    pub fn write(&self, path: &Path) {
        let bytes = |value: f64| match self.r#type.as_str() {
            "<f8" => value.to_le_bytes().to_vec(),
            "<f4" => (value as f32).to_le_bytes().to_vec(),
            "<f2" => half::f16::from_f32(value as f32).to_le_bytes().to_vec(),
            "<i8" => (value as i64).to_le_bytes().to_vec(),
            "<i4" => (value as i32).to_le_bytes().to_vec(),
            "<i2" => (value as i16).to_le_bytes().to_vec(),
            "|i1" => (value as i8).to_le_bytes().to_vec(),
            "|u1" => vec![value as u8],
            other => panic!("{other}"),
        };
        let values: Vec<u8> = self.rows().into_iter().flatten().flat_map(bytes).collect();
        write_npy(path, &self.r#type, &[self.n, self.p], false, &values);
    }
}

impl Pairs {
    pub fn rows(&self) -> Vec<Vec<f64>> {
        let count = self.n * (self.n - 1) / 2;
        let shared = numbers(self.values, count, self.seed);
        let row = |subject: usize| {
            let own = numbers(self.values, count, self.seed + 1 + subject as u64);
            let mut row: Vec<f64> =
                shared.iter().zip(own).map(|(shared, own)| (shared + own) * self.scale + self.offset).collect();
            for _ in 0..subject {
                row.iter_mut().for_each(|value| *value *= self.apart);
            }
            if self.flat == Some(subject) {
                row = vec![row[0]; count];
            }
            if self.missing > 0 {
                row.iter_mut().skip(subject).step_by(self.missing).for_each(|value| *value = f64::NAN);
            }
            row
        };
        (0..self.subjects).map(row).collect()
    }
}

/// An array as NumPy writes it.
pub fn write_npy(path: &Path, kind: &str, shape: &[usize], fortran: bool, values: &[u8]) {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let order = if fortran { "True" } else { "False" };
    let dictionary = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': ({sizes}), }}");
    // Ten bytes stand before it, and values begin at a multiple of 64.
    let header = format!("{dictionary:width$}\n", width = (dictionary.len() + 11).next_multiple_of(64) - 11);
    let length = (header.len() as u16).to_le_bytes();
    std::fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()).unwrap();
}

/// Numbers as float64.
pub fn write_numbers(path: &Path, shape: &[usize], values: impl IntoIterator<Item = f64>) {
    let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
    write_npy(path, "<f8", shape, false, &bytes);
}
