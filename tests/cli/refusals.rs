//! What bad input gets from `thingsvision extract`.

use crate::assert_output;
use crate::lab::Lab;
use std::fs;

const EXTRACT: &str = "extract --model alexnet --weights random --images images";

#[test]
fn force_does_not_touch_other_files() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("activations/alexnet.random-0")).unwrap();
    fs::write(lab.path("activations/alexnet.random-0/notes.txt"), "mine").unwrap();
    assert_output!(lab.fail(&format!("{EXTRACT} --force")), @"
    error: `activations/alexnet.random-0` holds other files and no run

    hint: name another place with --out; --force replaces runs only
    ");
    assert_eq!(lab.names("activations/alexnet.random-0"), ["notes.txt"]);
}

#[test]
fn wrong_layers_are_answered_with_near_names() {
    let lab = Lab::new();
    assert_output!(lab.fail(&format!("{EXTRACT} --layer clasifier.5")), @"
    error: `alexnet` has no layer `clasifier.5`

    hint: did you mean `classifier.5`, `classifier.0` or `classifier.1`? `thingsvision layers --model alexnet` lists all 25
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer features.0@1")), @"
    error: `features.0` has no call 1

    hint: it is called once: `features.0`
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer layer4.*")), @"
    error: `alexnet` has no layer like `layer4.*`

    hint: `thingsvision layers --model alexnet` lists all
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer classifier.5 --readout cls")), @"
    error: `classifier.5` gives no tokens: its shape is [4096]

    hint: readouts that fit: none or flatten; give layers of different kinds runs of their own
    ");
    assert!(lab.names("activations").is_empty());
}

#[test]
fn folders_without_images_are_refused() {
    let lab = Lab::new();
    fs::create_dir(lab.path("empty")).unwrap();
    let extract = "extract --model alexnet --weights random --images";
    assert_output!(lab.fail(&format!("{extract} empty")), @"
    error: there are no images in `empty`

    hint: give the folder that holds the JPEG, PNG, WebP, BMP, GIF, TIFF or PNM files; its sub-folders are searched too
    ");
    assert_output!(lab.fail(&format!("{extract} imagse")), @"
    error: `imagse` does not exist

    hint: `--images` takes folders of JPEG, PNG, WebP, BMP, GIF, TIFF or PNM files, one such file, or one stack of images (.npy, .hdf5)
    ");
    fs::write(lab.path("notes.txt"), "no image").unwrap();
    assert_output!(lab.fail(&format!("{extract} notes.txt")), @"
    error: `notes.txt` is not a folder

    hint: `--images` takes folders of JPEG, PNG, WebP, BMP, GIF, TIFF or PNM files, one such file, or one stack of images (.npy, .hdf5)
    ");
}

#[test]
fn what_is_not_an_image_stops_the_run_before_it_starts() {
    let lab = Lab::new();
    fs::write(lab.path("images/notes.png"), "not an image").unwrap();
    assert_output!(lab.fail(EXTRACT), @"
    error: `images/notes.png` is not a JPEG, PNG, WebP, BMP, GIF, TIFF or PNM image

    hint: take it out of the folder (or convert it), or leave such files out with --skip-unreadable
    ");
    fs::write(lab.path("images/notes.png"), "").unwrap();
    assert_output!(lab.fail(EXTRACT), @"
    error: `images/notes.png` is empty

    hint: take it out of the folder (or convert it), or leave such files out with --skip-unreadable
    ");
    fs::rename(lab.path("images/notes.png"), lab.path("images/.hidden")).unwrap();
    assert!(lab.succeed(EXTRACT).stderr.contains("1 hidden file or folder left out"));
}

#[test]
fn a_truncated_image_stops_the_run_and_nothing_is_left_that_looks_whole() {
    let lab = Lab::new();
    let whole = lab.bytes("images/b/five.jpg");
    let truncated = |length: usize| {
        fs::write(lab.path("images/b/five.jpg"), &whole[..length]).unwrap();
        let said = lab.fail(&format!("-q {EXTRACT}"));
        // The batches before it are kept.
        assert_eq!(lab.names("activations"), ["alexnet.random-0.partial"]);
        said
    };
    let said = truncated(whole.len() / 2);
    assert_output!(said, @"
    error: `images/b/five.jpg` is damaged: the file ends in the middle of the picture

    hint: replace the file, or leave such files out with --skip-unreadable (they are listed in skipped.txt)
    ");
    assert_eq!(truncated(whole.len() - 2), said);
    assert_eq!(truncated(whole.len() * 9 / 10), said);
    fs::write(lab.path("images/b/five.jpg"), &whole[..20]).unwrap();
    assert!(lab.fail(EXTRACT).contains("`images/b/five.jpg` is damaged"));

    fs::write(lab.path("images/b/five.jpg"), &whole).unwrap();
    let png = lab.bytes("images/a/one.png");
    // Of this one a row was made.
    fs::remove_dir_all(lab.path("activations")).unwrap();
    fs::write(lab.path("images/a/one.png"), &png[..png.len() / 2]).unwrap();
    assert!(lab.fail(EXTRACT).contains("`images/a/one.png` is damaged"));
    let left = lab.names("activations");
    assert!(left.is_empty() || left == ["alexnet.random-0.partial"], "{left:?}");
}

#[test]
fn damage_that_pillow_reads_over_is_noted_and_recorded() {
    let lab = Lab::new();
    let mut bytes = lab.bytes("images/b/five.jpg");
    let middle = bytes.len() * 2 / 3;
    // A marker in the middle of the data.
    bytes[middle..middle + 2].copy_from_slice(&[0xff, 0xd3]);
    fs::write(lab.path("images/b/five.jpg"), bytes).unwrap();
    let outcome = lab.succeed(EXTRACT);
    assert!(outcome.stderr.contains("1 damaged image read as Pillow does, among them `b/five.jpg`"), "{outcome}");
    let record: serde_json::Value = serde_json::from_slice(&lab.bytes("activations/alexnet.random-0/run.json")).unwrap();
    assert_eq!(record["damaged_images"], serde_json::json!(["b/five.jpg"]));
}

#[test]
fn results_do_not_go_among_the_images() {
    let lab = Lab::new();
    assert_output!(lab.fail(&format!("{EXTRACT} --out images/results")), @"
    error: the run's folder `images/results/alexnet.random-0` would lie among the images

    hint: name another place with --out
    ");
    assert!(!lab.path("images/results").exists());
}

#[test]
fn cuda_without_a_driver_fails_with_the_reason() {
    if std::path::Path::new("/dev/nvidiactl").exists() {
        eprintln!("not run: this machine has an NVIDIA device");
        return;
    }
    let said = Lab::new().fail(&format!("{EXTRACT} --device cuda"));
    assert!(said.contains("CUDA cannot be used: there is no NVIDIA driver") && said.contains("--device cpu"), "{said}");
}

#[test]
fn a_module_that_is_never_called_is_refused() {
    let lab = Lab::new();
    let extract = "extract --model clip-vit --weights random --images images";
    assert_output!(lab.fail(&format!("{extract} --layer visual.transformer.resblocks.3.attn.out_proj")), @"
    error: `visual.transformer.resblocks.3.attn.out_proj` is never called by the network, so it has no output

    hint: `visual.transformer.resblocks.3.attn` uses its weights without it, or leaves it out in evaluation mode
    ");
}

#[test]
fn the_cpu_has_no_float16() {
    assert_output!(Lab::new().fail(&format!("{EXTRACT} --device cpu --precision fp16")), @"
    error: on the CPU networks run in float32 or bfloat16 only

    hint: leave --precision out, or add --device cuda
    ");
}

#[test]
fn what_would_be_without_effect_or_of_another_scale_is_refused() {
    let lab = Lab::new();
    assert_output!(lab.fail(&format!("{EXTRACT} --mean 123,116,103")), @"
    error: no pixels have the mean [123.0, 116.0, 103.0]

    hint: they are of pixels from 0 to 1: 0.482,0.455,0.404 if these are of 0 to 255
    ");
    assert!(lab.fail(&format!("{EXTRACT} --std 58,57,57")).contains("no pixels have the deviation"));
    assert!(lab.fail(&format!("{EXTRACT} --mean -1,0,0")).contains("no pixels have the mean"));
    assert!(lab.fail(&format!("{EXTRACT} --tokens cls")).contains("--tokens is of no effect"));
    fs::write(lab.path("own.pth"), "").unwrap();
    let seeds = lab.fail("extract --model alexnet --weights own.pth --images images --seed 5");
    assert!(seeds.contains("--seed is of random weights"), "{seeds}");
    assert!(lab.names("activations").is_empty());
    lab.succeed("extract --model cornet-z --weights random --images images --layer V1 --dtype float16 --rdm none");
}
