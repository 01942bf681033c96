//! fMRI images against nibabel, which `make_nifti_fixtures.py` asks.

use crate::fixtures;
use thingsvision::arrays::nifti::patterns;
use thingsvision::npy;

/// The two must have the same rows; voxels may be in another order.
fn assert_patterns(betas: &str, mask: &str, expected: &str) {
    let folder = fixtures().join("nifti");
    let read = patterns(&folder.join(betas), &folder.join(mask)).unwrap();
    let expected = npy::read(&folder.join(expected)).unwrap();
    assert_eq!(read.shape(), expected.shape(), "{betas}");
    let voxels = |array: &ndarray::ArrayD<f64>| {
        let mut voxels: Vec<Vec<f64>> = array.columns().into_iter().map(|voxel| voxel.to_vec()).collect();
        voxels.sort_by(|a, b| a.partial_cmp(b).unwrap());
        voxels
    };
    assert_eq!(voxels(&read), voxels(&expected), "{betas}");
}

#[test]
fn scaled_whole_numbers_in_a_compressed_image_equal_nibabel() {
    assert_patterns("sub-1.nii.gz", "mask.nii.gz", "sub-1.patterns.npy");
    assert_patterns("sub-1.nii.gz", "one-volume.nii.gz", "sub-1.patterns.npy");
}

/// An extension lies before its values, its affine is a quaternion, that of the mask a matrix; the mask has NaN.
#[test]
fn big_endian_floats_in_rotated_space_equal_nibabel() {
    assert_patterns("sub-2.nii", "mask-2.nii", "sub-2.patterns.npy");
}

#[test]
fn values_are_read_from_where_the_header_says() {
    assert_patterns("gap.nii", "mask.nii.gz", "sub-1.patterns.npy");
}
