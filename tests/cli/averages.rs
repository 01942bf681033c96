//! `--average-by folder`: one row for each condition.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array2, Axis};
use std::fs;
use thingsvision::npy;

const EXTRACT: &str = "extract --model cornet-z --weights random --images images --batch-size 2";

fn rows(lab: &Lab, out: &str, layer: &str) -> Array2<f64> {
    let rows = npy::read(&lab.path(&format!("{out}/cornet-z.random-0/{layer}.npy"))).unwrap();
    let (n, d) = (rows.shape()[0], rows.len() / rows.shape()[0]);
    rows.into_shape_with_order((n, d)).unwrap()
}

#[test]
fn a_row_is_the_mean_over_the_images_of_a_folder() {
    let lab = Lab::new();
    let layers = "--layer V1 --layer decoder.avgpool";
    lab.succeed(&format!("{EXTRACT} {layers} --rdm none"));
    let said = lab.succeed(&format!("{EXTRACT} {layers} --average-by folder --out means"));
    assert!(said.stderr.contains("  rows      2 conditions, the mean of each folder\n"), "{said}");
    for layer in ["V1", "decoder.avgpool"] {
        let (images, means) = (rows(&lab, "activations", layer), rows(&lab, "means", layer));
        for (condition, images) in [images.select(Axis(0), &[0, 1]), images.select(Axis(0), &[2, 3, 4])].iter().enumerate() {
            let expected = images.mean_axis(Axis(0)).unwrap().mapv(|mean| f64::from(mean as f32));
            assert_eq!(means.row(condition), expected, "{layer}");
        }
        assert_eq!(npy::read(&lab.path(&format!("means/cornet-z.random-0/{layer}.rdm.npy"))).unwrap().shape(), [2, 2]);
    }
    let text = |file: &str| fs::read_to_string(lab.path(&format!("means/cornet-z.random-0/{file}"))).unwrap();
    assert_eq!(text("images.txt"), "a\nb\n");
    assert_output!(text("conditions.csv"), @"
    condition,image
    a,a/one.png
    a,a/two.png
    b,b/five.jpg
    b,b/four.png
    b,b/three.png
    ");
    let record: serde_json::Value = serde_json::from_str(&text("run.json")).unwrap();
    assert_eq!((&record["images"], &record["averaged"]), (&2.into(), &serde_json::json!({ "by": "folder", "images": 5 })));
}

#[test]
fn means_do_not_depend_on_the_number_of_workers() {
    let lab = Lab::new();
    // Conditions that come and go.
    fs::write(lab.path("mixed.txt"), "a/one.png\nb/five.jpg\na/two.png\nb/four.png\na/one.png\nb/three.png\nb/three.png\n")
        .unwrap();
    let extract = format!("{EXTRACT} --image-list mixed.txt --layer V2 --average-by folder --dtype f16");
    for (workers, out) in [(1, "one"), (4, "four")] {
        lab.succeed(&format!("{extract} --batch-size 1 --workers {workers} --out {out}").replace("--batch-size 2 ", ""));
    }
    assert_eq!(lab.bytes("one/cornet-z.random-0/V2.npy"), lab.bytes("four/cornet-z.random-0/V2.npy"));
}

#[test]
fn a_failure_while_others_wait_for_their_turn_is_told() {
    let lab = Lab::new();
    // Its header is sound.
    let png = lab.bytes("images/a/one.png");
    fs::write(lab.path("images/a/one.png"), &png[..png.len() / 2]).unwrap();
    let said = lab.fail(&format!("-q {EXTRACT} --average-by folder --workers 3"));
    assert!(said.contains("`images/a/one.png` is damaged"), "{said}");
    assert!(lab.names("activations").is_empty());
}

#[test]
fn images_without_a_folder_have_no_condition() {
    let lab = Lab::new();
    assert_output!(lab.fail(&EXTRACT.replace("--images images", "--images images/a --average-by folder")), @"
    error: `one.png` lies in no folder that could be its condition

    hint: to average by folder, the images of each condition must be files in a folder of their own
    ");
}

#[test]
fn rows_of_a_finished_run_are_averaged_into_an_rdm() {
    let lab = Lab::new();
    lab.copy_image("rgb-20x20.png", "images/c/six.png");
    lab.succeed(&format!("{EXTRACT} --layer V2 --rdm none"));
    lab.succeed(&format!("{EXTRACT} --layer V2 --average-by folder --out means"));
    let run = "activations/cornet-z.random-0";
    assert_eq!(lab.succeed(&format!("rdm {run}/V2.npy --average-by folder --out folders.npy")).stdout, "folders.npy\n");
    assert_eq!(fs::read_to_string(lab.path("folders.ids.txt")).unwrap(), "a\nb\nc\n");
    let (found, expected) =
        (npy::read(&lab.path("folders.npy")).unwrap(), npy::read(&lab.path("means/cornet-z.random-0/V2.rdm.npy")).unwrap());
    // The one averages float32 rows, the other rounds its means to float32.
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found} {expected}");

    fs::copy(lab.path(&format!("{run}/V2.npy")), lab.path("bare.npy")).unwrap();
    assert!(lab.fail("rdm bare.npy --average-by folder").contains("it is not known which images the rows of `bare.npy` are"));
}
