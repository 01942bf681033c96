//! Comparisons of RDMs and noise ceilings against SciPy and rsatoolbox, and values computed by hand.

use crate::golden::{golden, rows, vector};
use clap::ValueEnum;
use thingsvision::ranks::ranks;
use thingsvision::rsa::{Comparison, benjamini_hochberg, ceiling, holm, kendall, pearson};

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
fn pearson_does_not_depend_on_units() {
    let (x, y) = ([1., 2., 2., 3., 4., 5.], [1., 3., 2., 2., 5., 4.]);
    for unit in [1.0, 1e160, 1e-170] {
        let r = pearson(&x.map(|x| x * unit), &y);
        assert!((r - 0.8153846153846154).abs() < 1e-14, "{unit}: {r}");
    }
    assert!(pearson(&[1.0; 4], &[1., 2., 3., 4.]).is_nan());
}

#[test]
fn pearson_survives_a_large_common_offset() {
    let x = [1e9 + 1., 1e9 + 2., 1e9 + 3., 1e9 + 5.];
    let y = [2., 4., 6., 10.];
    assert!((pearson(&x, &y) - 1.0).abs() < 1e-12);
}

/// `scipy.stats.rankdata`.
#[test]
fn ties_share_their_mean_rank() {
    assert_eq!(ranks(&[1., 2., 2., 3., 4., 5.]), [1., 2.5, 2.5, 4., 5., 6.]);
    assert_eq!(ranks(&[0.0, -0.0, -1e300, 1e-300, -2., 0.0]), [4., 4., 1., 6., 2., 4.]);
    assert_eq!(ranks(&[]), [0.0; 0]);
}

/// `scipy.stats.kendalltau`, and τ-a by hand.
#[test]
fn kendall_has_golden_values() {
    let tau = kendall(&[1., 2., 2., 3., 4., 5.], &[1., 3., 2., 2., 5., 4.]);
    assert!((tau.tau_a() - 0.6).abs() < 1e-15);
    assert!((tau.tau_b() - 0.6428571428571429).abs() < 1e-15);
    assert!(kendall(&[1.0; 5], &[1., 2., 3., 4., 5.]).tau_b().is_nan());
}

/// Both τ by the definition, pair by pair.
fn slow_taus(x: &[f64], y: &[f64]) -> [f64; 2] {
    let (mut difference, mut all, mut tied) = (0.0, 0.0, [0.0, 0.0]);
    for i in 0..x.len() {
        for j in 0..i {
            let sign = |values: &[f64]| values[i].partial_cmp(&values[j]).unwrap() as i32 as f64;
            difference += sign(x) * sign(y);
            all += 1.0;
            tied = [tied[0] + f64::from(sign(x) == 0.0), tied[1] + f64::from(sign(y) == 0.0)];
        }
    }
    [difference / all, difference / ((all - tied[0]) * (all - tied[1])).sqrt()]
}

#[test]
fn counting_equals_the_definition_of_kendall() {
    for (count, values) in [(7, 3), (65, 9), (300, 1000), (4500, 700)] {
        let x: Vec<f64> = (0..count).map(|i| f64::from(i * 7919 % 4111 % values)).collect();
        let y: Vec<f64> = (0..count).map(|i| f64::from((i * 104729 + i * i) % 3571 % values)).collect();
        let tau = kendall(&x, &y);
        let [a, b] = slow_taus(&x, &y);
        assert!((tau.tau_a() - a).abs() < 1e-13 && (tau.tau_b() - b).abs() < 1e-13, "{count}: {tau:?} {a} {b}");
    }
}

/// `p.adjust` of R.
#[test]
fn corrections_equal_r() {
    let close = |a: &[f64], b: &[f64]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15), "{a:?} {b:?}");
    let p = [0.01, 0.04, 0.03, 0.005, 0.5];
    close(&holm(&p), &[0.04, 0.09, 0.09, 0.025, 0.5]);
    close(&benjamini_hochberg(&p), &[0.025, 0.05, 0.05, 0.025, 0.5]);
    // What was not tested does not count.
    assert!(holm(&[f64::NAN, 0.02])[0].is_nan());
    assert_eq!(holm(&[f64::NAN, 0.02])[1], 0.02);
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

#[test]
fn one_subject_has_no_ceiling_and_equal_ones_have_one_of_one() {
    let subject = vec![1., 2., 3., 4., 6., 5.];
    assert_eq!(ceiling(Comparison::Pearson, 4, std::slice::from_ref(&subject)), None);
    for measure in [Comparison::Pearson, Comparison::Spearman, Comparison::Cosine, Comparison::WhitenedCosine] {
        let scaled: Vec<f64> = subject.iter().map(|value| value * 3.0).collect();
        let ceiling = ceiling(measure, 4, &[subject.clone(), scaled]).unwrap();
        assert!((ceiling.lower - 1.0).abs() < 1e-14 && (ceiling.upper - 1.0).abs() < 1e-14, "{measure:?} {ceiling:?}");
    }
}

/// No RDM may score higher than the upper bound: not the subjects' own, nor their mean, nor mixtures.
#[test]
fn nothing_beats_the_upper_bound() {
    let subject = |s: u64| -> Vec<f64> { (0..45u64).map(|k| ((k * 37 + s * k * k * 11 + s * 5) % 101) as f64 + 1.0).collect() };
    let subjects: Vec<Vec<f64>> = (1..6).map(subject).map(|one| one.iter().map(|v| v * one[0]).collect()).collect();
    use Comparison::{CkaUnbiased, Cosine, Pearson, WhitenedCorrelation, WhitenedCosine};
    for measure in [Pearson, Cosine, WhitenedCosine, WhitenedCorrelation, CkaUnbiased] {
        let bound = ceiling(measure, 10, &subjects).unwrap().upper;
        let mean: Vec<f64> = (0..45).map(|k| subjects.iter().map(|subject| subject[k]).sum()).collect();
        for model in subjects.iter().chain([&mean]) {
            let score = subjects.iter().map(|subject| measure.compare(10, subject, model)).sum::<f64>() / 5.0;
            assert!(score <= bound + 1e-12, "{measure:?}: {score} > {bound}");
        }
    }
}
