//! `thingsvision rdm --from-triplets`

use crate::assert_output;
use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use std::path::Path;
use thingsvision::npy;

/// The judgements of the golden file, and what NumPy makes of them.
fn golden() -> (Vec<Vec<i64>>, Vec<Option<f64>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rsa/golden.json");
    let golden: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let rows = golden["triplets"]["rows"].as_array().unwrap();
    let row = |row: &serde_json::Value| row.as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect();
    let expected = golden["triplets"]["expected"].as_array().unwrap();
    (rows.iter().map(row).collect(), expected.iter().map(serde_json::Value::as_f64).collect())
}

fn text(rows: &[Vec<i64>], separator: &str, cell: impl Fn(i64) -> String) -> String {
    let line = |row: &Vec<i64>| row.iter().map(|&number| cell(number)).collect::<Vec<_>>().join(separator) + "\n";
    rows.iter().map(line).collect()
}

fn is_expected(lab: &Lab, expected: &[Option<f64>]) -> bool {
    let pairs = npy::read(&lab.path("pairs.npy")).unwrap();
    let same =
        |(pair, expected): (&f64, &Option<f64>)| expected.map_or(pair.is_nan(), |expected| (pair - expected).abs() < 1e-15);
    pairs.len() == expected.len() && pairs.iter().zip(expected).all(same)
}

#[test]
fn the_rdm_of_judgements_equals_numpy_in_every_form() {
    let lab = Lab::new();
    let (rows, expected) = golden();
    let plain = |number: i64| number.to_string();
    fs::write(lab.path("spaces.txt"), text(&rows, " ", plain)).unwrap();
    fs::write(lab.path("savetxt.txt"), text(&rows, " ", |number| format!("{number}.000000000000000000e+00"))).unwrap();
    fs::write(lab.path("commas.csv"), format!("\u{feff}a,b,c\n{}\n", text(&rows, ", ", plain))).unwrap();
    let array = Array2::from_shape_fn((rows.len(), 3), |(i, j)| rows[i][j]);
    npy::write(&lab.path("array.npy"), &array.into_dyn()).unwrap();
    for file in ["spaces.txt", "savetxt.txt", "commas.csv", "array.npy"] {
        lab.succeed(&format!("rdm --from-triplets {file} --condensed --out pairs.npy"));
        assert!(is_expected(&lab, &expected), "{file}");
        assert!(!lab.path("pairs.ids.txt").exists());
    }
    let name = |number: i64| format!("stimulus {number}");
    fs::write(lab.path("names.tsv"), format!("object1\tobject2\todd\n{}", text(&rows, "\t", name))).unwrap();
    fs::write(lab.path("ids.txt"), (0..10).map(|number| name(number) + "\n").collect::<String>()).unwrap();
    for file in ["names.tsv", "spaces.txt"] {
        lab.succeed(&format!("rdm --from-triplets {file} --ids ids.txt --condensed --out pairs.npy"));
        assert!(is_expected(&lab, &expected), "{file}");
        assert_eq!(lab.bytes("pairs.ids.txt"), lab.bytes("ids.txt"));
    }
    assert_output!(lab.succeed("rdm --from-triplets names.tsv"), @"
    exit Some(0)
    --- stdout
    names.rdm.npy
    --- stderr
    took the first line for a header: `object1	object2	odd`
    RDM of 10 stimuli from 30 triplets; 7 of 45 pairs were never shown in one
    ");
    let square = npy::read(&lab.path("names.rdm.npy")).unwrap();
    assert_eq!(square.shape(), [10, 10]);
    // The first judgement has the first three names, of which the first two were kept together.
    let first = &rows[0];
    assert_eq!(fs::read_to_string(lab.path("names.rdm.ids.txt")).unwrap().lines().next(), Some(&*name(first[0])));
    lab.succeed("rdm --from-triplets spaces.txt --out plain.npy");
    let plain = npy::read(&lab.path("plain.npy")).unwrap();
    assert_eq!(square[[0, 1]], plain[[first[0] as usize, first[1] as usize]]);
}

#[test]
fn more_ids_than_judged_stimuli_are_stimuli_without_data() {
    let lab = Lab::new();
    fs::write(lab.path("t.txt"), "0 1 2\n1 2 3\n0 3 1\n").unwrap();
    fs::write(lab.path("ids.txt"), "a\nb\nc\nd\ne\n").unwrap();
    assert_output!(lab.succeed("rdm --from-triplets t.txt --ids ids.txt"), @"
    exit Some(0)
    --- stdout
    t.rdm.npy
    --- stderr
    RDM of 5 stimuli from 3 triplets; 4 of 10 pairs were never shown in one
    ");
    assert_output!(lab.succeed("rdm check t.rdm.npy"), @"
    exit Some(0)
    --- stdout
    look   stimuli      5, 10 pairs
    fine   order        named, from `a` to `e`
    fine   values       0.0000 to 1.0000
    look   missing      NaN in 4 of 10 pairs; no data at all for `e`
    look   duplicates   a dissimilarity of 0 in 1 of 10 pairs, the first `a` and `d`
    look   ties         83.3 % of the pairs share their value with another; compare by rho-a or kendall-tau-a, which do not favour ties
    --- stderr
    ");
}

#[test]
fn numbers_from_1_are_pointed_out() {
    let lab = Lab::new();
    fs::write(lab.path("t.txt"), "1 2 3\n2 3 4\n4 1 2\n").unwrap();
    let said = lab.succeed("rdm --from-triplets t.txt").stderr;
    assert!(said.contains("no triplet has stimulus 0: if they are numbered from 1"), "{said}");
}

/// A first line of such names is a header only if they are no stimuli.
#[test]
fn stimuli_may_be_called_like_columns() {
    let lab = Lab::new();
    fs::write(lab.path("t.txt"), "image1 image2 image3\nimage4 image2 image1\nimage3 image1 image4\n").unwrap();
    let said = lab.succeed("rdm --from-triplets t.txt").stderr;
    assert!(said.starts_with("RDM of 4 stimuli from 3 triplets; 0 of 6 pairs"), "{said}");
    fs::write(lab.path("t.txt"), "image1 image2 image3\ndog cat fog\ncat fog dog\nfog log cat\n").unwrap();
    let said = lab.succeed("rdm --from-triplets t.txt").stderr;
    assert!(said.starts_with("took the first line for a header: `image1 image2 image3`\nRDM of 4 stimuli from 3"), "{said}");
}

#[test]
fn judgements_that_are_none_are_refused() {
    let lab = Lab::new();
    let fail = |lines: &str, more: &str| {
        fs::write(lab.path("t.txt"), lines).unwrap();
        lab.fail(&format!("rdm --from-triplets t.txt{more}"))
    };
    fs::write(lab.path("ids.txt"), "dog\ncat\nfog\n").unwrap();
    assert_output!(fail("0 1 2\n\n3 1 3\n", ""), @"
    error: line 3 of `t.txt` has `3` twice

    hint: a judgement is of three different stimuli; leave out the others
    ");
    assert_output!(fail("0 1 2\n0 1\n", ""), @"
    error: line 2 of `t.txt` has 2 cells, not three: `0 1`

    hint: give three stimuli a line, the odd one last: `12 407 33`, or `dog,cat,kettle`
    ");
    assert_output!(fail("0 1 2\n0 1.5 2\n", ""), @"
    error: line 2 of `t.txt` has `1.5` where a whole number from 0 is expected

    hint: number the stimuli from 0, or write names in every line
    ");
    assert_output!(fail("0 1 2\n0 -1 2\n", ""), @"
    error: line 2 of `t.txt` has `-1` where a whole number from 0 is expected

    hint: number the stimuli from 0, or write names in every line
    ");
    assert_output!(fail("0 1 2\n0 1 3\n", " --ids ids.txt"), @"
    error: line 2 of `t.txt` has the number 3, but the IDs name 3 stimuli, counted from 0

    hint: number the stimuli from 0 in the order of the IDs
    ");
    assert_output!(fail("dog,cat,fog\ndog,fog,log\n", " --ids ids.txt"), @"
    error: line 2 of `t.txt` has `log`, which is none of the stimuli

    hint: names must be written as in the IDs; a first line such as `object1,object2,odd` names the columns
    ");
    assert!(fail("-1 0 2\n0 1 2\n", "").starts_with("error: line 1 of `t.txt` has `-1` where a whole number from 0 is expected"));
    assert_output!(fail("dog cat fog\ndog 1 fog\n", ""), @"
    error: line 2 of `t.txt` has the number `1` among names

    hint: write names in every line, or numbers; of names that are numbers give the --ids
    ");
    assert_output!(fail("0 1 4000000000\n", ""), @"
    error: line 1 of `t.txt` makes more stimuli than 65536: `4000000000`

    hint: number the stimuli from 0
    ");
    assert_output!(fail("object1,object2,odd\n", ""), @"
    error: `t.txt` has no triplets

    hint: give three stimuli a line, the odd one last: `12 407 33`, or `dog,cat,kettle`
    ");
    npy::write(&lab.path("wide.npy"), &Array2::<f64>::zeros((4, 2)).into_dyn()).unwrap();
    assert_output!(lab.fail("rdm --from-triplets wide.npy"), @"
    error: `wide.npy` has the shape [4, 2], not [triplets, 3]

    hint: give three stimuli a line, the odd one last: `12 407 33`, or `dog,cat,kettle`
    ");
    npy::write(&lab.path("half.npy"), &ndarray::arr2(&[[0.0, 1.0, 2.0], [0.0, 1.0, 2.5]]).into_dyn()).unwrap();
    assert_output!(lab.fail("rdm --from-triplets half.npy"), @"
    error: row 1 of `half.npy`, counting from 0, has `2.5` where a whole number from 0 is expected

    hint: number the stimuli from 0, or write names in every line
    ");
    assert_eq!(lab.run("rdm --from-triplets t.txt --metric cosine").code, Some(2));
    assert!(!lab.path("t.rdm.npy").exists());
}
