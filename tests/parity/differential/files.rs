//! Conversions: NumPy's types, squares and pairs in all formats, and what is no RDM.

use super::cases;
use super::inputs::{Pairs, digest, octets, write_npy, write_numbers};
use serde::Deserialize;
use thingsvision::npy;
use thingsvision::observer::Silent;
use thingsvision::rdm::{Rdms, stored};

#[derive(Debug, Deserialize)]
struct OfType {
    seed: u64,
    r#type: String,
    shape: Vec<usize>,
    fortran: bool,
    digest: String,
}

#[derive(Debug, Deserialize)]
struct OfFormats {
    #[serde(flatten)]
    of: Pairs,
    pairs: String,
    squares: String,
}

#[derive(Debug, Deserialize)]
struct OfMatrix {
    pairs: Pairs,
    fault: Fault,
    read: bool,
    digest: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fault {
    None,
    Similarity,
    Rounding,
    Asymmetric,
    Diagonal,
    #[serde(rename = "one side")]
    OneSide,
    Alike,
}

/// Bit for bit: float64 holds these numbers, or the conversion is rounded in the one way there is.
#[test]
fn types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array.npy");
    for case in cases::<OfType>("types") {
        let size: usize = case.r#type[2..].parse().unwrap();
        write_npy(
            &path,
            &case.r#type,
            &case.shape,
            case.fortran,
            &octets(case.seed, case.shape.iter().product::<usize>() * size),
        );
        let array = npy::read(&path).unwrap_or_else(|error| panic!("{case:?}: {error}"));
        assert_eq!(array.shape(), case.shape, "{case:?}");
        assert_eq!(digest(array), case.digest, "{case:?}");
    }
}

/// Bit for bit, there and back; squares of several subjects are for `.npy` alone.
#[test]
fn formats() {
    let folder = tempfile::tempdir().unwrap();
    let [file, back] = ["rdm.npy", "back.npy"].map(|name| folder.path().join(name));
    for case in cases::<OfFormats>("formats") {
        let rows = case.of.rows();
        let shape = if rows.len() == 1 { vec![rows[0].len()] } else { vec![rows.len(), rows[0].len()] };
        write_numbers(&file, &shape, rows.concat());
        for (ending, condensed) in
            ["npy", "csv", "tsv", "mat", "h5"].into_iter().flat_map(|ending| [(ending, false), (ending, true)])
        {
            let converted = folder.path().join(format!("converted.{ending}"));
            let done = stored::convert(&file, &converted, condensed, &Silent);
            if rows.len() > 1 && !condensed && ["csv", "tsv", "mat"].contains(&ending) {
                assert!(done.is_err(), "{ending}");
                continue;
            }
            done.unwrap();
            let read = Rdms::read(&converted).unwrap_or_else(|error| panic!("{ending} {condensed} {case:?}: {error}"));
            assert_eq!(digest(read.subjects.concat()), case.pairs, "{ending} {condensed} {case:?}");
            stored::convert(&converted, &back, false, &Silent).unwrap();
            assert_eq!(digest(npy::read(&back).unwrap()), case.squares, "{ending} {condensed} {case:?}");
        }
    }
}

#[test]
fn matrices() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rdm.npy");
    for case in cases::<OfMatrix>("matrices") {
        let square = square(&case);
        assert_eq!(digest(square.concat()), case.digest, "{case:?}");
        write_numbers(&path, &[case.pairs.n, case.pairs.n], square.concat());
        assert_eq!(Rdms::read(&path).is_ok(), case.read, "{case:?}");
    }
}

fn square(case: &OfMatrix) -> Vec<Vec<f64>> {
    let (n, pairs) = (case.pairs.n, &case.pairs.rows()[0]);
    let mut x = vec![vec![0.0; n]; n];
    for ((i, j), value) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).zip(pairs) {
        (x[i][j], x[j][i]) = (value.abs(), value.abs());
    }
    let largest = pairs.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let cells = x.iter_mut().flatten();
    match case.fault {
        Fault::None => {}
        Fault::Similarity => cells.for_each(|value| *value = 1.0 - *value / 2.0),
        Fault::Rounding => x[0][1] *= 1.0 + 2f64.powi(-30),
        Fault::Asymmetric => x[0][1] = largest * 2.0,
        Fault::Diagonal => x[1][1] = largest,
        Fault::OneSide => x[1][0] = f64::NAN,
        Fault::Alike => cells.filter(|value| **value > 0.0).for_each(|value| *value = largest),
    }
    x
}
