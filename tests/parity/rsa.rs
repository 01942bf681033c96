//! Comparisons of RDMs and noise ceilings against SciPy and rsatoolbox, and values computed by hand.

use crate::golden::{golden, rows, vector};
use clap::ValueEnum;
use thingsvision::rsa::{Comparison, ceiling, pearson};

fn assert_close(name: &str, value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-12, "{name}: {value} not {expected}");
}

#[test]
fn pearson_equals_scipy() {
    let text = std::fs::read_to_string(crate::fixtures().join("rsa.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let r = pearson(&vector(&golden["a"]), &vector(&golden["b"]));
    assert!((r - golden["pearson"].as_f64().unwrap()).abs() < 1e-14, "{r}");
}

#[test]
fn every_measure_equals_rsatoolbox() {
    let golden = golden();
    let models = rows(&golden["models"]);
    for (other, pair) in [(1, "continuous, ties"), (2, "continuous, categories")] {
        let expected = golden["measures"][pair].as_object().unwrap();
        assert_eq!(expected.len(), 8);
        for (name, value) in expected {
            let measure = Comparison::from_str(name, false).unwrap();
            assert_close(name, measure.compare(12, &models[0], &models[other]), value.as_f64().unwrap());
        }
    }
}

/// The two small sets of features of `facts`, by their squared Euclidean distances; values by pure Python.
#[test]
fn measures_have_their_closed_form_values() {
    let (x, y) = ([18., 11., 29., 9., 29., 30.], [2., 2., 9., 4., 5., 5.]);
    for (measure, expected) in [
        (Comparison::Pearson, 0.6671672217881509),
        (Comparison::Spearman, 0.6717166132798487),
        (Comparison::RhoA, 0.6428571428571429),
        (Comparison::KendallTauA, 0.4),
        (Comparison::KendallTauB, 0.4447495899966607),
        (Comparison::Cosine, 0.9364983197184896),
        (Comparison::WhitenedCosine, 0.8077051799795572),
        (Comparison::WhitenedCorrelation, 0.4755044770947595),
        (Comparison::Cka, 0.8077051799795572),
        (Comparison::CkaUnbiased, -0.6546536707079772),
    ] {
        assert_close(measure.name(), measure.compare(4, &x, &y), expected);
    }
}

#[test]
fn noise_ceilings_equal_rsatoolbox() {
    let golden = golden();
    let subjects = rows(&golden["subjects"]);
    for (name, bounds) in golden["ceilings"].as_object().unwrap() {
        let ceiling = ceiling(Comparison::from_str(name, false).unwrap(), 12, &subjects).unwrap();
        assert_close(name, ceiling.lower, bounds[0].as_f64().unwrap());
        assert_close(name, ceiling.upper, bounds[1].as_f64().unwrap());
    }
}
