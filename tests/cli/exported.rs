//! Networks that PyTorch exported: the small ones of `tests/exported`.

use crate::assert_output;
use crate::lab::Lab;
use std::fs;
use std::path::Path;
use thingsvision::npy;

/// With the exported networks `files` in the folder `nets`.
pub fn lab(files: &[&str]) -> Lab {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("nets")).unwrap();
    for file in files {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported").join(file);
        fs::copy(from, lab.path(&format!("nets/{file}"))).unwrap();
    }
    lab
}

#[test]
fn modules_are_layers_with_their_calls_and_elements() {
    let lab = lab(&["tuples.pt", "traced.pt", "bare.pt", "unused.pt"]);
    assert_output!(lab.succeed("layers --model nets/tuples.pt"), @r#"
    exit Some(0)
    --- stdout
      layer            module      output        calls   per image
      input            Tensor      3 × 32 × 32       1   12.00 KiB
      conv             Conv2d      4 × 8 × 8         1    1.00 KiB
      pyramid          Pyramid     4                 1        16 B   pyramid:0 … :1:1
      named            Named       2 × 4 × 4         1       128 B   named:out … :aux
        named.conv     Conv2d      2 × 4 × 4         1       128 B
      auxiliary        Auxiliary   5                 1        20 B
        auxiliary.fc   Linear      5                 1        20 B
    * output           Tuples      5                 1        20 B   default
    --- stderr

    8 layers. Globs work: --layer 'layer4.*' is all below layer4, for * crosses dots; 'layer4.?' one level. A module that is called more than once gives its last output; NAME@0 is the first call.
    "#);
    assert_output!(lab.succeed("layers --model nets/traced.pt"), @"
    exit Some(0)
    --- stdout
      layer      module              output        calls   per image
      input      Tensor              3 × 32 × 32       1   12.00 KiB
      conv1      Conv2d              4 × 8 × 8         1    1.00 KiB
      bn1        BatchNorm2d         4 × 8 × 8         1    1.00 KiB
      relu       ReLU                6 × 4 × 4         3       384 B   relu@0 … @2
      body       Sequential          4 × 8 × 8         1    1.00 KiB
        body.0   Conv2d              4 × 8 × 8         1    1.00 KiB
        body.1   BatchNorm2d         4 × 8 × 8         1    1.00 KiB
        body.2   ReLU                4 × 8 × 8         1    1.00 KiB
        body.3   Identity            4 × 8 × 8         1    1.00 KiB
      identity   Identity            4 × 8 × 8         1    1.00 KiB
      down       Conv2d              6 × 4 × 4         1       384 B
    * avgpool    AdaptiveAvgPool2d   6 × 1 × 1         1        24 B   default, with --readout flatten
      dropout    Dropout             6                 1        24 B
      fc         Linear              5                 1        20 B
      output     ConvNet             5                 1        20 B
    --- stderr

    15 layers. Globs work: --layer 'layer4.*' is all below layer4, for * crosses dots; 'layer4.?' one level. A module that is called more than once gives its last output; NAME@0 is the first call.
    ");
    // What torch.jit.trace leaves out, the export script keeps.
    let told = "--squash --crop 32 --mean 0,0,0 --std 1,1,1";
    assert_output!(lab.succeed(&format!("layers --model nets/bare.pt {told}")), @r#"
    exit Some(0)
    --- stdout
      layer      module              output        calls   per image
      input      Tensor              3 × 32 × 32       1   12.00 KiB
      conv1      Conv2d              4 × 8 × 8         1    1.00 KiB
      bn1        BatchNorm2d         4 × 8 × 8         1    1.00 KiB
      relu       ReLU                6 × 4 × 4         3       384 B   relu@0 … @2
      body       Sequential          4 × 8 × 8         1    1.00 KiB
        body.0   Conv2d              4 × 8 × 8         1    1.00 KiB
        body.1   BatchNorm2d         4 × 8 × 8         1    1.00 KiB
        body.2   ReLU                4 × 8 × 8         1    1.00 KiB
        body.3   Identity                              1               not to be extracted: it gives no tensor: nothing at all, or the export left out what computes nothing (such as Identity)
      identity   Identity                              1               not to be extracted: it gives no tensor: nothing at all, or the export left out what computes nothing (such as Identity)
      down       Conv2d              6 × 4 × 4         1       384 B
      avgpool    AdaptiveAvgPool2d   6 × 1 × 1         1        24 B
      dropout    Dropout             6                 1        24 B
      fc         Linear              5                 1        20 B
    * output     ConvNet             5                 1        20 B   default
    --- stderr

    15 layers. Globs work: --layer 'layer4.*' is all below layer4, for * crosses dots; 'layer4.?' one level. A module that is called more than once gives its last output; NAME@0 is the first call.
    "#);
    assert_output!(lab.succeed("layers --model nets/unused.pt"), @"
    exit Some(0)
    --- stdout
      layer     module   output         calls   per image
      input     Tensor   3 × 32 × 32        1   12.00 KiB
      patches   Conv2d   8 × 4 × 4          1       512 B
      bias      Bias                        1               not to be extracted: what it gives does not depend on the number of images
      head      Linear   5                  1        20 B
      never     Linear   never called       0
    * output    Unused   5                  1        20 B   default
    --- stderr

    6 layers. Globs work: --layer 'layer4.*' is all below layer4, for * crosses dots; 'layer4.?' one level. A module that is called more than once gives its last output; NAME@0 is the first call.
    ");
}

#[test]
fn modules_called_input_and_output_do_not_hide_the_networks_own() {
    let lab = lab(&["reserved.pt"]);
    assert_output!(lab.succeed("layers --model nets/reserved.pt"), @r#"
    exit Some(0)
    --- stdout
      layer            module     output        calls   per image
      network_input    Tensor     3 × 32 × 32       1   12.00 KiB
      input            Conv2d     4 × 4 × 4         1       256 B
      output           ReLU       4 × 4 × 4         1       256 B
    * network_output   Reserved   4                 1        16 B   default
    --- stderr

    4 layers. Globs work: --layer 'layer4.*' is all below layer4, for * crosses dots; 'layer4.?' one level. A module that is called more than once gives its last output; NAME@0 is the first call.
    "#);
    assert_output!(lab.fail("extract --model nets/reserved.pt --layer inputs --images images"), @r#"
    error: `nets/reserved.pt` has no layer `inputs`

    hint: did you mean `input`? `thingsvision layers --model nets/reserved.pt` lists all 4
    "#);
    lab.succeed(
        "extract --model nets/reserved.pt --layer * --layer network_input --layer network_output --readout none --images images",
    );
    let shape = |layer: &str| npy::read(&lab.path(&format!("activations/reserved/{layer}.npy"))).unwrap().shape().to_vec();
    assert_eq!(shape("input"), [5, 4, 4, 4]);
    assert_eq!(shape("network_input"), [5, 3, 32, 32]);
    assert_eq!(shape("output"), [5, 4, 4, 4]);
    assert_eq!(shape("network_output"), [5, 4]);
}

#[test]
fn the_same_file_elsewhere_is_the_same_network() {
    let lab = lab(&["scripted.pt", "double.pt"]);
    fs::create_dir(lab.path("other")).unwrap();
    fs::copy(lab.path("nets/scripted.pt"), lab.path("other/scripted.pt")).unwrap();
    lab.succeed("extract --model nets/scripted.pt --images images");
    assert!(lab.succeed("extract --model other/scripted.pt --images images").stderr.contains("there already"));
    fs::copy(lab.path("nets/double.pt"), lab.path("other/scripted.pt")).unwrap();
    assert_output!(lab.fail("extract --model other/scripted.pt --images images"), @r#"
    error: there is another run in `activations/scripted`: weights: random, seed 0, in scripted.pt (sha256 be9ba20e…), was random, seed 0, in scripted.pt (sha256 ef7c7b10…); readout: none, was flatten; layers: output [5], was avgpool [6]

    hint: replace it with --force, or keep it and name another place with --out
    "#);
    assert_output!(lab.fail("extract --model nets/scripted.pt --images images --crop 16"), @r#"
    error: there is another run in `activations/scripted`: preprocessing: resize to 32 × 32 (bilinear), crop 16, mean 0.5 0.5 0.5, std 0.25 0.25 0.25, was resize to 32 × 32 (bilinear), no crop, mean 0.5 0.5 0.5, std 0.25 0.25 0.25

    hint: replace it with --force, or keep it and name another place with --out
    "#);
}

#[test]
fn an_extraction_is_like_that_of_a_built_in_network() {
    let lab = lab(&["scripted.pt", "shared.pt"]);
    assert_output!(lab.succeed("extract --model nets/scripted.pt --layer relu@0 --layer body.* --images images"), @r#"
    exit Some(0)
    --- stdout
    activations/scripted
    --- stderr
      model     scripted, weights random, seed 0, in scripted.pt (sha256 ef7c7b10…)
      pixels    resize to 32 × 32 (bilinear), no crop, mean 0.5 0.5 0.5, std 0.25 0.25 0.25
      layers    5 in one pass, which stops after body.3
      images    5 in 2 folders of 2 to 3: 1 JPEG, 4 PNG
      writes    26.10 kB to activations ([space] free)
      runs on   cpu, [workers], batches of 2
      took      [time], [rate]; summed over workers: decoding [time], network [time], writing [time]
      RDMs      5 of 5 × 5, 1 − Pearson's r, in [time]
    "#);
    assert_eq!(
        lab.names("activations/scripted"),
        [
            "body.0.npy",
            "body.0.rdm.npy",
            "body.1.npy",
            "body.1.rdm.npy",
            "body.2.npy",
            "body.2.rdm.npy",
            "body.3.npy",
            "body.3.rdm.npy",
            "images.sha256",
            "images.txt",
            "relu@0.npy",
            "relu@0.rdm.npy",
            "run.json"
        ]
    );
    assert!(
        lab.succeed("extract --model nets/scripted.pt --layer relu@0 --layer body.* --images images")
            .stderr
            .contains("there already")
    );
    assert_output!(lab.succeed("verify activations/scripted"), @r#"
    exit Some(0)
    --- stdout
    fine   images    5 rows, named in images.txt
    fine   files     5 layers as written
    fine   made by   the same images, weights, preprocessing and program as now
    fine   again     5 rows of every layer come out the same, to the bit
    --- stderr
    "#);
    // Those of modules with several names count once.
    assert!(lab.succeed("models nets/shared.pt").stdout.contains("parameters          792"));
    assert_output!(lab.succeed("models nets/scripted.pt"), @"
    exit Some(0)
    --- stdout
    model               scripted
    family              exported
    names and numbers   make_fixtures.py:ConvNet, scripted by torch 2.11.0
    default layer       avgpool, readout flatten
    parameters          533
    licence
    citation
    weights             scripted.file
      file              nets/scripted.pt
      pixels            resize to 32 × 32 (bilinear), no crop, mean 0.5 0.5 0.5, std 0.25 0.25 0.25
    --- stderr
    ");
}

#[test]
fn shards_of_an_exported_network_make_the_same_bytes() {
    let lab = lab(&["traced.pt"]);
    let extract = "extract --model nets/traced.pt --layer body --layer fc --images images --batch-size 2";
    lab.succeed(&format!("{extract} --out whole"));
    for shard in 1..=2 {
        lab.succeed(&format!("{extract} --out parts --shard {shard}/2"));
    }
    lab.succeed("merge parts/traced.shard-1-of-2 parts/traced.shard-2-of-2");
    for file in ["body.npy", "body.rdm.npy", "fc.npy", "fc.rdm.npy"] {
        assert_eq!(lab.bytes(&format!("parts/traced/{file}")), lab.bytes(&format!("whole/traced/{file}")), "{file}");
    }
}

#[test]
fn neither_workers_nor_the_layers_beside_change_a_row() {
    let lab = lab(&["tokens.pt"]);
    let extract = "extract --model nets/tokens.pt --images images --rdm none --batch-size 2";
    lab.succeed(&format!("{extract} --layer * --out all --workers 1"));
    lab.succeed(&format!("{extract} --layer blocks.0.attn:1 --layer norm --readout none --out two --workers 3"));
    assert!(lab.bytes("all/tokens/norm.npy") == lab.bytes("two/tokens/norm.npy"));
    assert_eq!(npy::read(&lab.path("two/tokens/blocks.0.attn:1.npy")).unwrap().shape(), [5, 19, 19]);
}

#[test]
fn what_a_network_writes_to_itself_stays_in_one_batch() {
    let lab = lab(&["stateful.pt"]);
    let lines: String = (0..300).map(|i| format!("images/{}\n", ["a/one.png", "a/two.png", "b/three.png"][i % 3])).collect();
    fs::write(lab.path("list.txt"), lines).unwrap();
    let extract = "extract --model nets/stateful.pt --image-list list.txt --layer output --rdm none --batch-size 1";
    lab.succeed(&format!("{extract} --workers 1 --out one"));
    lab.succeed(&format!("{extract} --workers 4 --out four"));
    let rows = npy::read(&lab.path("one/stateful/output.npy")).unwrap();
    assert!((3..300).all(|row| (0..5).all(|d| rows[[row, d]] == rows[[row % 3, d]])));
    assert!(lab.bytes("one/stateful/output.npy") == lab.bytes("four/stateful/output.npy"));
}

#[test]
fn token_readouts_know_where_the_class_token_and_the_registers_are() {
    let lab = lab(&["tokens.pt"]);
    let extract = "extract --model nets/tokens.pt --images images --rdm none --layer norm";
    for readout in ["none", "cls", "patches", "cls+patches"] {
        lab.succeed(&format!("{extract} --readout {readout} --out {readout}"));
    }
    lab.succeed(&format!("{extract} --readout patches --tokens none --out all"));
    lab.succeed("extract --model nets/tokens.pt --images images --rdm none --out default");
    let read = |out: &str| npy::read(&lab.path(&format!("{out}/tokens/norm.npy"))).unwrap();
    let tokens = read("none");
    // The class token and two registers come before the patches.
    let mean =
        |first: usize, i: usize, d: usize| (first..19).map(|token| tokens[[i, token, d]]).sum::<f64>() / (19 - first) as f64;
    for (i, d) in (0..5).flat_map(|i| (0..8).map(move |d| (i, d))) {
        assert_eq!(read("cls")[[i, d]], tokens[[i, 0, d]]);
        assert_eq!(read("default")[[i, d]], tokens[[i, 0, d]]);
        assert!((read("patches")[[i, d]] - mean(3, i, d)).abs() < 1e-6);
        assert!((read("cls+patches")[[i, 8 + d]] - mean(3, i, d)).abs() < 1e-6);
        assert!((read("all")[[i, d]] - mean(0, i, d)).abs() < 1e-6);
    }
    assert_output!(lab.fail(&format!("{extract} --readout cls --tokens 3 --out no")), @r#"
    error: `norm` has 19 tokens, and no class token with --tokens 3

    hint: take another readout, or, of an exported network, say which tokens are special: --tokens
    "#);
}

#[test]
fn what_was_exported_elsewhere_runs_here() {
    let lab = lab(&["half.pt", "double.pt", "cuda_constant.pt", "prints.pt", "scripted.pt"]);
    for file in ["half", "double", "cuda_constant", "prints"] {
        let outcome = lab.succeed(&format!("extract --model nets/{file}.pt --layer output --images images --rdm none"));
        assert_eq!(outcome.stdout, format!("activations/{file}\n"), "{outcome}");
        assert!(!outcome.stderr.contains("arn"), "{outcome}");
        let rows = npy::read(&lab.path(&format!("activations/{file}/output.npy"))).unwrap();
        assert!(rows.iter().all(|value| value.is_finite()), "{file}");
    }
    // The same weights, of which half.pt has 10 bits.
    lab.succeed("extract --model nets/scripted.pt --layer output --images images --rdm none");
    let read = |file: &str| npy::read(&lab.path(&format!("activations/{file}/output.npy"))).unwrap();
    for (half, whole) in read("half").iter().zip(read("scripted")) {
        assert!((half - whole).abs() < 1e-2, "{half} {whole}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_batches_leave_nothing_behind() {
    let lab = lab(&["tokens.pt"]);
    let peak = |images: usize| {
        let lines: String =
            (0..images).map(|i| format!("images/{}\n", ["a/one.png", "a/two.png", "b/three.png"][i % 3])).collect();
        fs::write(lab.path("list.txt"), lines).unwrap();
        let extract =
            "extract --model nets/tokens.pt --layer * --readout none --image-list list.txt --rdm none --batch-size 16 --force";
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_thingsvision"))
            .args(extract.split(' '))
            .current_dir(lab.path("."))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut peak = 0;
        loop {
            let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok()).unwrap_or(peak);
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success());
                return peak;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    // One image's tensors of all modules take 14 kB: of 900 batches of 16 that would be 200 MB.
    let (few, many): (usize, usize) = (peak(1600), peak(16_000));
    assert!(many < few + 30_000, "{few} kB, {many} kB");
}
