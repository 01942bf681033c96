//! What mutants are made of: small files of the tests, and others that are made here.

use super::archives::{Part, zip};
use hdf5_pure::FileBuilder;
use std::fs;
use std::path::{Path, PathBuf};

/// In bytes: of smaller files more mutants can be read in a second.
const LONGEST: u64 = 4096;

/// Of the repository: the libFuzzer side is a crate in a folder of it.
fn repository() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("fuzz") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}

pub fn fixture(name: &str) -> Vec<u8> {
    fs::read(repository().join("tests/fixtures").join(name)).unwrap()
}

/// Files of the features of a layer in each form.
pub fn features() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = |ending: &&str| {
        let path = folder.path().join(format!("layer.{ending}"));
        thingsvision::output::write_example(&path).unwrap();
        fs::read(path).unwrap()
    };
    ["h5", "mat", "pt", "csv"].iter().map(file).collect()
}

fn fixtures(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| fixture(name)).collect()
}

/// The small pictures of the tests with this ending.
pub fn images(ending: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(repository().join("tests/fixtures/images")).unwrap().map(|file| file.unwrap());
    let mut files: Vec<PathBuf> = files
        .filter(|file| (1..=LONGEST).contains(&file.metadata().unwrap().len()))
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

pub fn pictures_of_text() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 6] = [
        b"P1\n# a comment\n3 2\n1 0 1\n0 1 0\n",
        b"P2\n3 2\n255\n0 10 20\n200 210 255\n",
        b"P3 2 1 65535 0 1 2 300 400 65535\n",
        b"P4\n9 2\n\xff\x80\x01\x00",
        b"P5 3 2 255\n\x00\x01\x02\x03\x04\x05",
        b"P6 1 2 65535\n\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b",
    ];
    texts.map(<[u8]>::to_vec).to_vec()
}

/// A `.npy` file.
fn array(descriptor: &str, shape: &str, order: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descriptor}', 'fortran_order': {order}, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Five stimuli, zero on the diagonal.
fn square(number: impl Fn(f64) -> Vec<u8>) -> Vec<u8> {
    (0..25).flat_map(|k| number(if k / 5 == k % 5 { 0.0 } else { f64::from(k / 5 + k % 5) })).collect()
}

pub fn npy() -> Vec<Vec<u8>> {
    vec![
        array("<f8", "(5, 5)", "False", &square(|x| x.to_le_bytes().to_vec())),
        array("<f4", "(5, 5)", "True", &square(|x| (x as f32).to_le_bytes().to_vec())),
        array("<i2", "(1, 5, 5)", "False", &square(|x| (x as i16).to_le_bytes().to_vec())),
        array("<f2", "(5, 5)", "False", &square(|x| ((x as u16) << 8).to_le_bytes().to_vec())),
        array("|b1", "(6,)", "False", &[0, 1, 0, 1, 1, 0]),
        array("|u1", "(10,)", "False", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        array(">f8", "(3,)", "False", &[0; 24]),
        // So short that what is changed is mostly in the header.
        b"\x93NUMPY\x01\x00\x38\x00{'descr':'<f4','fortran_order':False,'shape':(1,2,1,1)}\n\0\0\0\0\0\0\0\0".to_vec(),
        array("|O", "(3,)", "False", b"\x80\x03]q\x00(K\x01K\x02K\x03e."),
    ]
}

pub fn npz() -> Vec<Vec<u8>> {
    let arrays = npy();
    let part = |name: &str, number: usize, is_deflated| Part {
        name: name.as_bytes().to_vec(),
        content: arrays[number].clone(),
        is_deflated,
    };
    let several = zip(&[part("rdm.npy", 0, true), part("names.npy", 8, true)]);
    [several, zip(&[part("rdm.npy", 2, false)])].into_iter().chain(fixtures(&["rsa/rdm.npz", "rsa/two.npz"])).collect()
}

pub fn tables() -> Vec<Vec<u8>> {
    let texts = [
        "0,1,2,3\n1,0,4,5\n2,4,0,6\n3,5,6,0\n",
        ",a,b,c,d\na,0,1,2,3\nb,1,0,4,5\nc,2,4,0,6\nd,3,5,6,NA\n",
        "\u{feff}sep=,\n\"a\",\"b \"\"c\"\"\"\n1,2.5\n-3e4,nan\n",
        "0\t1\t2\n1\t0\t3\n2\t3\t0\n",
        "0.0 1.5 2.5\n1.5 0.0 3.5\n\n2.5 3.5 0.0\n",
        "1\n2\n3\n4\n5\n6\n",
        "id;x\na;1\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

pub fn mat() -> Vec<Vec<u8>> {
    fixtures(&[
        "rsa/compressed.mat",
        "rsa/rdm.mat",
        "rsa/mixed.mat",
        "rsa/level4.mat",
        "matlab/plain.mat",
        "matlab/condensed.mat",
        "matlab/nested.mat",
        "matlab/cells-of-structures.mat",
        "matlab/Meadows_faces_v_v1_arrangement_1D.mat",
        "matlab/meadows-cells.mat",
    ])
}

/// A file in which everything is deflated.
fn deflated() -> FileBuilder {
    let mut file = FileBuilder::new();
    let values: Vec<f64> = (0..30).map(f64::from).collect();
    file.create_dataset("dissimilarities").with_f64_data(&values).with_shape(&[2, 15]).with_chunks(&[1, 8]).with_deflate(6);
    file
}

pub fn hdf5() -> Vec<Vec<u8>> {
    let made = deflated().finish().unwrap();
    fixtures(&["rsa/rdm.h5", "rsa/groups.h5", "matlab/half.h5", "matlab/rdms-73.mat"]).into_iter().chain([made]).collect()
}

pub fn mat73() -> Vec<Vec<u8>> {
    let names = ["rdms", "one", "cells", "meadows", "meadows-cells", "endless"].map(|name| format!("matlab/{name}-73.mat"));
    fixtures(&names.each_ref().map(String::as_str)).into_iter().chain([fixture("rsa/stack73.mat")]).collect()
}

pub fn stacks() -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = (0..2 * 3 * 4 * 3).collect();
    let mut packed = FileBuilder::new();
    packed.create_dataset("images").with_u8_data(&bytes).with_shape(&[2, 3, 4, 3]).with_chunks(&[1, 3, 2, 3]).with_deflate(6);
    let mut plain = FileBuilder::new();
    plain.create_dataset("images").with_u8_data(&bytes).with_shape(&[2, 3, 4, 3]);
    vec![array("|u1", "(2, 3, 4, 3)", "False", &bytes), packed.finish().unwrap(), plain.finish().unwrap()]
}

pub fn lists() -> Vec<Vec<u8>> {
    let texts = [
        "one.bmp\ntwo.bmp\nthree.bmp\n",
        "one.bmp\r\n\r\n./two.bmp\r\n",
        "\u{feff}three.bmp\n../pictures/one.bmp",
        "image,kind\none.bmp,\"a\"\nimages/two.bmp,'=b\n",
        "stim_id\tpresent\tkind\none\ttrue\ta\ntwo\tfalse\tn/a\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

pub fn nifti() -> Vec<Vec<u8>> {
    fixtures(&[
        "nifti/sub-1.nii.gz",
        "nifti/sub-2.nii",
        "nifti/mask.nii.gz",
        "nifti/mask-2.nii",
        "nifti/gap.nii",
        "nifti/small.nii.gz",
        "nifti/whole.nii.gz",
    ])
}

pub fn safetensors() -> Vec<Vec<u8>> {
    fixtures(&["checkpoints/plain.safetensors"])
}

pub fn pickles() -> Vec<Vec<u8>> {
    fixtures(&[
        "checkpoints/legacy.pth",
        "checkpoints/kinds-legacy.pth",
        "checkpoints/training-legacy.pth",
        "checkpoints/vissl.torch",
    ])
}

pub fn checkpoints() -> Vec<Vec<u8>> {
    fixtures(&["checkpoints/zip.pth", "checkpoints/kinds.pth", "checkpoints/training.pth", "checkpoints/malicious.pth"])
}

pub fn exported() -> Vec<Vec<u8>> {
    let names = ["asserts", "calls", "mixing", "optimised", "stateful", "traced_tuples", "bare"];
    names.map(|name| fs::read(repository().join(format!("tests/exported/{name}.pt"))).unwrap()).to_vec()
}

pub fn registries() -> Vec<Vec<u8>> {
    let own = r#"[preprocessing.square]
resize = { shorter = 64 }
crop = 56
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

[[model]]
name = "my-resnet"
aliases = ["mine"]
architecture = { family = "resnet", block = "bottleneck", layers = [3, 4, 6, 3] }
default_layer = "avgpool"
source = "here"
licence = "none"
citation = "nobody"

[[model.weights]]
tag = "first"
file = "my.pth"
sha256 = "0123456789abcdef"
preprocessing = "square"
"#;
    // The beginning of the program's own, under other names.
    let program = fs::read_to_string(repository().join("models.toml")).unwrap();
    let start: String = program.split("\n\n").take(12).collect::<Vec<_>>().join("\n\n").replace("name = \"", "name = \"x");
    vec![own.as_bytes().to_vec(), start.into_bytes()]
}

pub fn studies() -> Vec<Vec<u8>> {
    let own = r#"out = "results"
models = ["alexnet", { model = "resnet50", layers = ["layer*"], readout = "mean", tokens = 1, weights = "random:2" }]
weights = ["pretrained", "random:3", "my.pth"]
compare = "spearman"
permutations = 100
bootstrap = 0
over = "stimuli"
seed = 3
clusters = 4
device = "cpu"

[[dataset]]
name = "one"
images = "images"
average_by = "folder"
behavior = ["one.npy", "Two=two.npy"]
fmri = "brain.mat"
categories = "folder"
"#;
    vec![own.as_bytes().to_vec(), fs::read(repository().join("examples/study.toml")).unwrap()]
}

pub fn records() -> Vec<Vec<u8>> {
    vec![include_bytes!("run.json").to_vec()]
}

pub fn journals() -> Vec<Vec<u8>> {
    let texts = ["rows 0 16\nrows 16 32\ndamaged 3\n", "\nrows 999 1000\nrows 5 6\n", "damaged 0\nrows 0 1"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
