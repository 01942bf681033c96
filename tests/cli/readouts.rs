//! What is stored of an activation.

use crate::assert_output;
use crate::lab::Lab;
use thingsvision::npy;

const EXTRACT: &str = "extract --model alexnet --weights random --images images";

#[test]
fn readouts_are_what_numpy_would_make_of_the_activations() {
    let lab = Lab::new();
    for readout in ["none", "flatten", "mean", "max"] {
        lab.succeed(&format!("{EXTRACT} --layer features.5 --rdm none --readout {readout} --out {readout}"));
    }
    let read = |readout: &str| npy::read(&lab.path(&format!("{readout}/alexnet.random-0/features.5.npy"))).unwrap();
    let whole = read("none");
    assert_eq!(read("flatten").shape(), [5, 192 * 13 * 13]);
    assert_eq!(read("flatten").into_iter().collect::<Vec<_>>(), whole.clone().into_iter().collect::<Vec<_>>());
    let (mean, max) = (read("mean"), read("max"));
    for ((image, channel), map) in
        (0..5).flat_map(|n| (0..192).map(move |c| (n, c))).map(|at| (at, whole.slice(ndarray::s![at.0, at.1, .., ..])))
    {
        assert!((mean[[image, channel]] - map.mean().unwrap()).abs() < 1e-6);
        assert_eq!(max[[image, channel]], map.iter().copied().fold(f64::MIN, f64::max));
    }
}

#[test]
fn float16_is_float32_rounded() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --dtype f16 --out half"));
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let read = |out: &str| npy::read(&lab.path(&format!("{out}/alexnet.random-0/classifier.5.npy"))).unwrap();
    for (half, whole) in read("half").into_iter().zip(read("whole")) {
        assert_eq!(half, half::f16::from_f64(whole).to_f64());
    }
}

#[test]
fn token_readouts_are_what_numpy_would_make_of_the_tokens() {
    let lab = Lab::new();
    let extract = "extract --model clip-vit --weights random --images images/a --rdm none --layer visual.ln_pre";
    for readout in ["none", "cls", "patches", "cls+patches"] {
        lab.succeed(&format!("{extract} --readout {readout} --out {readout}"));
    }
    let read = |readout: &str| npy::read(&lab.path(&format!("{readout}/clip-vit.random-0/visual.ln_pre.npy"))).unwrap();
    let (tokens, cls, patches, both) = (read("none"), read("cls"), read("patches"), read("cls+patches"));
    assert_eq!(tokens.shape(), [2, 50, 768]);
    for (i, d) in (0..2).flat_map(|i| (0..768).map(move |d| (i, d))) {
        let mean = (1..50).map(|token| tokens[[i, token, d]]).sum::<f64>() / 49.0;
        assert_eq!(cls[[i, d]], tokens[[i, 0, d]]);
        assert_eq!(both[[i, d]], tokens[[i, 0, d]]);
        assert!((both[[i, 768 + d]] - mean).abs() < 1e-6);
        assert!((patches[[i, d]] - mean).abs() < 1e-6);
    }
}

#[test]
fn the_default_of_a_vision_transformer_is_its_class_token() {
    let lab = Lab::new();
    lab.succeed("extract --model vit-b-32 --weights random --images images/a --rdm none");
    assert_eq!(npy::read(&lab.path("activations/vit-b-32.random-0/encoder.ln.npy")).unwrap().shape(), [2, 768]);
}

#[test]
fn readouts_that_do_not_fit_are_refused_with_those_that_do() {
    let lab = Lab::new();
    let extract = "extract --model clip-vit --weights random --images images";
    assert_output!(lab.fail(&format!("{extract} --layer visual.conv1 --readout cls")), @"
    error: `visual.conv1` gives no tokens: its shape is [768, 7, 7]

    hint: readouts that fit: none, flatten, mean or max; give layers of different kinds runs of their own
    ");
    assert_output!(lab.fail(&format!("{extract} --layer visual --readout cls")), @"
    error: `visual` gives no tokens: its shape is [512]

    hint: readouts that fit: none or flatten; give layers of different kinds runs of their own
    ");
    assert_output!(lab.fail(&format!("{extract} --layer visual.ln_pre --readout max")), @"
    error: `visual.ln_pre` gives no picture to take a mean or maximum over: its shape is [50, 768]

    hint: readouts that fit: none, flatten, cls, patches or cls+patches; give layers of different kinds runs of their own
    ");
}

#[test]
fn a_readout_that_pools_leaves_vectors_as_they_are() {
    let lab = Lab::new();
    let extract =
        "extract --model alexnet --weights random --images images/a --rdm none --layer features.12 --layer classifier.5";
    let said = lab.succeed(&format!("{extract} --layer classifier.6 --readout mean --out mean"));
    assert!(said.stderr.contains("2 layers are vectors and stay as they are, among them `classifier.5`\n"), "{said}");
    lab.succeed(&format!("{extract} --readout none --out none"));
    let read = |file: &str| npy::read(&lab.path(&format!("{file}.npy"))).unwrap();
    assert_eq!(read("mean/alexnet.random-0/classifier.5"), read("none/alexnet.random-0/classifier.5"));
    assert_eq!(read("mean/alexnet.random-0/features.12").shape(), [2, 256]);
    let said = lab.succeed(&format!("{extract} --readout max --out max"));
    assert!(said.stderr.contains("`classifier.5` is a vector and stays as it is\n"), "{said}");
}
