//! Tables and lists as pandas, R, Excel and editors write them: nothing in them is taken for what it is not.

use crate::lab::Lab;
use ndarray::arr2;
use std::fs;
use thingsvision::npy;

fn lab(files: &[(&str, String)]) -> Lab {
    let lab = Lab::new();
    for (name, text) in files {
        fs::write(lab.path(name), text).unwrap();
    }
    lab
}

/// Five stimuli of four units.
fn rows() -> Vec<String> {
    ["0.5,2,7,1", "3,1,0,4", "9,2,6,6", "1,8,2,5", "4,4,1,0"].map(str::to_owned).to_vec()
}

/// The RDM of `table`, and the IDs beside it.
fn rdm(table: &str) -> (Vec<u8>, Option<String>) {
    let lab = lab(&[("table.csv", table.to_owned())]);
    lab.succeed("rdm table.csv --out rdm.npy");
    (lab.bytes("rdm.npy"), fs::read_to_string(lab.path("rdm.ids.txt")).ok())
}

fn refusal(table: &str) -> String {
    lab(&[("table.csv", table.to_owned())]).fail("rdm table.csv --out rdm.npy")
}

fn named(header: &str, names: [&str; 5]) -> String {
    let rows: Vec<String> = names.iter().zip(rows()).map(|(name, row)| format!("{name},{row}")).collect();
    format!("{header}\n{}", rows.join("\n"))
}

#[test]
fn headers_and_names_are_no_stimuli_and_no_units() {
    let (plain, no_ids) = rdm(&rows().join("\n"));
    assert_eq!(no_ids, None);
    let letters = ["a", "b", "c", "d", "e"];
    for header in ["stimulus,0,1,2,3", ",0,1,2,3", "stimulus,1,2,3,4", "name,f0,f1,f2,f3", "0,1,2,3"] {
        assert_eq!(rdm(&named(header, letters)), (plain.clone(), Some("a\nb\nc\nd\ne\n".into())), "{header}");
    }
    assert_eq!(rdm(&named("id,f0,f1,f2,f3", ["7", "3", "9", "1", "4"])), (plain.clone(), Some("7\n3\n9\n1\n4\n".into())));
    assert_eq!(rdm(&format!("f0,f1,f2,f3\n{}", rows().join("\n"))), (plain.clone(), None));
    assert_eq!(rdm(&format!("sep=,\n{}", rows().join("\n"))), (plain, None));
}

#[test]
fn what_cannot_be_told_is_refused() {
    let rows = rows().join("\n");
    for (table, problem) in [
        (format!("0,1,2,3\n{rows}"), "the first line of `table.csv` counts its columns: names, or numbers?"),
        (format!("a,1,b,3\n{rows}"), "the first line of `table.csv` mixes names and numbers"),
        (format!("{rows}\n1,2,3"), "line 6 of `table.csv` has 3 cells, the first has 4"),
        (format!("# made today\n{rows}"), "line 2 of `table.csv` has 4 cells, the first has 1"),
        (rows.replace(',', "\t"), "the cells of `table.csv` are separated by tabs or spaces"),
        (rows.replace('\n', ",\n") + ",", "the last column of `table.csv` is empty"),
        (format!("NA,2,7,1\n{rows}"), "values that are not finite (NaN or infinite) in row 0"),
        (format!("1,2,#N/A,1\n{rows}"), "values that are not finite (NaN or infinite) in row 0"),
    ] {
        let said = refusal(&table);
        assert!(said.contains(problem) && said.contains("hint: "), "{said}");
    }
}

#[test]
fn a_square_is_read_by_the_names_of_rows_and_columns() {
    let lab = lab(&[
        ("a.csv", ",x,y,z,w\nx,0,1,2,3\ny,1,0,4,5\nz,2,4,0,6\nw,3,5,6,0".into()),
        ("b.csv", ",w,z,y,x\nx,3,2,1,0\ny,5,4,0,1\nz,6,0,4,2\nw,0,6,5,3".into()),
        ("c.csv", "0,1,2,3\n0,1,2,3\n1,0,4,5\n2,4,0,6\n3,5,6,0".into()),
        ("d.csv", "0,1,2,3\n1,0,4,5\n2,4,0,6\n3,5,6,0".into()),
        ("other.csv", ",x,y,z,v\nx,0,1,2,3\ny,1,0,4,5\nz,2,4,0,6\nw,3,5,6,0".into()),
    ]);
    for file in ["a", "b", "c", "d"] {
        lab.succeed(&format!("rdm convert {file}.csv {file}.npy"));
        let rdm = npy::read(&lab.path(&format!("{file}.npy"))).unwrap();
        assert_eq!(rdm, arr2(&[[0., 1., 2., 3.], [1., 0., 4., 5.], [2., 4., 0., 6.], [3., 5., 6., 0.]]).into_dyn(), "{file}");
    }
    assert_eq!(fs::read_to_string(lab.path("b.ids.txt")).unwrap(), "x\ny\nz\nw\n");
    assert!(lab.fail("rdm convert other.csv x.npy").contains("has a row `w` and no column of this name"));
}

#[test]
fn marks_and_spaces_of_editors_make_no_other_names() {
    let lab = lab(&[
        ("x.csv", [rows(), rows().into_iter().rev().collect()].concat().join("\n")),
        ("conditions.txt", "\u{feff}a\nb \nc\nd\ne\r\ne\nd\nc\nb\na\n".into()),
    ]);
    let said = lab.succeed("rdm x.csv --conditions conditions.txt --out rdm.npy");
    assert_eq!(fs::read_to_string(lab.path("rdm.ids.txt")).unwrap(), "a\nb\nc\nd\ne\n", "{said}");
}

#[test]
fn labels_of_categories_are_read_as_they_are_meant() {
    let lab = lab(&[
        ("spaces.csv", "picture,animate\na,yes\nb, yes\nc,no\nd ,no \n".into()),
        ("tabs.tsv", "a\tyes\nb\tyes\nc\tno\nd\tno\n".into()),
        ("semicolons.csv", "a;yes\nb;yes\nc;no\nd;no\n".into()),
        ("ragged.csv", "a,yes\nb\nc,no\nd,no\n".into()),
    ]);
    for file in ["spaces.csv", "tabs.tsv"] {
        lab.succeed(&format!("rdm categories {file} --out {file}.npy"));
        let rdm = npy::read(&lab.path(&format!("{file}.npy"))).unwrap();
        assert_eq!(rdm, arr2(&[[0., 0., 1., 1.], [0., 0., 1., 1.], [1., 1., 0., 0.], [1., 1., 0., 0.]]).into_dyn(), "{file}");
    }
    assert_eq!(lab.bytes("spaces.csv.ids.txt"), lab.bytes("tabs.tsv.ids.txt"));
    let said = lab.fail("rdm categories semicolons.csv --out x.npy");
    assert!(said.contains("each of the 4 stimuli has a category of its own") && said.contains("hint: "), "{said}");
    for file in ["ragged.csv", "missing.csv"] {
        let said = lab.fail(&format!("rdm categories {file} --out x.npy"));
        assert!(said.contains(&format!("cannot read `{file}`")) && said.contains("hint: "), "{said}");
    }
}

#[test]
fn a_mean_of_nothing_is_refused() {
    let square = |pairs: [&str; 3]| {
        let [a, b, c] = pairs;
        format!("0,{a},{b},nan\n{a},0,{c},nan\n{b},{c},0,nan\nnan,nan,nan,0")
    };
    let lab = lab(&[
        ("one.csv", square(["1", "2", "nan"])),
        ("two.csv", "0,nan,nan,1\nnan,0,3,nan\nnan,3,0,nan\n1,nan,nan,0".into()),
        ("flat.csv", square(["1", "1", "3"])),
    ]);
    assert!(lab.fail("rdm average one.csv two.csv --out x.npy").contains("no pair has data in all RDMs"));
    let said = lab.fail("rdm average one.csv flat.csv --pool zscore --out x.npy");
    assert!(said.contains("RDM 1, counting from 0, does not vary over the 2 pairs that all have"), "{said}");
    let said = lab.succeed("rdm average one.csv flat.csv --out x.npy").to_string();
    assert!(said.contains("4 of 6 pairs are missing in some RDM and in the mean"), "{said}");
}

/// `np.savetxt(…, header="a b c")` has its mark in a cell of its own where cells have spaces between them.
#[test]
fn the_mark_of_a_comment_belongs_to_no_name() {
    let square = "0,1,2,3\n1,0,4,5\n2,4,0,6\n3,5,6,0\n";
    let lab = lab(&[
        ("commas.csv", format!("# x,y,z,w\n{square}")),
        ("mixed.txt", format!("# x,y,z,w\n{}", square.replace(',', " "))),
        ("spaces.txt", format!("# x y z w\n{}", square.replace(',', " "))),
        ("quotes.txt", format!("\"x\" \"y\" \"z\" \"w\"\n{}", square.replace(',', " "))),
    ]);
    for file in ["commas.csv", "mixed.txt", "spaces.txt", "quotes.txt"] {
        lab.succeed(&format!("rdm convert {file} x.npy"));
        assert_eq!(fs::read_to_string(lab.path("x.ids.txt")).unwrap(), "x\ny\nz\nw\n", "{file}");
    }
}

#[test]
fn a_table_in_another_encoding_says_how_to_save_it() {
    let lab = Lab::new();
    std::fs::write(lab.path("latin.csv"), b"name,x\n\xe4,1\n").unwrap();
    let error = lab.fail("rdm latin.csv");
    assert!(error.contains("`latin.csv` is no table") && error.contains("hint: save it as CSV in UTF-8"), "{error}");
}
