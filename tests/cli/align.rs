//! `thingsvision align`: rows that were transformed as people judge similarity.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::WriteNpyExt;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use thingsvision::npy;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MODEL: &str = r#"
    [[model]]
    name = "mine"
    architecture = { family = "cornet", variant = "z", classes = 6 }
    default_layer = "decoder.linear"
    [[model.weights]]
    tag = "own"
    file = "weights.safetensors"
    preprocessing = "imagenet"
    [[model.weights]]
    tag = "other"
    file = "weights.safetensors"
    preprocessing = "imagenet"
    [[model]]
    name = "tokens"
    architecture = { family = "timmvit", school = "dino", patch = 16, resolution = 32, depth = 1, heads = 1, width = 6, mlp_width = 8, classes = 0 }
    default_layer = "norm"
    default_readout = "cls"
    [[model.weights]]
    tag = "own"
    file = "weights.safetensors"
    preprocessing = "imagenet"
    [[transform]]
    name = "gLocal"
    licence = "MIT"
    citation = "Somebody 2023, A paper"
    url = "http://127.0.0.1:1/"
    [[transform.file]]
    models = ["mine.own"]
    layer = "decoder.linear"
    path = "transform.npz"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
"#;
const EXTRACT: &str = "--registry my.toml extract --model mine --weights random --images images";
const RUN: &str = "activations/mine.random-0";

/// With a network of six outputs, and a run of it.
fn lab() -> Lab {
    let lab = Lab::new();
    fs::write(lab.path("my.toml"), MODEL).unwrap();
    for name in ["like-glocal", "without-bias", "other-width", "objects"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/align/{name}.npz"));
        fs::copy(from, lab.path(&format!("{name}.npz"))).unwrap();
    }
    lab.succeed(EXTRACT);
    lab
}

fn array(shape: &[usize], value: impl Fn(usize) -> f64) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), (0..shape.iter().product()).map(value).collect()).unwrap()
}

fn npz(lab: &Lab, name: &str, arrays: &[(&str, ArrayD<f64>)]) {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    fs::write(lab.path(name), zip.finish().unwrap().into_inner()).unwrap();
}

/// A transform to `outputs` numbers: weights, bias, and a mean and deviation for each unit.
fn parts(units: usize, outputs: usize) -> Vec<(&'static str, ArrayD<f64>)> {
    let wave = |i: usize| ((i * 37) % 101) as f64 / 50.0 - 1.0;
    vec![
        ("weights", array(&[units, outputs], wave)),
        ("bias", array(&[outputs], wave)),
        ("mean", array(&[units], wave)),
        ("std", array(&[units], |i| 0.5 + i as f64)),
    ]
}

fn rows(lab: &Lab, file: &str) -> ArrayD<f64> {
    npy::read(&lab.path(file)).unwrap()
}

/// ((x − mean) / std) · weights + bias.
fn transformed(x: &ArrayD<f64>, parts: &[(&str, ArrayD<f64>)]) -> Vec<f64> {
    let [weights, bias, mean, std] = [0, 1, 2, 3].map(|part| &parts[part].1);
    let (units, outputs) = (weights.shape()[0], weights.shape()[1]);
    let sum = |row: usize, output: usize| {
        (0..units).map(|k| (x[[row, k]] - mean[k]) / std[k] * weights[[k, output]]).sum::<f64>() + bias[output]
    };
    (0..x.shape()[0])
        .flat_map(|row| (0..outputs).map(move |output| (row, output)))
        .map(|(row, output)| sum(row, output))
        .collect()
}

fn assert_near(found: &ArrayD<f64>, expected: &[f64], share: f64) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off <= share * scale, "{off:e} of {scale}");
}

#[test]
fn an_aligned_run_is_a_run_like_others() {
    let lab = lab();
    let parts = parts(6, 4);
    npz(&lab, "mine.npz", &parts);
    let said = lab.succeed(&format!("align {RUN} --transform mine.npz"));
    assert_eq!(said.stdout, "activations/mine.aligned-mine.random-0\n");
    assert!(said.stderr.contains("aligns    `decoder.linear` (6 → 4) by mine.npz, sha256 "), "{said}");
    let run = "activations/mine.aligned-mine.random-0";
    let expected = transformed(&rows(&lab, &format!("{RUN}/decoder.linear.npy")), &parts);
    assert_near(&rows(&lab, &format!("{run}/decoder.linear.npy")), &expected, 1e-7);
    assert_eq!(lab.names(run), ["decoder.linear.npy", "decoder.linear.rdm.npy", "images.sha256", "images.txt", "run.json"]);
    assert!(lab.succeed(&format!("align {RUN} --transform mine.npz")).stderr.contains("is there already"));
    assert_output!(lab.succeed(&format!("--registry my.toml verify {run}")).stdout, @"
    fine   images    5 rows, named in images.txt
    fine   files     1 layer as written
    fine   made by   the same images, weights, preprocessing and program as now
    fine   again     5 rows of every layer come out the same, to the bit
    ");
    // Whatever reads runs reads it.
    lab.succeed(&format!("rdm {run}/decoder.linear.npy --out own.npy"));
    lab.succeed(&format!("rsa --behavior {RUN}/decoder.linear.rdm.npy {run} --out scores"));
    assert!(lab.succeed(&format!("cka {RUN} {run}")).stdout.contains("decoder.linear"));
    lab.succeed(&format!("plot rdm {run}/decoder.linear.rdm.npy --out rdm.png"));
    // What cannot be done again without the transform says so.
    assert_output!(lab.fail(&format!("resume {run}")), @"
    error: the run in `activations/mine.aligned-mine.random-0` is one of `thingsvision align`

    hint: give the command again that began it: it makes anew what is not whole
    ");
    assert_output!(lab.fail(&format!("reduce {run} --reduce srp")), @"
    error: the rows of `activations/mine.aligned-mine.random-0` are aligned already

    hint: name the run that it was made of
    ");
    assert_output!(lab.fail(&format!("align {run} --transform mine.npz")), @"
    error: the rows of `activations/mine.aligned-mine.random-0` are aligned already

    hint: name the run that it was made of
    ");
    // An aligned run of the same shape is not taken for the run that it was made of.
    lab.succeed(&format!("align {RUN} --transform like-glocal.npz --out other/mine.random-0"));
    let said = lab.fail(&format!("{EXTRACT} --out other"));
    assert!(said.contains("there is another run in `other/mine.random-0`: alignment: none, was {"), "{said}");
    fs::rename(lab.path("mine.npz"), lab.path("moved.npz")).unwrap();
    assert!(lab.run(&format!("--registry my.toml verify {run}")).stdout.contains("wrong   again"));
}

#[test]
fn the_readout_of_a_default_layer_is_that_of_the_run() {
    let lab = lab();
    lab.succeed(&EXTRACT.replace("mine", "tokens"));
    lab.succeed("align activations/tokens.random-0 --transform like-glocal.npz --out aligned");
    let said = lab.succeed("--registry my.toml verify aligned").stdout;
    assert!(said.contains("fine   again     5 rows of every layer come out the same, to the bit"), "{said}");
}

#[test]
fn the_form_and_the_type_of_a_run_are_kept() {
    let lab = lab();
    let parts = parts(6, 4);
    npz(&lab, "t.npz", &parts);
    let expected = transformed(&rows(&lab, &format!("{RUN}/decoder.linear.npy")), &parts);
    for format in ["hdf5", "mat", "pt", "csv", "hdf5 --one-file"] {
        let out = format!("of-{}", format.replace(' ', ""));
        lab.succeed(&format!("{EXTRACT} --layer V4 --layer decoder.linear --format {format} --out {out}"));
        lab.succeed(&format!("align {out}/mine.random-0 --layer decoder.linear --transform t.npz --out {out}/aligned"));
        let ending = format.split(' ').next().unwrap().replace("hdf5", "h5");
        let file = format!("{out}/aligned/decoder.linear.{ending}");
        assert!(lab.path(&file).is_file(), "{file}");
        lab.succeed(&format!("align {RUN} --transform t.npz --out plain"));
        assert_eq!(lab.bytes("plain/decoder.linear.rdm.npy"), lab.bytes(&format!("{out}/aligned/decoder.linear.rdm.npy")));
        assert_eq!(lab.run(&format!("--registry my.toml verify {out}/aligned")).code, Some(0), "{format}");
    }
    lab.succeed(&format!("{EXTRACT} --dtype f16 --out half"));
    lab.succeed("align half/mine.random-0 --transform t.npz");
    assert_near(&rows(&lab, "half/mine.aligned-t.random-0/decoder.linear.npy"), &expected, 2e-3);
    // A mean of transformed rows is the transformed mean.
    lab.succeed(&format!("{EXTRACT} --average-by folder --out means"));
    lab.succeed("align means/mine.random-0 --transform t.npz --out means/aligned");
    let means = rows(&lab, "means/aligned/decoder.linear.npy");
    let first: Vec<f64> = (0..4).map(|k| (expected[k] + expected[4 + k]) / 2.0).collect();
    assert!((0..4).all(|k| (means[[0, k]] - first[k]).abs() < 1e-6));
}

#[test]
fn published_transforms_are_for_what_they_were_learnt_on() {
    let lab = lab();
    let fail = |arguments: &str| lab.fail(&format!("--registry my.toml align {arguments}"));
    assert_output!(fail(&format!("{RUN} --transform gLocal")), @"
    error: the transform `gLocal` of `mine.own` was learnt on other features than those of mine with weights random, seed 0 (as torch.manual_seed(0))

    hint: extract its layer: thingsvision extract --model mine.own --layer decoder.linear --images …
    ");
    assert_output!(fail(&format!("{RUN} --transform glocla")), @"
    error: there is no transform `glocla`

    hint: did you mean `gLocal`? name a published one, as gLocal, or a file that ends in .npz
    ");
    assert_output!(fail(&format!("{RUN} --transform naive")), @"
    error: no file of the transform `naive` is published (Muttenthaler et al. 2023, Human alignment of neural network representations, ICLR)

    hint: ask the authors for that of your network, or learn one: --transform FILE.npz takes `weights`, `mean`, `std`, `bias`
    ");
    lab.succeed("extract --model cornet-z --weights random --images images --layer V1 --layer decoder.linear");
    assert_output!(fail("activations/cornet-z.random-0 --transform gLocal"), @"
    error: no transform `gLocal` of `cornet-z` is published

    hint: there are those of `alexnet.imagenet1k_v1`, `vgg16.imagenet1k_v1`, `resnet18.imagenet1k_v1`, `resnet50.imagenet1k_v1`, `clip-rn.openai`, `clip-vit-l-14.openai`, `openclip-vit-l-14.laion400m_e32`, `openclip-vit-l-14.laion2b_s32b_b82k`, `dino-vitb16.dino`, `dino-vitb8.dino`, `dinov2-vitb14.lvd142m`, `dinov2-vitl14.lvd142m`, `mine.own`; --transform FILE.npz takes one of your own
    ");
    lab.succeed("extract --model resnet50 --weights random --images images");
    assert_output!(fail("activations/resnet50.random-0 --transform gLocal"), @"
    error: the transform `gLocal` of `resnet50.imagenet1k_v1` or `resnet50.imagenet1k_v2` was learnt on other features than those of resnet50 with weights random, seed 0 (as torch.manual_seed(0))

    hint: extract its layer: thingsvision extract --model resnet50.imagenet1k_v2 --layer avgpool --images …
    ");
    // By its record the run is of published weights; what else does not fit is said before anything is fetched.
    let record = |run: &str, layer: &str, readout: &str, tag: &str, model: &str| {
        let text = fs::read_to_string(lab.path(&format!("{run}/run.json"))).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        record["model"] = model.into();
        record["readout"] = readout.into();
        record["weights"] = serde_json::json!({"kind": "published", "tag": tag, "url": null, "sha256": "00000000", "licence": "", "citation": ""});
        record["layers"][0]["name"] = layer.into();
        fs::write(lab.path(&format!("{run}/run.json")), serde_json::to_string(&record).unwrap()).unwrap();
    };
    let published = |layer: &str, readout: &str, tag: &str, model: &str| {
        record(RUN, layer, readout, tag, model);
        fail(&format!("{RUN} --transform gLocal"))
    };
    assert_output!(published("decoder.linear", "none", "other", "mine"), @"
    error: the transform `gLocal` of `mine.own` was learnt on other features than those of mine.other

    hint: extract its layer: thingsvision extract --model mine.own --layer decoder.linear --images …
    ");
    assert_output!(published("V4", "none", "own", "mine"), @"
    error: the transform `gLocal` of `mine.own` was learnt on `decoder.linear`, and the run has `V4`

    hint: extract it: thingsvision extract --model mine --layer decoder.linear --images …
    ");
    assert_output!(published("norm", "patches", "dino", "dino-vitb16"), @"
    error: the transform `gLocal` of `dino-vitb16.dino` was learnt on `norm` with the readout cls, and the run has the readout patches

    hint: extract it: thingsvision extract --model dino-vitb16 --layer norm --readout cls --images …
    ");
    assert_output!(published("classifier.5", "none", "imagenet1k_v1", "alexnet"), @"
    error: the transform `gLocal` of `alexnet.imagenet1k_v1` was learnt on `classifier.4`, and the run has `classifier.5`

    hint: extract it: thingsvision extract --model alexnet --layer classifier.4 --images …
    ");
    assert_output!(published("decoder.linear", "none", "own", "mine"), @"
    error: the weights of the transform `gLocal` of `mine.own` are not on this machine, and --offline or THINGSVISION_OFFLINE is set

    hint: download http://127.0.0.1:1/transform.npz elsewhere, and name the file: --transform transform.npz
    ");
    assert_output!(fail(&format!("{RUN} --transform gLocal --layer V4")), @"
    error: the transform `gLocal` of `mine.own` was learnt on `decoder.linear`, and not on `V4`

    hint: leave out --layer
    ");
}

#[test]
fn files_that_are_no_transforms_are_refused() {
    let lab = lab();
    let fail = |file: &str| lab.fail(&format!("align {RUN} --transform {file} --out x"));
    let with = |part: &str, array: ArrayD<f64>| {
        let mut all = parts(6, 4);
        all.retain(|(name, _)| *name != part);
        all.push((["weights", "bias", "mean", "std"].into_iter().find(|name| *name == part).unwrap(), array));
        npz(&lab, "wrong.npz", &all);
        let said = fail("wrong.npz");
        said.lines().next().unwrap().to_owned()
    };
    assert_output!(fail("none.npz"), @"
    error: cannot read `none.npz`: No such file or directory (os error 2)

    hint: relative paths begin at the current folder
    ");
    assert_output!(fail("objects.npz"), @"
    error: `objects.npz` is no affine transform: `weights` cannot be read: `objects.npz:weights` holds Python objects, not numbers

    hint: np.savez(FILE, weights=…, mean=…, std=…, bias=…) of arrays of float32 or float64 makes one: docs/aligning.md
    ");
    assert_output!(fail("other-width.npz"), @"
    error: `other-width.npz` is for rows of 7, and those of `decoder.linear` have 6

    hint: take the layer and the readout that it was learnt on; of tokens a readout as `cls` makes one row
    ");
    npz(&lab, "wrong.npz", &parts(6, 4)[..3]);
    assert_output!(fail("wrong.npz"), @"
    error: `wrong.npz` is no affine transform: it has no `std`

    hint: np.savez(FILE, weights=…, mean=…, std=…, bias=…) of arrays of float32 or float64 makes one: docs/aligning.md
    ");
    assert_output!(with("weights", array(&[6], |_| 1.0)), @"error: `wrong.npz` is no affine transform: `weights` has the shape [6], and not two axes");
    assert_output!(with("weights", array(&[6, 0], |_| 1.0)), @"error: `wrong.npz` is no affine transform: `weights` has the shape [6, 0]");
    assert_output!(with("bias", array(&[6], |_| 1.0)), @"error: `wrong.npz` is no affine transform: `bias` has the shape [6], and `weights` [6, 4]");
    assert_output!(with("mean", array(&[4], |_| 1.0)), @"error: `wrong.npz` is no affine transform: `mean` has the shape [4], and is to be one number or 6");
    assert_output!(with("std", array(&[6], |i| i as f64)), @"error: `wrong.npz` is no affine transform: `std` has numbers that are not above 0");
    assert_output!(with("std", array(&[], |_| f64::NAN)), @"error: `wrong.npz` is no affine transform: `std` has infinities or NaN");
    assert_output!(with("weights", array(&[6, 4], |i| if i == 7 { f64::INFINITY } else { 1.0 })), @"error: `wrong.npz` is no affine transform: `weights` has infinities or NaN");
    // Cut, no zip at all, a folder, and one that claims to unpack to more than there is.
    let whole = lab.bytes("like-glocal.npz");
    fs::write(lab.path("cut.npz"), &whole[..whole.len() / 2]).unwrap();
    assert!(fail("cut.npz").contains("`cut.npz` is not a whole .npz file"));
    fs::write(lab.path("text.npz"), "weights").unwrap();
    assert!(fail("text.npz").contains("`text.npz` is not a whole .npz file"));
    fs::create_dir(lab.path("folder.npz")).unwrap();
    assert!(fail("folder.npz").contains("cannot read `folder.npz`"));
    let mut bomb = whole.clone();
    for place in 0..bomb.len() - 28 {
        if bomb[place..].starts_with(b"PK\x01\x02") {
            bomb[place + 24..place + 28].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
        }
    }
    fs::write(lab.path("bomb.npz"), bomb).unwrap();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["weights", "mean", "std"] {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000000), }");
        zip.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
        zip.write_all(header.as_bytes()).unwrap();
    }
    fs::write(lab.path("liar.npz"), zip.finish().unwrap().into_inner()).unwrap();
    assert_output!(fail("liar.npz"), @"
    error: `liar.npz` is no affine transform: `weights` cannot be read: `liar.npz:weights` is not a whole .npy file: its header promises 1000000000000000000 numbers, and it has 128 bytes

    hint: np.savez(FILE, weights=…, mean=…, std=…, bias=…) of arrays of float32 or float64 makes one: docs/aligning.md
    ");
    assert!(fail("bomb.npz").contains("`bomb.npz`"));
    assert!(!lab.path("x").exists() && !lab.path("x.partial").exists());
}

#[test]
fn runs_that_are_not_whole_and_layers_that_are_not_there_are_refused() {
    let lab = lab();
    let fail = |arguments: &str| lab.fail(&format!("align {arguments} --out x"));
    assert_output!(fail("images --transform like-glocal.npz"), @"
    error: there is no run in `images`

    hint: name the folder that `thingsvision extract` printed
    ");
    lab.succeed(&format!("{EXTRACT} --layer V4 --layer decoder.linear --out two"));
    assert_output!(fail("two/mine.random-0 --transform like-glocal.npz"), @"
    error: the run has several layers: `V4`, `decoder.linear`

    hint: say which is transformed: --layer NAME
    ");
    assert_output!(fail("two/mine.random-0 --transform like-glocal.npz --layer V1"), @"
    error: the run has no layer `V1`

    hint: it has `V4`, `decoder.linear`
    ");
    assert_output!(fail("two/mine.random-0 --transform like-glocal.npz --layer V4"), @"
    error: `like-glocal.npz` is for rows of 6, and those of `V4` have 256 × 14 × 14

    hint: take the layer and the readout that it was learnt on; of tokens a readout as `cls` makes one row
    ");
    lab.succeed(&format!("{EXTRACT} --reduce pca --components 2"));
    assert_output!(fail("activations/mine.pca-2.random-0 --transform like-glocal.npz"), @"
    error: the rows of `activations/mine.pca-2.random-0` are reduced already

    hint: name the run with the full rows
    ");
    let said = lab.fail(&format!("align {RUN} --transform like-glocal.npz --out {RUN} --force"));
    assert!(said.contains("in the place of the one that it is made of"), "{said}");
    let file = lab.path(&format!("{RUN}/decoder.linear.npy"));
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    assert!(fail(&format!("{RUN} --transform like-glocal.npz")).contains("is not as it was written"));
    assert!(!lab.path("x").exists());
}

#[test]
fn a_process_that_is_stopped_leaves_nothing_that_looks_whole() {
    let lab = lab();
    let (run, unfinished) = ("activations/mine.aligned-t.random-0", "activations/mine.aligned-t.random-0.partial");
    npz(&lab, "t.npz", &parts(6, 20_000));
    let command = format!("align {RUN} --transform t.npz --rdm none");
    lab.succeed(&command);
    let wanted = lab.bytes(&format!("{run}/decoder.linear.npy"));
    // As a process that was killed among the rows leaves it.
    fs::rename(lab.path(run), lab.path(unfinished)).unwrap();
    let record = fs::read_to_string(lab.path(&format!("{unfinished}/run.json"))).unwrap();
    fs::write(lab.path(&format!("{unfinished}/run.json")), record.replace("\"complete\": true", "\"complete\": false")).unwrap();
    let rows = format!("{unfinished}/decoder.linear.npy");
    fs::rename(lab.path(&rows), lab.path(&format!("{rows}.partial"))).unwrap();
    assert!(lab.fail(&format!("resume {run}")).contains("is one of `thingsvision align`"));
    lab.succeed(&command);
    assert_eq!(lab.bytes(&format!("{run}/decoder.linear.npy")), wanted);
    assert!(!lab.path(unfinished).exists());
    // And one that is killed, wherever it is.
    for wait in 0..6 {
        fs::remove_dir_all(lab.path(run)).ok();
        let mut process = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
            .args(command.split(' '))
            .current_dir(lab.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !lab.path(unfinished).exists() && !lab.path(run).exists() && process.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_millis(wait));
        process.kill().ok();
        process.wait().unwrap();
        if lab.path(run).exists() {
            assert_eq!(lab.bytes(&format!("{run}/decoder.linear.npy")), wanted);
        }
        lab.succeed(&command);
        assert_eq!(lab.bytes(&format!("{run}/decoder.linear.npy")), wanted);
    }
}
