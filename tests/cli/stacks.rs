//! `thingsvision extract --images STACK`: pictures in one file of NumPy or HDF5.

use crate::assert_output;
use crate::images::{SHOW, ids, shown};
use crate::lab::Lab;
use ndarray::{Array4, ArrayD, Axis, s};
use std::fs;
use thingsvision::npy;

/// Three pictures of 50 × 40 pixels.
fn stack() -> Array4<u8> {
    Array4::from_shape_fn((3, 40, 50, 3), |(n, y, x, c)| (n * 50 + y * 3 + x * 2 + c * 40) as u8)
}

#[test]
fn a_stack_gives_what_its_pictures_give_as_files() {
    let lab = Lab::new();
    let stack = stack();
    for (i, picture) in stack.outer_iter().enumerate() {
        let header = b"P6 50 40 255\n".to_vec();
        let path = lab.path(&format!("pictures/{i}.ppm"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [header, picture.iter().copied().collect()].concat()).unwrap();
    }
    lab.succeed(&format!("{SHOW} --images pictures"));
    let as_files = shown(&lab);

    npy::write(&lab.path("stack.npy"), &stack.clone().into_dyn()).unwrap();
    let said = lab.succeed(&format!("{SHOW} --images stack.npy --force"));
    assert!(said.stderr.contains("images    3 of 50 × 40 pixels in stack.npy\n"), "{said}");
    assert_eq!(ids(&lab), ["0", "1", "2"]);
    assert_eq!(shown(&lab), as_files);

    write_hdf5(&lab, "stack.hdf5", &["other", "imgBrick"], &stack);
    let said = lab.succeed(&format!("{SHOW} --images stack.hdf5 --dataset imgBrick --indices 2,0-1,2 --force"));
    assert!(said.stderr.contains("images    4 of 50 × 40 pixels in stack.hdf5 (imgBrick), chosen from 3\n"), "{said}");
    assert_eq!(ids(&lab), ["2", "0", "1", "2"]);
    assert_eq!(shown(&lab), as_files.select(Axis(0), &[2, 0, 1, 2]));
    assert_output!(lab.fail(&format!("{SHOW} --images stack.hdf5 --force")), @"
    error: `stack.hdf5` has 2 data sets of four axes and 0 of three, and one is needed

    hint: name it with --dataset; at the top there are: other, imgBrick (in a group: GROUP/NAME)
    ");
    write_hdf5(&lab, "one.h5", &["imgBrick"], &stack);
    fs::write(lab.path("numbers.txt"), "1\n0\n").unwrap();
    lab.succeed(&format!("{SHOW} --images one.h5 --indices numbers.txt --force"));
    assert_eq!(shown(&lab), as_files.select(Axis(0), &[1, 0]));
}

fn write_hdf5(lab: &Lab, file: &str, names: &[&str], stack: &Array4<u8>) {
    let mut builder = hdf5_pure::FileBuilder::new();
    let shape: Vec<u64> = stack.shape().iter().map(|&size| size as u64).collect();
    let bytes: Vec<u8> = stack.iter().copied().collect();
    for name in names {
        builder.create_dataset(name).with_u8_data(&bytes).with_shape(&shape);
    }
    fs::write(lab.path(file), builder.finish().unwrap()).unwrap();
}

#[test]
fn what_is_no_stack_is_refused() {
    let lab = Lab::new();
    npy::write(&lab.path("float.npy"), &ArrayD::<f32>::zeros(vec![2, 8, 8, 3])).unwrap();
    assert!(lab.fail(&format!("{SHOW} --images float.npy")).contains("`float.npy` is no stack of images: "));
    let said = lab.fail(&format!("{SHOW} --images float.npy"));
    assert!(said.contains("save `(a * 255).round().astype('uint8')` if its values are 0 to 1"), "{said}");
    npy::write(&lab.path("one.npy"), &ArrayD::<u8>::zeros(vec![8, 8, 3])).unwrap();
    let said = lab.fail(&format!("{SHOW} --images one.npy"));
    assert!(said.contains("hint: one picture is a stack of one, `a[None]`"), "{said}");
    npy::write(&lab.path("first.npy"), &ArrayD::<u8>::zeros(vec![2, 3, 8, 8])).unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images first.npy")), @"
    error: `first.npy` is no stack of images: its shape is [2, 3, 8, 8]

    hint: its channels stand first: say so with --channels-first, or save `a.transpose(0, 2, 3, 1)`
    ");
    npy::write(&lab.path("stack.npy"), &stack().into_dyn()).unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images stack.npy --indices 0-3")), @"
    error: --indices 0-3: there is no image 3: 3 images have the numbers 0 to 2

    hint: write numbers and ranges from 0, 0-99,205, or name a file of numbers
    ");
}

#[test]
fn stacks_of_other_orders_and_gray_ones_give_the_same_pixels() {
    let lab = Lab::new();
    let stack = stack();
    npy::write(&lab.path("last.npy"), &stack.clone().into_dyn()).unwrap();
    let first = stack.view().permuted_axes([0, 3, 1, 2]).as_standard_layout().into_owned();
    npy::write(&lab.path("first.npy"), &first.into_dyn()).unwrap();
    let gray = stack.index_axis(Axis(3), 1).to_owned();
    let widened = ndarray::stack(Axis(3), &[gray.view(), gray.view(), gray.view()]).unwrap().as_standard_layout().into_owned();
    npy::write(&lab.path("widened.npy"), &widened.into_dyn()).unwrap();
    let of = |arguments: &str| {
        lab.succeed(&format!("{SHOW} --images {arguments} --force"));
        shown(&lab)
    };
    let (last, three) = (of("last.npy"), of("widened.npy"));
    assert_eq!(of("first.npy --channels-first"), last);
    // Three gray pictures look like one with its channels first.
    npy::write(&lab.path("gray.npy"), &gray.clone().into_dyn()).unwrap();
    assert!(
        lab.fail(&format!("{SHOW} --images gray.npy --force")).contains("gray ones `[images, rows, columns]` are `a[..., None]`")
    );
    npy::write(&lab.path("gray.npy"), &gray.clone().insert_axis(Axis(3)).into_dyn()).unwrap();
    assert_eq!(of("gray.npy"), three);
    let two = gray.slice(s![..2, .., ..]).to_owned();
    npy::write(&lab.path("gray.npy"), &two.clone().into_dyn()).unwrap();
    assert_eq!(of("gray.npy"), three.select(Axis(0), &[0, 1]));
    let mut builder = hdf5_pure::FileBuilder::new();
    builder.create_dataset("imgs").with_u8_data(two.as_slice().unwrap()).with_shape(&[2, 40, 50]);
    fs::write(lab.path("gray.h5"), builder.finish().unwrap()).unwrap();
    assert_eq!(of("gray.h5"), three.select(Axis(0), &[0, 1]));
    assert!(lab.fail(&format!("{SHOW} --images images --channels-first")).contains("are for a stack of images"));
}
