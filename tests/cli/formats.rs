//! Arrays as labs keep them: what MATLAB, HDF5 and tables hold beside the numbers, and in which order.

use crate::assert_output;
use crate::lab::Lab;
use crate::rdm_files::fixture;
use ndarray::{Array2, Array3, ShapeBuilder, arr2};
use std::fs;
use thingsvision::npy;

/// 12 stimuli, as in `rdm.npz`.
fn lab() -> Lab {
    let lab = Lab::new();
    for name in ["rdm.npz", "mixed.mat", "stack.mat", "stack73.mat", "level4.mat", "groups.h5"] {
        fixture(&lab, name);
    }
    lab.succeed("rdm convert rdm.npz rdm.npy");
    lab
}

#[test]
fn what_lies_beside_a_matrix_in_a_matlab_file_is_in_nobodys_way() {
    let lab = lab();
    lab.succeed("rdm convert mixed.mat:rdm other.npy");
    assert_eq!(lab.bytes("other.npy"), lab.bytes("rdm.npy"));
    lab.succeed("rdm convert mixed.mat:whole whole.npy");
    let rounded = npy::read(&lab.path("rdm.npy")).unwrap().mapv(f64::round_ties_even);
    assert_eq!(npy::read(&lab.path("whole.npy")).unwrap(), rounded);
    assert_output!(lab.fail("rdm convert mixed.mat x.npy"), @"
    error: `mixed.mat` holds several arrays: `rdm`, `whole`

    hint: name the one you mean: mixed.mat:rdm
    ");
    assert_output!(lab.fail("rdm convert mixed.mat:names x.npy"), @"
    error: `names` in `mixed.mat` is a cell array, not an array of real numbers

    hint: save an array of numbers: `full(rdm)` of a sparse matrix, a variable of its own of what an object holds
    ");
    assert_output!(lab.fail("rdm convert mixed.mat:sparse x.npy"), @"
    error: `sparse` in `mixed.mat` is a sparse matrix, not an array of real numbers

    hint: save an array of numbers: `full(rdm)` of a sparse matrix, a variable of its own of what an object holds
    ");
    assert_output!(lab.fail("rdm convert level4.mat x.npy"), @"
    error: cannot read `level4.mat`: it is of MATLAB's old level 4

    hint: save it again with `-v7`
    ");
    let whole = lab.bytes("mixed.mat");
    fs::write(lab.path("half.mat"), &whole[..whole.len() / 2]).unwrap();
    assert_output!(lab.fail("rdm convert half.mat x.npy"), @"
    error: cannot read `half.mat`: it is no whole MATLAB file

    hint: save it again: `save('rdm.mat', 'rdm', '-v7')` in MATLAB, `scipy.io.savemat` in Python
    ");
}

#[test]
fn subjects_on_the_last_axis_as_matlab_has_them_are_subjects() {
    let lab = lab();
    let one = npy::read(&lab.path("rdm.npy")).unwrap();
    for file in ["stack.mat", "stack73.mat"] {
        lab.succeed(&format!("rdm convert {file} stack.npy"));
        let stack = npy::read(&lab.path("stack.npy")).unwrap();
        assert_eq!(stack.shape(), [3, 12, 12], "{file}");
        assert_eq!(stack.index_axis(ndarray::Axis(0), 2), one.mapv(|value| value * 3.0), "{file}");
    }
    // As many subjects as stimuli.
    let rdm = |s: usize, i: usize, j: usize| if i == j { 0.0 } else { (s * s + i * j + i + j) as f64 };
    npy::write(&lab.path("last.npy"), &Array3::from_shape_fn((5, 5, 5), |(i, j, s)| rdm(s, i, j)).into_dyn()).unwrap();
    npy::write(&lab.path("first.npy"), &Array3::from_shape_fn((5, 5, 5), |(s, i, j)| rdm(s, i, j)).into_dyn()).unwrap();
    lab.succeed("rdm convert last.npy turned.npy");
    lab.succeed("rdm convert first.npy same.npy");
    assert_eq!(lab.bytes("turned.npy"), lab.bytes("first.npy"));
    assert_eq!(lab.bytes("same.npy"), lab.bytes("first.npy"));
    let both = Array3::from_shape_fn((4, 4, 4), |(i, j, k)| if i == j || j == k || i == k { 0.0 } else { (i + j + k) as f64 });
    npy::write(&lab.path("both.npy"), &both.into_dyn()).unwrap();
    assert_output!(lab.fail("rdm check both.npy"), @"
    error: `both.npy` has the shape [4, 4, 4], so its subjects may be the first axis or the last

    hint: leave out a subject, or give a file of each subject
    ");
}

#[test]
fn arrays_in_folders_of_hdf5_files_are_reached() {
    let lab = lab();
    lab.succeed("rdm convert groups.h5:one/rdm other.npy");
    assert_eq!(lab.bytes("other.npy"), lab.bytes("rdm.npy"));
    assert_output!(lab.fail("rdm convert groups.h5 x.npy"), @"
    error: `groups.h5` holds several arrays: `one/rdm`, `two/deep/rdm`

    hint: name the one you mean: groups.h5:one/rdm
    ");
    assert_output!(lab.fail("rdm convert nothing.h5 x.npy"), @"
    error: cannot read `nothing.h5`: No such file or directory (os error 2)

    hint: relative paths begin at the current folder
    ");
}

#[test]
fn names_of_subjects_are_not_taken_for_stimuli() {
    let lab = Lab::new();
    // Six pairs of four stimuli, four subjects.
    let rows: String = (0..4).map(|s| format!("sub-{s},{},2,3,4,5,{}\n", s + 1, 9 - s)).collect();
    fs::write(lab.path("table.csv"), format!("subject,p1,p2,p3,p4,p5,p6\n{rows}")).unwrap();
    let said = lab.succeed("rdm check table.csv").stdout;
    assert!(said.contains("unknown: no IDs"), "{said}");
    lab.succeed("rdm convert table.csv table.npy");
    assert!(!lab.path("table.ids.txt").exists());
}

#[test]
fn named_subjects_are_written_as_pairs() {
    let lab = Lab::new();
    let stack = Array3::from_shape_fn((3, 5, 5), |(s, i, j)| if i == j { 0.0 } else { (s + i * j + i + j) as f64 });
    npy::write(&lab.path("stack.npy"), &stack.into_dyn()).unwrap();
    fs::write(lab.path("stack.ids.txt"), "a\nb\nc\nd\ne\n").unwrap();
    for ending in ["csv", "tsv", "mat", "h5"] {
        lab.succeed(&format!("rdm convert stack.npy pairs.{ending} --condensed"));
        lab.succeed(&format!("rdm convert pairs.{ending} back.npy"));
        assert_eq!(lab.bytes("back.npy"), lab.bytes("stack.npy"), "{ending}");
        assert_eq!(lab.bytes("back.ids.txt"), lab.bytes("stack.ids.txt"), "{ending}");
    }
}

#[test]
fn empty_arrays_are_refused() {
    let lab = Lab::new();
    npy::write(&lab.path("none.npy"), &Array3::<f64>::zeros((0, 6, 6)).into_dyn()).unwrap();
    npy::write(&lab.path("pairs.npy"), &Array2::<f64>::zeros((0, 15)).into_dyn()).unwrap();
    assert_output!(lab.fail("rdm average none.npy --out mean.npy"), @"
    error: `none.npy` is empty: its shape is [0, 6, 6]

    hint: check how the file was made; one RDM is square, of several subjects [subjects, N, N]
    ");
    assert!(lab.fail("rsa --behavior pairs.npy none.npy").contains("`pairs.npy` is empty"));
    fs::write(lab.path("empty.csv"), "").unwrap();
    assert_output!(lab.fail("rdm check empty.csv"), @"
    error: `empty.csv` is empty

    hint: write one row of numbers a line
    ");
    fs::write(lab.path("german.csv"), "0;0,5\n0,5;0\n").unwrap();
    assert_output!(lab.fail("rdm check german.csv"), @"
    error: the cells of `german.csv` are separated by semicolons

    hint: save it with commas between cells and points in decimals, or as .tsv with tabs
    ");
}

/// What `np.save` writes of a transposed array, or `np.asfortranarray`.
#[test]
fn arrays_in_fortran_order_are_read_as_they_are() {
    let lab = Lab::new();
    let plain = arr2(&[[1f32, 2., 4.], [2., 1., 0.], [0., 3., 1.], [5., 5., 2.], [3., 1., 7.]]);
    let turned = Array2::from_shape_fn((5, 3).f(), |place| plain[place]);
    npy::write(&lab.path("plain.npy"), &plain.into_dyn()).unwrap();
    npy::write(&lab.path("turned.npy"), &turned.into_dyn()).unwrap();
    assert_ne!(lab.bytes("plain.npy"), lab.bytes("turned.npy"));
    for file in ["plain", "turned"] {
        lab.succeed(&format!("rdm {file}.npy --metric euclidean"));
        lab.succeed(&format!("rdm convert {file}.rdm.npy {file}.csv"));
    }
    assert_eq!(lab.bytes("plain.csv"), lab.bytes("turned.csv"));
    let said = lab.succeed("cka plain.npy turned.npy").stdout;
    assert!(said.contains("2 turned.npy   1.000   1.000"), "{said}");
    let stack = Array3::from_shape_fn((2, 5, 5).f(), |(s, i, j)| if i == j { 0.0 } else { (s + i * j + i + j) as f64 });
    npy::write(&lab.path("stack.npy"), &stack.clone().into_dyn()).unwrap();
    lab.succeed("rdm convert stack.npy rows.npy");
    assert_eq!(npy::read(&lab.path("rows.npy")).unwrap(), stack.into_dyn());
}

#[test]
fn ids_beside_an_archive_are_those_of_its_arrays() {
    let lab = lab();
    fs::write(lab.path("groups.ids.txt"), (0..12).map(|i| format!("s{i}\n")).collect::<String>()).unwrap();
    assert!(lab.succeed("rdm check groups.h5:one/rdm").stdout.contains("named, from `s0` to `s11`"));
}

#[test]
fn the_header_of_a_table_of_categories_is_no_stimulus() {
    let lab = Lab::new();
    let rows = "a.jpg,animal\nb.jpg,tool\nc.jpg,animal\nd.jpg,tool\n";
    fs::write(lab.path("plain.csv"), rows).unwrap();
    fs::write(lab.path("header.csv"), format!("Image,category\n{rows}")).unwrap();
    fs::write(lab.path("one.csv"), "category\nx\ny\nx\ny\n").unwrap();
    lab.succeed("rdm categories plain.csv --out plain.npy");
    assert_output!(lab.succeed("rdm categories header.csv --out header.npy"), @"
    exit Some(0)
    --- stdout
    header.npy
    --- stderr
    took the first line for a header: `Image,category`
    4 stimuli in 2 categories
    ");
    assert_eq!(lab.bytes("header.npy"), lab.bytes("plain.npy"));
    assert_eq!(lab.bytes("header.ids.txt"), lab.bytes("plain.ids.txt"));
    lab.succeed("rdm categories one.csv --out one.npy");
    assert_eq!(lab.bytes("one.npy"), lab.bytes("plain.npy"));
    fs::write(lab.path("same.csv"), "a,x\nb,x\nc,x\nd,x\n").unwrap();
    assert_output!(lab.fail("rdm categories same.csv --out same.npy"), @"
    error: all stimuli are in one category, `x`, so no two of them differ

    hint: give the category of each stimulus, of which there must be two or more
    ");
}

#[test]
fn a_header_is_found_by_either_of_its_words() {
    let lab = Lab::new();
    let rows = "a.jpg,animal\nb.jpg,tool\nc.jpg,animal\nd.jpg,tool\n";
    for (header, is_one) in
        [("uniqueID,group", true), ("image_name,kind", true), ("photo,category", true), ("photo,animal", false)]
    {
        fs::write(lab.path("table.csv"), format!("{header}\n{rows}")).unwrap();
        let said = lab.succeed("rdm categories table.csv --out x.npy").to_string();
        assert_eq!(said.contains(&format!("took the first line for a header: `{header}`")), is_one, "{said}");
    }
}

#[test]
fn a_pickle_is_called_one() {
    let lab = Lab::new();
    fs::write(lab.path("rdm.pkl"), b"\x80\x04\x95\x0b\0\0\0\0\0\0\0]\x94(K\x01K\x02e.").unwrap();
    fs::copy(lab.path("rdm.pkl"), lab.path("pickled.npy")).unwrap();
    assert!(lab.fail("rdm check pickled.npy").contains("`pickled.npy` is a Python pickle"));
    assert!(lab.fail("rdm rdm.pkl").contains("`rdm.pkl` is a Python pickle"));
    assert_output!(lab.fail("rdm check rdm.pkl"), @"
    error: `rdm.pkl` is a Python pickle, which may hold anything, and not an .npy file

    hint: save the array in Python: `np.save('rdm.npy', pickle.load(open('rdm.pkl', 'rb')))`
    ");
}

#[test]
fn pairs_in_a_column_are_one_rdm() {
    let lab = Lab::new();
    let pairs = ndarray::Array1::from_shape_fn(10, |pair| (pair * 7 % 11) as f64);
    npy::write(&lab.path("row.npy"), &pairs.clone().into_dyn()).unwrap();
    npy::write(&lab.path("column.npy"), &pairs.insert_axis(ndarray::Axis(1)).into_dyn()).unwrap();
    for name in ["row", "column"] {
        lab.succeed(&format!("rdm convert {name}.npy {name}.square.npy"));
    }
    assert_eq!(lab.bytes("row.square.npy"), lab.bytes("column.square.npy"));
}

#[test]
fn quoted_globs_stand_for_files() {
    let lab = Lab::new();
    fs::create_dir(lab.path("subjects")).unwrap();
    for subject in 0..3 {
        let rows = Array2::from_shape_fn((5, 4), |(i, j)| ((subject + 2) * i * i + i * j + j * j * subject) as f64);
        npy::write(&lab.path(&format!("subjects/{subject}.npy")), &rows.into_dyn()).unwrap();
    }
    lab.succeed("rdm subjects/0.npy subjects/1.npy subjects/2.npy --metric euclidean --out named.npy");
    lab.succeed("rdm subjects/*.npy --metric euclidean --out matched.npy");
    assert_eq!(lab.bytes("matched.npy"), lab.bytes("named.npy"));
    fs::create_dir(lab.path("rdms")).unwrap();
    for subject in 0..3 {
        lab.succeed(&format!("rdm subjects/{subject}.npy --metric euclidean --out rdms/{subject}.npy"));
    }
    lab.succeed("rdm average rdms/0.npy rdms/1.npy rdms/2.npy --out named.npy");
    lab.succeed("rdm average rdms/?.npy --out matched.npy");
    assert_eq!(lab.bytes("matched.npy"), lab.bytes("named.npy"));
    assert_output!(lab.fail("rdm none/*.npy --out x.npy"), @"
    error: no file matches `none/*.npy`

    hint: put globs in quotes; relative paths begin at the current folder
    ");
}
