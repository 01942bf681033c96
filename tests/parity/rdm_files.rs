//! The shapes in which RDMs come, and what is said of those that are none.

use anyhow::Result;
use ndarray::{Axis, arr1, arr2};
use thingsvision::npy;
use thingsvision::rdm::Rdms;

fn read<D: ndarray::Dimension>(array: ndarray::Array<f64, D>) -> Result<Rdms> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rdm.npy");
    npy::write(&path, &array.into_dyn()).unwrap();
    Rdms::read(&path)
}

fn problem<D: ndarray::Dimension>(array: ndarray::Array<f64, D>) -> String {
    let error = read(array).unwrap_err().to_string();
    error.split_once("` ").map_or(error.clone(), |(_, problem)| problem.to_owned())
}

fn square() -> ndarray::Array2<f64> {
    arr2(&[[0., 1., 2., 3.], [1., 0., 4., 5.], [2., 4., 0., 6.], [3., 5., 6., 0.]])
}

#[test]
fn every_shape_gives_the_same_pairs() {
    let condensed = arr1(&[1., 2., 3., 4., 5., 6.]);
    let one = read(condensed.clone()).unwrap();
    assert_eq!((one.stimuli, &one.subjects), (4, &vec![condensed.to_vec()]));
    assert_eq!(read(square()).unwrap(), one);
    let two = vec![condensed.to_vec(); 2];
    assert_eq!(read(ndarray::stack![Axis(0), square(), square()]).unwrap().subjects, two);
    assert_eq!(read(ndarray::stack![Axis(0), condensed, condensed]).unwrap().subjects, two);
}

#[test]
fn mistakes_are_named() {
    let with = |i: usize, j: usize, value: f64| {
        let mut square = square();
        square[[i, j]] = value;
        square
    };
    assert_eq!(problem(with(1, 2, 4.5)), "is not symmetric: 4.5 at row 1, column 2 but 4 at row 2, column 1");
    assert_eq!(problem(with(3, 0, f64::NAN)), "is not symmetric: 3 at row 0, column 3 but NaN at row 3, column 0");
    assert!(problem(with(2, 2, 1.0)).starts_with("is not 0: 1 at row 2"));
    let similarity = arr2(&[[1., 0.5, 0.2, 0.], [0.5, 1., 0.1, 0.], [0.2, 0.1, 1., 0.], [0., 0., 0., 1.]]);
    assert_eq!(problem(similarity), "looks like a similarity matrix: its diagonal is 1");
    assert!(problem(arr1(&[1., 2., 3., 4., 5.])).starts_with("is no condensed RDM: 5 is not the number"));
    assert!(problem(arr1(&[1., 2., f64::INFINITY, 4., 5., 6.])).starts_with("has an infinite value at pair 2"));
    assert!(problem(arr1(&[1., 2., 3.])).starts_with("has 3 stimuli"));
    assert!(problem(arr1(&[1.; 6])).starts_with("are equally dissimilar"));
    assert!(problem(arr1(&[0.1, 0.1 + 1e-17, 0.1 + 2e-17, 0.1, 0.1, 0.1f64.next_up()])).starts_with("are equally dissimilar"));
    assert!(problem(arr1(&[f64::NAN; 6])).starts_with("has no values"));
    assert!(problem(arr2(&[[1., 2., 3., 4.], [4., 5., 6., 7.]])).starts_with("is no RDM: its shape is [2, 4]"));
}
