//! Small files that promise, or unpack to, more than anyone has: refused, and no room made for it.

use crate::harnesses::archives::Part;
use crate::harnesses::archives::{unzip, zip};
use crate::harnesses::parts::zlib;
use crate::harnesses::seeds::fixture;
use std::fs;
use std::path::Path;
use tch::{Device, Kind};
use thingsvision::models::Exported;
use thingsvision::{arrays, error, rdm};

/// What unpacks to this is of less than a megabyte.
const MUCH: usize = 64 << 20;

/// What is said of the file `name` with these bytes.
fn said(name: &str, bytes: &[u8], read: impl Fn(&Path) -> anyhow::Result<()>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let said = error::text_of(&read(&path).unwrap_err());
    said.replace(&format!("{}/", folder.path().display()), "")
}

fn rdms(path: &Path) -> anyhow::Result<()> {
    rdm::Rdms::read(path).map(drop)
}

/// `bytes`, in which these were replaced, wherever they stand.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..=bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

#[test]
fn arrays_of_which_the_header_promises_more_than_the_file_has() {
    let header = format!("{:<117}\n", "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }");
    let file = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &[0; 64]].concat();
    let problem = "is not a whole .npy file: its header promises 1000000000000000 numbers, and it has 192 bytes";
    assert_eq!(said("array.npy", &file, rdms), format!("`array.npy` {problem}"));
    let part = Part { name: b"array.npy".to_vec(), content: file, is_deflated: true };
    assert_eq!(said("array.npz", &zip(&[part]), rdms), format!("`array.npz:array` {problem}"));
}

#[test]
fn members_that_unpack_to_more_than_they_say() {
    // An array of 200 bytes, and behind it what no header speaks of.
    let header = format!("{:<117}\n", "{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }");
    let mut array = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes()].concat();
    array.resize(MUCH, 0);
    let packed = zip(&[Part { name: b"array.npy".to_vec(), content: array, is_deflated: true }]);
    assert!(packed.len() < 1_000_000);
    let lies = replaced(&packed, &(MUCH as u32).to_le_bytes(), &200u32.to_le_bytes());
    let said_of_it = said("array.npz", &lies, rdms);
    assert!(said_of_it.starts_with("`array.npz:array` is not a whole .npy file: File is larger than"), "{said_of_it}");
    // The same of the network of a file, and of an element of MATLAB's, of which the size is the first thing in it.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported/asserts.pt");
    let mut parts = unzip(&fs::read(path).unwrap()).unwrap();
    parts.push(Part { name: b"asserts/extra/more".to_vec(), content: vec![0; MUCH], is_deflated: true });
    let lies = replaced(&zip(&parts), &(MUCH as u32).to_le_bytes(), &200u32.to_le_bytes());
    assert!(said("net.pt", &lies, exported).contains("damaged"));
    let element = [&14u32.to_le_bytes()[..], &16u32.to_le_bytes(), &vec![0; MUCH]].concat();
    assert!(said("array.mat", &mat(&zlib(&element)), rdms).contains("it is no whole MATLAB file"));
}

fn exported(path: &Path) -> anyhow::Result<()> {
    Exported::open(path, (Kind::Float, Device::Cpu)).map(drop)
}

/// A MATLAB file of one packed element.
fn mat(packed: &[u8]) -> Vec<u8> {
    let header = &fixture("rsa/compressed.mat")[..128];
    [header, &15u32.to_le_bytes(), &(packed.len() as u32).to_le_bytes(), packed].concat()
}

#[test]
fn images_of_which_the_header_promises_more_than_the_file_has() {
    let mut image = fixture("nifti/sub-2.nii");
    let mask = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti/mask-2.nii");
    // Behind the number of axes; alike in both orders of bytes.
    for axis in 1..=4 {
        image[40 + 2 * axis..][..2].copy_from_slice(&[0x7f; 2]);
    }
    let problem = "`image.nii` is too short for an image of the shape [32639, 32639, 32639, 32639]";
    assert_eq!(said("image.nii", &image, |path| arrays::nifti::patterns(path, &mask).map(drop)), problem);
    assert_eq!(said("image.nii", &image, |path| arrays::nifti::patterns(&mask, path).map(drop)), problem);
}

#[test]
fn data_sets_that_no_memory_holds() {
    let sizes = |sizes: [u64; 2]| sizes.map(u64::to_le_bytes).concat();
    let file = replaced(&fixture("rsa/rdm.h5"), &sizes(SHAPE), &sizes([1 << 20, 1 << 20]));
    let said = said("rdms.h5", &file, rdms);
    assert!(said.starts_with("`dissimilarities` in `rdms.h5` needs about 17.59 TB of memory, and "), "{said}");
}

/// Of the pairs in `rdm.h5`.
const SHAPE: [u64; 2] = [1, 66];

#[test]
fn groups_that_lie_in_themselves() {
    // A group without a name is the one that it lies in.
    let file = replaced(&fixture("rsa/groups.h5"), b"deep", &[0; 4]);
    assert_eq!(said("groups.h5", &file, rdms), "cannot read `groups.h5`: its groups have no end: some may lie in themselves");
}

#[test]
fn pickles_of_networks_that_claim_texts_of_gigabytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported/asserts.pt");
    let mut parts = unzip(&fs::read(path).unwrap()).unwrap();
    let pickle = parts.iter_mut().find(|part| part.name == b"asserts/data.pkl").unwrap();
    pickle.content = b"\x80\x02X\x00\x00\x00\x80".to_vec();
    let problem = "the network in `net.pt` cannot be run: `asserts/data.pkl` in the archive is damaged";
    assert!(said("net.pt", &zip(&parts), exported).starts_with(problem));
}
