//! `--average-by`: one row for each condition, a folder or a value in a column of a list.

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

/// A list whose column `Concept` says which of the five images show what, and the command that averages by it.
fn concepts(lab: &Lab) -> String {
    let table = "image,n,Concept\na/one.png,1,red\nb/five.jpg,2,blue \nb/four.png,3,red\na/two.png,4,'=sky\nb/three.png,5,blue\n";
    fs::write(lab.path("concepts.csv"), table).unwrap();
    format!("{EXTRACT} --image-list concepts.csv --layer V2 --average-by concept")
}

#[test]
fn a_row_is_the_mean_over_the_images_that_a_column_calls_the_same() {
    let lab = Lab::new();
    let extract = concepts(&lab);
    lab.succeed(&format!("{EXTRACT} --layer V2 --rdm none"));
    let said = lab.succeed(&format!("{extract} --out means"));
    assert!(said.stderr.contains("  rows      3 conditions, the mean of each `Concept`\n"), "{said}");
    let (images, means) = (rows(&lab, "activations", "V2"), rows(&lab, "means", "V2"));
    // Images are in the order a/one, a/two, b/five, b/four, b/three.
    for (condition, images) in [&[0, 3][..], &[2, 4], &[1]].iter().map(|of| images.select(Axis(0), of)).enumerate() {
        let expected = images.mean_axis(Axis(0)).unwrap().mapv(|mean| f64::from(mean as f32));
        assert_eq!(means.row(condition), expected);
    }
    let text = |file: &str| fs::read_to_string(lab.path(&format!("means/cornet-z.random-0/{file}"))).unwrap();
    assert_eq!(text("images.txt"), "red\nblue\n=sky\n");
    assert_output!(text("conditions.csv"), @"
    condition,image
    red,a/one.png
    blue,b/five.jpg
    red,b/four.png
    '=sky,a/two.png
    blue,b/three.png
    ");
    let record: serde_json::Value = serde_json::from_str(&text("run.json")).unwrap();
    assert_eq!(record["averaged"], serde_json::json!({ "by": "Concept", "images": 5 }));
    assert_eq!(record["request"]["average_by"], "concept");
    let again = lab.succeed(&format!("{} --out means", extract.replace("by concept", "by CONCEPT")));
    assert!(again.stderr.contains("is there already"), "{again}");
}

#[test]
fn parts_of_a_run_by_a_column_are_one_and_another_table_is_another_run() {
    let lab = Lab::new();
    let extract = concepts(&lab);
    lab.succeed(&format!("{extract} --out whole"));
    lab.succeed(&format!("{extract} --out joined --join"));
    let shards: Vec<String> =
        (1..=3).map(|k| lab.succeed(&format!("{extract} --out parts --shard {k}/3")).stdout.trim().to_owned()).collect();
    lab.succeed(&format!("merge {}", shards.join(" ")));
    for file in ["V2.npy", "V2.rdm.npy", "images.txt", "conditions.csv"] {
        let whole = lab.bytes(&format!("whole/cornet-z.random-0/{file}"));
        assert_eq!(lab.bytes(&format!("joined/cornet-z.random-0/{file}")), whole, "{file}");
        assert_eq!(lab.bytes(&format!("parts/cornet-z.random-0/{file}")), whole, "{file}");
    }
    let said = lab.succeed("verify parts/cornet-z.random-0").stdout;
    assert!(said.contains("3 rows of every layer come out the same, to the bit"), "{said}");
    assert!(lab.succeed("resume whole/cornet-z.random-0").stderr.contains("is there already"));
    // The same images and conditions, of which two images have changed places.
    let table = fs::read_to_string(lab.path("concepts.csv")).unwrap();
    fs::write(lab.path("concepts.csv"), table.replace("3,red", "3,blue").replace("5,blue", "5,red")).unwrap();
    assert!(lab.fail(&format!("{extract} --out whole")).contains("conditions sha256: "));
    let conditions = lab.path("parts/cornet-z.random-0/conditions.csv");
    fs::write(&conditions, fs::read_to_string(&conditions).unwrap().replace("blue,b/three", "red,b/three")).unwrap();
    let said = lab.run("verify parts/cornet-z.random-0").stdout;
    assert!(said.contains("conditions.csv changed since the run") && said.contains("conditions sha256: "), "{said}");
}

#[test]
fn conditions_of_a_column_without_images_are_counted() {
    let lab = Lab::new();
    let extract = concepts(&lab);
    fs::write(lab.path("images/a/two.png"), "no image").unwrap();
    fs::write(lab.path("images/b/five.jpg"), "").unwrap();
    let said = lab.succeed(&format!("{extract} --skip-unreadable"));
    assert!(said.stderr.contains("no image can be read of 1 condition, among them `=sky`\n"), "{said}");
    assert_eq!(String::from_utf8(lab.bytes("activations/cornet-z.random-0/images.txt")).unwrap(), "red\nblue\n");
    assert_eq!(rows(&lab, "activations", "V2").nrows(), 2);
}

#[test]
fn what_is_no_column_is_refused() {
    let lab = Lab::new();
    concepts(&lab);
    let problem = |list: &str, by: &str| lab.fail(&format!("{EXTRACT} {list} --average-by {by}"));
    assert_output!(problem("--image-list concepts.csv", "concepts"), @"
    error: `concepts.csv` has no column `concepts`; its columns are Concept, image, n

    hint: `--average-by` takes one of them, or `folder` for the folders that the images lie in
    ");
    assert_output!(problem("", "foldr"), @"
    error: images are to be averaged by the column `foldr`, and no list names them

    hint: did you mean `folder`? `--average-by` takes `folder`, or a column of the .csv or .tsv that `--image-list` names
    ");
    fs::write(lab.path("list.txt"), "a/one.png\n").unwrap();
    assert!(problem("--image-list list.txt", "concept").contains("`list.txt` has no header, so no column `concept`"));
    fs::write(lab.path("list.csv"), "path,Folder,c\na/one.png,x,\nb/four.png,y,n/a\n").unwrap();
    assert_output!(problem("--image-list list.csv", "folder"), @"
    error: `folder` can be meant in two ways: the folder of an image, and the column `Folder` of `list.csv`

    hint: say `column:folder` for the column, or call it something else for the folder
    ");
    assert_output!(problem("--image-list list.csv", "c"), @"
    error: line 2 of `list.csv` says nothing in `c` (the first of 2 such lines)

    hint: fill it in, for its image would have no row; or take the line out of the list
    ");
    lab.succeed(&format!("{EXTRACT} --image-list list.csv --average-by column:folder --layer V2 --rdm none"));
    let record: serde_json::Value = serde_json::from_slice(&lab.bytes("activations/cornet-z.random-0/run.json")).unwrap();
    assert_eq!((&record["averaged"]["by"], &record["request"]["average_by"]), (&"column:Folder".into(), &"column:folder".into()));
    assert!(lab.succeed("resume activations/cornet-z.random-0").stderr.contains("is there already"));
    assert_output!(lab.fail("rdm x.npy --average-by concept"), @"
    error: of rows their IDs alone are known here, and no column `concept`

    hint: `--average-by folder` goes by the IDs; by a column images are averaged as they are extracted, `thingsvision extract --image-list FILE --average-by concept`, or rows with --conditions
    ");
}
