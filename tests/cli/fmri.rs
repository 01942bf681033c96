//! `thingsvision rdm` of several subjects, and of NIfTI images.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array2, ArrayD, Axis};
use std::fs;
use std::path::Path;
use thingsvision::npy;

fn image(lab: &Lab, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti").join(name);
    fs::copy(from, lab.path(name)).unwrap();
}

fn golden(name: &str) -> ArrayD<f64> {
    npy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti").join(name)).unwrap()
}

/// A lab with `sub-1.npy` to `sub-3.npy`, of 6 stimuli and 5, 6 and 7 units.
fn subjects() -> Lab {
    let lab = Lab::new();
    for subject in 1..=3 {
        let value = |(i, j): (usize, usize)| ((i * 7 + j * j * 3 + i * j * (5 + subject)) % 13) as f32;
        npy::write(&lab.path(&format!("sub-{subject}.npy")), &Array2::from_shape_fn((6, 4 + subject), value).into_dyn()).unwrap();
    }
    lab
}

const ALL: &str = "sub-1.npy sub-2.npy sub-3.npy";

#[test]
fn rdms_of_several_subjects_are_one_file() {
    let lab = subjects();
    assert_output!(lab.succeed(&format!("rdm {ALL} --out it.npy")), @"
    exit Some(0)
    --- stdout
    it.npy
    --- stderr
    `sub-1.npy`: RDM of 6 stimuli from 5 units each
    `sub-2.npy`: RDM of 6 stimuli from 6 units each
    `sub-3.npy`: RDM of 6 stimuli from 7 units each
    RDMs of 3 subjects, 6 stimuli each, taken to be in the same order
    ");
    lab.succeed(&format!("rdm {ALL} --out pairs.npy --condensed"));
    let (all, pairs) = (npy::read(&lab.path("it.npy")).unwrap(), npy::read(&lab.path("pairs.npy")).unwrap());
    assert_eq!((all.shape(), pairs.shape()), (&[3, 6, 6][..], &[3, 15][..]));
    for subject in 0..3 {
        lab.succeed(&format!("rdm sub-{}.npy --out one.npy", subject + 1));
        assert_eq!(all.index_axis(Axis(0), subject), npy::read(&lab.path("one.npy")).unwrap(), "{subject}");
        lab.succeed(&format!("rdm sub-{}.npy --out one.npy --condensed", subject + 1));
        assert_eq!(pairs.index_axis(Axis(0), subject), npy::read(&lab.path("one.npy")).unwrap(), "{subject}");
    }
    lab.succeed("rdm sub-1.npy --out model.npy");
    let said = lab.succeed("rsa --fmri it.npy model.npy");
    // Of several subjects there is a noise ceiling.
    assert!(said.to_string().contains(" … "), "{said}");
    assert_output!(lab.fail(&format!("rdm {ALL}")), @"
    error: the RDMs of 3 subjects need a name

    hint: give the one file that is made of all: --out NAME.npy; each by itself is a command of its own
    ");
}

#[test]
fn subjects_are_aligned_by_their_ids() {
    let lab = subjects();
    fs::write(lab.path("sub-1.ids.txt"), "a\nb\nc\nd\ne\nf\n").unwrap();
    fs::write(lab.path("sub-2.ids.txt"), "f\na\nb\nc\ne\nd\n").unwrap();
    for metric in ["correlation", "euclidean"] {
        lab.succeed(&format!("rdm sub-1.npy sub-2.npy --out it.npy --metric {metric}"));
        lab.succeed(&format!("rdm sub-2.npy --metric {metric}"));
        let (all, one) = (npy::read(&lab.path("it.npy")).unwrap(), npy::read(&lab.path("sub-2.rdm.npy")).unwrap());
        let places = [1, 2, 3, 5, 4, 0];
        for i in 0..6 {
            assert!((0..6).all(|j| all[[1, i, j]] == one[[places[i], places[j]]]), "{metric} {i}");
        }
        assert_eq!(lab.bytes("it.ids.txt"), lab.bytes("sub-1.ids.txt"));
    }
    assert_output!(lab.fail(&format!("rdm {ALL} --out it.npy")), @"
    `sub-1.npy`: RDM of 6 stimuli from 5 units each
    `sub-2.npy`: RDM of 6 stimuli from 6 units each
    `sub-3.npy`: RDM of 6 stimuli from 7 units each
    error: some subjects have no IDs, and others have the stimuli in different orders

    hint: put the IDs of each, one a line, into a file beside it that ends in .ids.txt, or give --ids
    ");
    assert!(lab.succeed("rdm sub-1.npy sub-3.npy --out it.npy").stderr.contains("6 stimuli each, taken to be in the same order"));
    fs::write(lab.path("sub-2.ids.txt"), "f\na\nb\nc\ne\nx\n").unwrap();
    assert_output!(lab.fail("rdm sub-1.npy sub-2.npy --out new.npy"), @"
    `sub-1.npy`: RDM of 6 stimuli from 5 units each
    `sub-2.npy`: RDM of 6 stimuli from 6 units each
    error: `sub-1.npy` and `sub-2.npy` are not of the same stimuli: the latter has no `d`

    hint: IDs must be written alike, and every subject must have the same: leave out what one lacks
    ");
    npy::write(&lab.path("short.npy"), &Array2::from_shape_fn((5, 4), |(i, j)| (i * i + j) as f32 % 3.0).into_dyn()).unwrap();
    assert_output!(lab.fail("rdm sub-1.npy short.npy --out new.npy"), @"
    `sub-1.npy`: RDM of 6 stimuli from 5 units each
    `short.npy`: RDM of 5 stimuli from 4 units each
    error: `short.npy` has 5 stimuli, but `sub-1.npy` has 6

    hint: every subject must have the same stimuli; --on-constant nan keeps those that do not vary
    ");
    assert_output!(lab.fail("rdm sub-1.npy sub-4.npy --out new.npy"), @"
    error: cannot read `sub-4.npy`: No such file or directory (os error 2)

    hint: relative paths begin at the current folder
    ");
    assert!(!lab.path("new.npy").exists() && !lab.path("new.npy.partial").exists());
}

/// Each subject saw the conditions in an order of its own.
#[test]
fn designs_are_one_for_all_or_one_for_each() {
    let lab = Lab::new();
    let rows = |order: &[usize]| Array2::from_shape_fn((order.len(), 5), |(i, j)| ((order[i] * 5 + j * j + i * j) % 7) as f64);
    let orders = [[0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3], [2, 0, 3, 1, 3, 1, 2, 0, 0, 1, 3, 2]];
    let mut commands = Vec::new();
    for (subject, order) in orders.iter().enumerate() {
        npy::write(&lab.path(&format!("{subject}.npy")), &rows(order).into_dyn()).unwrap();
        let names: String = order.iter().map(|&condition| format!("c{condition}\n")).collect();
        fs::write(lab.path(&format!("{subject}.txt")), names).unwrap();
        commands.push(format!("--conditions {subject}.txt"));
    }
    fs::write(lab.path("runs.txt"), "1\n1\n1\n1\n2\n2\n2\n2\n3\n3\n3\n3\n").unwrap();
    let crossnobis = "--metric crossnobis --noise identity --partitions runs.txt";
    lab.succeed(&format!("rdm 0.npy 1.npy {} {crossnobis} --out all.npy", commands.join(" ")));
    lab.succeed(&format!("rdm 1.npy {} {crossnobis} --out one.npy", commands[1]));
    let (all, one) = (npy::read(&lab.path("all.npy")).unwrap(), npy::read(&lab.path("one.npy")).unwrap());
    assert_eq!(fs::read_to_string(lab.path("all.ids.txt")).unwrap(), "c0\nc1\nc2\nc3\n");
    let places = [1, 3, 0, 2];
    assert!((0..16).all(|k| all[[1, k / 4, k % 4]] == one[[places[k / 4], places[k % 4]]]), "{all} {one}");
    assert_output!(lab.fail(&format!("rdm 0.npy 1.npy 1.npy {} --out all.npy", commands.join(" "))), @"
    error: --conditions is given 2 times, but the subjects are 3

    hint: give it once for all, or once for each in the order of the subjects
    ");
}

#[test]
fn rdms_of_images_equal_scipy() {
    let lab = Lab::new();
    for name in ["sub-1.nii.gz", "sub-2.nii", "mask.nii.gz", "mask-2.nii"] {
        image(&lab, name);
    }
    fs::write(lab.path("sub-1.ids.txt"), "a\nb\nc\nd\ne\nf\ng\nh\n").unwrap();
    assert_output!(lab.succeed("rdm --nifti sub-1.nii.gz --mask mask.nii.gz --condensed"), @"
    exit Some(0)
    --- stdout
    sub-1.rdm.npy
    --- stderr
    RDM of 8 stimuli from 26 units each
    ");
    assert_eq!(lab.bytes("sub-1.rdm.ids.txt"), lab.bytes("sub-1.ids.txt"));
    let one = npy::read(&lab.path("sub-1.rdm.npy")).unwrap();
    assert!(one.iter().zip(&golden("sub-1.scipy.npy")).all(|(a, b)| (a - b).abs() < 1e-7));
    let subjects = "--nifti sub-1.nii.gz --nifti sub-2.nii --mask mask.nii.gz --mask mask-2.nii";
    assert_output!(lab.succeed(&format!("rdm {subjects} --condensed --out it.npy")), @"
    exit Some(0)
    --- stdout
    it.npy
    --- stderr
    `sub-1.nii.gz`: RDM of 8 stimuli from 26 units each
    `sub-2.nii`: RDM of 8 stimuli from 26 units each
    RDMs of 2 subjects, 8 stimuli each, taken to be in the same order
    ");
    let all = npy::read(&lab.path("it.npy")).unwrap();
    assert!(all.index_axis(Axis(0), 1).iter().zip(&golden("sub-2.scipy.npy")).all(|(a, b)| (a - b).abs() < 1e-7));
    assert_eq!(all.index_axis(Axis(0), 0), one);
    // Conditions are averaged, as rows of arrays are.
    fs::write(lab.path("conditions.txt"), "x\ny\nz\nw\nx\ny\nz\nw\n").unwrap();
    npy::write(&lab.path("rows.npy"), &golden("sub-1.patterns.npy")).unwrap();
    lab.succeed("rdm rows.npy --conditions conditions.txt --metric sqeuclidean");
    lab.succeed("rdm --nifti sub-1.nii.gz --mask mask.nii.gz --conditions conditions.txt --metric sqeuclidean --out z.npy");
    let [a, b] = ["rows.rdm.npy", "z.npy"].map(|name| npy::read(&lab.path(name)).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5 * a.max(1.0)), "{a} {b}");
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let lab = Lab::new();
    for name in ["sub-1.nii.gz", "sub-2.nii", "mask.nii.gz", "empty.nii.gz", "shifted.nii.gz", "small.nii.gz", "whole.nii.gz"] {
        image(&lab, name);
    }
    assert_output!(lab.fail("rdm --nifti sub-1.nii.gz"), @"
    error: it is not known which voxels of the image are wanted

    hint: give a 3-D image that is 1 in the voxels of a region, or of the brain, and 0 elsewhere: --mask mask.nii.gz
    ");
    assert_output!(lab.fail("rdm sub-1.nii.gz"), @"
    error: `sub-1.nii.gz` is an fMRI image, not a matrix of features

    hint: say which voxels are wanted: --nifti sub-1.nii.gz --mask mask.nii.gz
    ");
    assert_output!(lab.fail("rdm --nifti sub-1.nii.gz --mask small.nii.gz"), @"
    error: `small.nii.gz` has the shape [5, 4, 2], but the volumes of `sub-1.nii.gz` have [5, 4, 3]

    hint: resample the mask to the betas, by nearest neighbour
    ");
    assert_output!(lab.fail("rdm --nifti sub-1.nii.gz --mask shifted.nii.gz"), @"
    error: `shifted.nii.gz` and `sub-1.nii.gz` are not of the same voxels in space: their affines differ by 2.000

    hint: take a mask in the space of the betas, or resample it to them, by nearest neighbour
    ");
    assert_output!(lab.fail("rdm --nifti sub-1.nii.gz --mask empty.nii.gz"), @"
    error: the mask `empty.nii.gz` is empty: all its voxels are 0

    hint: a mask is 1, or another number, in the voxels that are wanted
    ");
    assert_output!(lab.fail("rdm --nifti sub-2.nii --mask whole.nii.gz"), @"
    error: NaN or infinite values in 1 of the 60 voxels of `whole.nii.gz` in `sub-2.nii`, in one condition or more

    hint: tighten the mask to voxels that were measured: `mask & np.isfinite(betas).all(axis=-1)`
    ");
    assert_output!(lab.fail("rdm --nifti mask.nii.gz --mask mask.nii.gz"), @"
    error: `mask.nii.gz` is no series of volumes: its shape is [5, 4, 3]

    hint: give one 4-D image of all conditions, the last axis in their order (`fslmerge -t`, `nibabel.concat_images`)
    ");
    assert_output!(lab.fail("rdm --nifti sub-1.nii.gz --mask sub-1.nii.gz"), @"
    error: `sub-1.nii.gz` is no mask: its shape is [5, 4, 3, 8]

    hint: a mask is a 3-D image, 1 in the voxels that are wanted and 0 elsewhere
    ");
    fs::write(lab.path("text.nii"), "no image, but longer than a header is".repeat(20)).unwrap();
    assert_output!(lab.fail("rdm --nifti text.nii --mask mask.nii.gz"), @"
    error: `text.nii` is no NIfTI-1 image

    hint: give a .nii or .nii.gz; of NIfTI-2, Analyze, MGH or CIFTI make one with `nibabel.Nifti1Image(image.get_fdata(), image.affine)`
    ");
    fs::write(lab.path("cut.nii"), &lab.bytes("sub-2.nii")[..2000]).unwrap();
    assert_output!(lab.fail("rdm --nifti cut.nii --mask whole.nii.gz"), @"
    error: `cut.nii` is not a whole NIfTI image: failed to fill whole buffer

    hint: copy it again, or make it anew
    ");
}
