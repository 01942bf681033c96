//! `thingsvision rdm --from-ratings`

use crate::assert_output;
use crate::lab::Lab;
use std::fs;
use std::path::Path;
use std::process::Command;
use thingsvision::npy;

/// Of three subjects, one of whom rated nothing; with a repeat in the other order and one of a stimulus with itself.
const LONG: &str = "subject,trial,image_1,image_2,similarity,rt\n\
                    anna,1,face,hand,6,800\nanna,2,house,tool,4,700\nanna,3,hand,face,7,500\nanna,4,face,house,1,650\n\n\
                    anna,5,face,face,7,400\nanna,6,tool,hand,NA,400\n\
                    bert,1,house,face,2,900\nbert,2,tool,face,3,900\nbert,3,hand,house,2,900\ncarl,1,hand,house,,900\n";

fn golden() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ratings.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The rows of the golden file as a table.
fn table(golden: &serde_json::Value, separator: &str) -> String {
    let cell = |cell: &serde_json::Value| cell.as_str().map_or_else(|| cell.to_string().replace("null", ""), str::to_owned);
    let line = |row: &serde_json::Value| row.as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join(separator) + "\n";
    golden["rows"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn the_rdms_of_ratings_equal_pandas() {
    let (lab, golden) = (Lab::new(), golden());
    let names = golden["stimuli"].as_array().unwrap().iter().map(|name| format!("{}\n", name.as_str().unwrap()));
    fs::write(lab.path("ids.txt"), names.collect::<String>()).unwrap();
    fs::write(lab.path("r.csv"), format!("\u{feff}worker,image_1,image_2,rating\n{}", table(&golden, ","))).unwrap();
    fs::write(lab.path("r.tsv"), format!("Worker ID\t\"left\"\tright\tScore\n{}", table(&golden, "\t"))).unwrap();
    fs::write(lab.path("r.txt"), format!("sep=;\nwho;x;y;z\n{}", table(&golden, ";"))).unwrap();
    for (flags, expected) in [
        ("r.csv --scale similarity", "similarity"),
        ("r.tsv --scale similarity --rating-range -2.5,10", "of_ten"),
        ("r.txt --scale dissimilarity --rating-columns Who,y,x,z", "dissimilarity"),
    ] {
        lab.succeed(&format!("rdm --from-ratings {flags} --ids ids.txt --out rdms.npy"));
        let (rdms, expected) = (npy::read(&lab.path("rdms.npy")).unwrap(), &golden[expected]);
        assert_eq!(rdms.shape(), [3, 6, 6]);
        for (value, expected) in rdms.iter().zip(expected["rdms"].as_array().unwrap()) {
            assert!(expected.as_f64().map_or(value.is_nan(), |expected| (value - expected).abs() < 1e-14), "{flags}");
        }
        assert_eq!(lab.bytes("rdms.ids.txt"), lab.bytes("ids.txt"));
        check_counts(&fs::read_to_string(lab.path("rdms.counts.csv")).unwrap(), &golden, expected);
    }
}

/// A line of each subject and pair that was asked, with the count and the dissimilarity of pandas.
fn check_counts(counts: &str, golden: &serde_json::Value, expected: &serde_json::Value) {
    let place = |names: &serde_json::Value, name: &str| names.as_array().unwrap().iter().position(|other| other == name).unwrap();
    let mut lines = counts.lines();
    assert_eq!(lines.next(), Some("subject,stimulus_1,stimulus_2,ratings,mean_rating,dissimilarity"));
    let mut asked = 0;
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let [i, j] = [1, 2].map(|column| place(&golden["stimuli"], cells[column]));
        let at = (place(&expected["subjects"], cells[0]) * 6 + i) * 6 + j;
        assert_eq!(cells[3], expected["counts"][at].to_string(), "{line}");
        assert!((cells[5].parse::<f64>().unwrap() - expected["rdms"][at].as_f64().unwrap()).abs() < 1e-14, "{line}");
        asked += 2;
    }
    assert_eq!(asked, expected["counts"].as_array().unwrap().iter().filter(|count| **count != 0).count());
}

#[test]
fn ratings_of_several_subjects_are_a_target_of_rsa() {
    let lab = Lab::new();
    fs::write(lab.path("long.csv"), LONG).unwrap();
    assert_output!(lab.succeed("rdm --from-ratings long.csv --scale similarity"), @"
    exit Some(0)
    --- stdout
    long.rdm.npy
    --- stderr
    took the columns `subject`, `image_1`, `image_2`, `similarity`
    RDMs of 4 stimuli by 2 subjects, from 7 ratings; 6 of 12 pairs were never asked
    averaged repeats: 1 to 2 ratings of a pair by a subject
    dissimilarity = 7 − rating, the largest in the table; --rating-range says another
    left out 1 rating of a stimulus with itself
    2 lines without a rating
    left out who rated no two stimuli: `carl`
    how often each pair was rated: `long.rdm.counts.csv`
    ");
    assert_output!(fs::read_to_string(lab.path("long.rdm.counts.csv")).unwrap(), @"
    subject,stimulus_1,stimulus_2,ratings,mean_rating,dissimilarity
    anna,face,hand,2,6.5,0.5
    anna,face,house,1,1,6
    anna,house,tool,1,4,3
    bert,face,house,1,2,5
    bert,face,tool,1,3,4
    bert,hand,house,1,2,5
    ");
    assert_eq!(lab.bytes("long.rdm.ids.txt"), b"face\nhand\nhouse\ntool\n");
    let rdms = npy::read(&lab.path("long.rdm.npy")).unwrap();
    assert_eq!((rdms.shape(), rdms[[0, 1, 0]], rdms[[1, 0, 2]]), (&[2, 4, 4][..], 0.5, 5.0));
    assert!(rdms[[0, 1, 2]].is_nan());
    lab.succeed("rdm --from-ratings long.csv --scale similarity --condensed --out pairs.npy");
    assert_eq!(npy::read(&lab.path("pairs.npy")).unwrap().shape(), [2, 6]);
    let golden = golden();
    fs::write(lab.path("r.csv"), format!("worker,image_1,image_2,rating\n{}", table(&golden, ","))).unwrap();
    lab.succeed("rdm --from-ratings r.csv --scale similarity --out behavior.npy");
    fs::write(lab.path("model.csv"), "name,x,y\nhand,1,0\ndog,5,2\ncat,4,1\nhouse,0,9\ntool,7,7\nface,2,1\n").unwrap();
    lab.succeed("rdm model.csv --metric euclidean --out model.npy");
    let said = lab.succeed("rsa --behavior behavior.npy model.npy");
    let scores: serde_json::Value = serde_json::from_slice(&lab.bytes("rsa.json")).unwrap();
    assert_eq!((&scores[0]["subjects"], &scores[0]["stimuli"]), (&3.into(), &6.into()), "{said}");
}

#[test]
fn a_table_without_subjects_is_of_one() {
    let lab = Lab::new();
    fs::write(lab.path("one.csv"), "word1,word2,Dissimilarity\n=a,b,1.5\nb,c,2\n=a,\"c \u{1b}[1m\",3\n").unwrap();
    fs::write(lab.path("ids.txt"), "b\nc \u{1b}[1m\n=a\nc\nd\n").unwrap();
    let said = lab.succeed("rdm --from-ratings one.csv --scale dissimilarity --ids ids.txt").stderr;
    assert!(said.contains("RDM of 5 stimuli by 1 subject, from 3 ratings; 7 of 10 pairs were never asked"), "{said}");
    let rdm = npy::read(&lab.path("one.rdm.npy")).unwrap();
    assert_eq!((rdm.shape(), rdm[[0, 2]], rdm[[3, 0]], rdm[[2, 1]]), (&[5, 5][..], 1.5, 2.0, 3.0));
    // Spreadsheets compute what begins like a formula.
    let counts = fs::read_to_string(lab.path("one.rdm.counts.csv")).unwrap();
    assert!(counts.contains("\n,b,'=a,1,1.5,1.5\n"), "{counts}");
}

#[test]
fn columns_that_may_be_others_are_not_guessed() {
    let lab = Lab::new();
    let fail = |header: &str, flags: &str| {
        fs::write(lab.path("t.csv"), format!("{header}\ns1,a,b,3,4\ns1,a,c,3,4\n")).unwrap();
        lab.fail(&format!("rdm --from-ratings t.csv {flags}"))
    };
    assert_output!(fail("subject,image1,image2,rating,response", "--scale similarity"), @"
    error: `t.csv` has several columns of ratings: `rating`, `response`

    hint: say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line
    ");
    assert_output!(fail("subject,image1,image2,x,y", "--scale similarity"), @"
    error: `t.csv` has no column of ratings; it has `subject`, `image1`, `image2`, `x`, `y`

    hint: say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line
    ");
    assert_output!(fail("subject,image1,b,rating,y", "--scale similarity"), @"
    error: `t.csv` has no column of the first and second stimulus; it has `subject`, `image1`, `b`, `rating`, `y`

    hint: say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line
    ");
    assert_output!(fail("s,image1,image2,rating,y", "--scale similarity"), @"
    error: `t.csv` has no column of subjects; it has `s`, `image1`, `image2`, `rating`, `y`

    hint: say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line
    ");
    assert_output!(fail("subject,image1,image2,rating,rt", "--scale similarity --rating-columns subject,image1,image3,rating"), @"
    error: `t.csv` has no column `image3`; it has `subject`, `image1`, `image2`, `rating`, `rt`

    hint: say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line
    ");
    assert_output!(fail("subject,image1,image2,rating,rt", "--scale similarity --rating-columns image1,image1,rating"), @"
    error: --rating-columns names `image1` twice

    hint: say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line
    ");
    assert_output!(fail("subject,image1,image2,rating,rt", "--scale similarity --rating-columns image1,image2"), @"
    error: --rating-columns names 2 columns, not three or four

    hint: say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line
    ");
    assert_output!(fail("subject,image1,image2,similarity,rt", "--scale dissimilarity"), @"
    error: the column `similarity` contradicts `--scale dissimilarity`

    hint: look what a large number means, and give the other --scale, or the column another name
    ");
    assert_output!(fail("subject,image1,image2,dissim,rt", "--scale similarity"), @"
    error: the column `dissim` contradicts `--scale similarity`

    hint: look what a large number means, and give the other --scale, or the column another name
    ");
    assert_output!(fail("subject,image1,image2,rating,rt", ""), @"
    error: it is not known what a large rating means: that two stimuli are alike, or that they differ

    hint: say which: --scale similarity, or --scale dissimilarity
    ");
}

#[test]
fn ratings_that_are_none_are_refused() {
    let lab = Lab::new();
    let fail = |lines: &str, flags: &str| {
        fs::write(lab.path("t.csv"), format!("subject,image1,image2,rating\n{lines}")).unwrap();
        lab.fail(&format!("rdm --from-ratings t.csv --scale similarity {flags}"))
    };
    fs::write(lab.path("ids.txt"), "a\nb\n").unwrap();
    assert_output!(fail("s,a,b,1\n\n\ns,a,b,many\n", ""), @"
    error: line 5 of `t.csv` has `many` where a rating is expected

    hint: a rating is a number, with a point in decimals; leave the cell empty if there is none
    ");
    assert!(fail("s,a,b,inf\n", "").starts_with("error: line 2 of `t.csv` has `inf` where a rating is expected"));
    assert!(fail("s,a,b,\"3,5\"\n", "").starts_with("error: line 2 of `t.csv` has `3,5` where a rating is expected"));
    assert_output!(fail("s,a,b,1\ns,a,b,8\n", "--rating-range 1,7"), @"
    error: line 3 of `t.csv` has the rating 8, and the --rating-range is 1 to 7

    hint: correct the rating or the range; leave a cell empty if there is no rating
    ");
    assert_output!(fail("s,a,b,1\ns,a,c,8\n", "--ids ids.txt"), @"
    error: line 3 of `t.csv` has `c`, which is none of the stimuli

    hint: names must be written as in the IDs; leave out --ids to take the stimuli that the table has
    ");
    assert_output!(fail("s,a,b,1\n,a,b,1\n", ""), @"
    error: line 3 of `t.csv` names no subject

    hint: fill in the cell, or remove the line
    ");
    assert_output!(fail("s,a,b,1\ns,a,\"\",1\n", ""), @"
    error: line 3 of `t.csv` names no stimulus

    hint: fill in the cell, or remove the line
    ");
    assert_output!(fail("s,a,b,1\ns,a,b\n", ""), @"
    error: line 3 of `t.csv` has 3 cells, the first has 4

    hint: write as many cells in every line, and no comments
    ");
    assert_output!(fail("s,\"a\nb\",b,1\n", ""), @"
    error: line 2 of `t.csv` has a name of several lines: `a
    b`

    hint: close the quotation mark, or write the name in one line
    ");
    assert_output!(fail("s,a,a,1\ns,a,b,NA\n,,,\n", ""), @"
    error: `t.csv` has no rating of two different stimuli

    hint: give a table whose first line names the columns, and a rating of two stimuli on each other line: `subject,stimulus1,stimulus2,rating`
    ");
    fs::write(lab.path("t.csv"), [b"subject,image1,image2,rating\ns,", &[0xff, 0xfe][..], b",b,1\n"].concat()).unwrap();
    assert_output!(lab.fail("rdm --from-ratings t.csv --scale similarity"), @"
    error: `t.csv` is no table: CSV parse error: record 1 (line 2, field: 1, byte: 29): invalid utf-8: invalid UTF-8 in field 1 near byte index 0

    hint: save it as CSV in UTF-8: Excel calls that `CSV UTF-8`
    ");
    fs::write(lab.path("t.csv"), "").unwrap();
    assert_output!(lab.fail("rdm --from-ratings t.csv --scale similarity"), @"
    error: `t.csv` is empty

    hint: give a table whose first line names the columns, and a rating of two stimuli on each other line: `subject,stimulus1,stimulus2,rating`
    ");
    for range in ["7,1", "1", "1,nan", "1,7,8", "a,b"] {
        let outcome = lab.run(&format!("rdm --from-ratings t.csv --scale similarity --rating-range {range}"));
        assert_eq!(outcome.code, Some(2), "{range}");
    }
    for flags in ["--metric cosine --scale similarity", "--from-triplets t.csv --scale similarity", "--scale alike"] {
        assert_eq!(lab.run(&format!("rdm --from-ratings t.csv {flags}")).code, Some(2), "{flags}");
    }
    assert!(
        lab.fail("rdm x.npy --scale similarity").contains("--scale, --rating-range and --rating-columns go with --from-ratings")
    );
    assert!(!lab.path("t.rdm.npy").exists() && !lab.path("t.rdm.counts.csv").exists());
}

#[test]
fn nothing_that_is_read_is_replaced_and_no_pipe_is_read() {
    let lab = Lab::new();
    fs::write(lab.path("long.counts.csv"), LONG).unwrap();
    assert_output!(lab.fail("rdm --from-ratings long.counts.csv --scale similarity --out long.npy"), @"
    error: `long.counts.csv` would be overwritten, and it is one of the files that are read

    hint: give what is written another name
    ");
    assert_eq!(lab.bytes("long.counts.csv"), LONG.as_bytes());
    assert!(Command::new("mkfifo").arg(lab.path("pipe")).status().unwrap().success());
    assert!(lab.fail("rdm --from-ratings pipe --scale similarity").contains("cannot read `pipe`: it is a pipe"));
    assert!(lab.fail("rdm --from-ratings images --scale similarity").contains("cannot read `images`: it is a folder"));
    assert!(lab.fail("rdm --from-ratings none.csv --scale similarity").contains("cannot read `none.csv`"));
    let said = lab.fail("rdm --from-ratings long.counts.csv --scale similarity --out none/x.npy");
    assert!(said.contains("there is no folder `none`"), "{said}");
}

/// A small file of many stimuli would be an RDM of more memory than there is.
#[test]
fn more_than_memory_holds_is_refused() {
    let lab = Lab::new();
    let line = |i: usize| format!("s{},i{},i{},1\n", i / 400, 2 * i, 2 * i + 1);
    let lines: String = (0..32_000).map(line).collect();
    fs::write(lab.path("t.csv"), format!("subject,image1,image2,rating\n{lines}")).unwrap();
    let said = lab.fail("rdm --from-ratings t.csv --scale dissimilarity");
    assert!(said.contains("what 80 subjects rated of 64,000 stimuli needs about 3.93 TB of memory"), "{said}");
    let lines: String = (0..33_000).map(line).collect();
    fs::write(lab.path("t.csv"), format!("subject,image1,image2,rating\n{lines}")).unwrap();
    let said = lab.fail("rdm --from-ratings t.csv --scale dissimilarity");
    assert!(said.contains("makes more than 65536 of one stimulus"), "{said}");
}
