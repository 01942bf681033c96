//! Exported networks that cannot be run, or not as they are asked to: the small ones of `tests/exported`.

use crate::assert_output;
use crate::exported::lab;
use std::fs;

#[test]
fn a_file_without_preprocessing_asks_for_it() {
    let lab = lab(&["bare.pt", "scripted.pt"]);
    // Shapes need no more than a size.
    let guessed = lab.succeed("layers --model nets/bare.pt");
    assert!(
        guessed.stdout.contains("3 × 224 × 224") && guessed.stderr.contains("shapes are those for images of 224 × 224"),
        "{guessed}"
    );
    assert!(lab.succeed("layers --model nets/bare.pt --crop 32").stdout.contains("3 × 32 × 32"));
    assert_output!(lab.fail("extract --model nets/bare.pt --images images --resize 32"), @r#"
    error: `bare` does not say what its network is to be shown of an image

    hint: say it: --preprocess imagenet, clip or half, or all of --resize, --crop, --mean and --std
    "#);
    assert_output!(lab.fail("extract --model nets/bare.pt --images images --preprocess imagnet"), @"
    error: there is no preprocessing `imagnet`

    hint: did you mean `imagenet`, `imagenet-v2` or `imagenet-242`? there are `imagenet`, `imagenet-v2`, `clip`, `half`; others are called by the sizes that images are brought and cut to, as `imagenet-342-299` and `imagenet-232-224-bicubic`
    ");
    let told = "--squash --crop 32 --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25";
    lab.succeed(&format!("extract --model nets/bare.pt --layer body --images images {told}"));
    lab.succeed("extract --model nets/scripted.pt --layer body --images images");
    // The same network, shown the same.
    assert!(lab.bytes("activations/bare/body.npy") == lab.bytes("activations/scripted/body.npy"));
    assert!(lab.succeed("layers --model nets/bare.pt --preprocess half --crop 32").stdout.contains("3 × 32 × 32"));
}

#[test]
fn layers_that_are_not_there_are_refused_with_the_reason() {
    let lab = lab(&["bare.pt", "tuples.pt", "unused.pt"]);
    assert_output!(lab.fail("extract --model nets/bare.pt --preprocess half --layer identity --images images"), @r#"
    error: `identity` cannot be extracted: it gives no tensor: nothing at all, or the export left out what computes nothing (such as Identity)

    hint: take another layer: `thingsvision layers` shows which have a shape
    "#);
    assert_output!(lab.fail("extract --model nets/tuples.pt --layer pyramid:2 --images images"), @r#"
    error: there is no `pyramid:2`

    hint: it gives `pyramid:0`, `pyramid:1:0`, `pyramid:1:1`
    "#);
    assert_output!(lab.fail("extract --model nets/tuples.pt --layer conv:1 --images images"), @r#"
    error: there is no `conv:1`

    hint: `conv` gives one tensor
    "#);
    assert_output!(lab.fail("extract --model nets/unused.pt --layer bias --images images"), @r#"
    error: `bias` cannot be extracted: what it gives does not depend on the number of images

    hint: take another layer: `thingsvision layers` shows which have a shape
    "#);
    assert_output!(lab.fail("extract --model nets/unused.pt --layer never --images images"), @r#"
    error: `never` is never called by the network, so it has no output

    hint: `output` uses its weights without it, or leaves it out in evaluation mode
    "#);
    assert_output!(lab.fail("extract --model nets/unused.pt --layer patch --images images"), @r#"
    error: `nets/unused.pt` has no layer `patch`

    hint: did you mean `patches`? `thingsvision layers --model nets/unused.pt` lists all 6
    "#);
}

#[test]
fn files_that_hold_no_network_that_runs_are_refused_with_the_reason() {
    let files = [
        "training.pt",
        "mixing.pt",
        "extremes.pt",
        "fixed_batch.pt",
        "frozen.pt",
        "optimised.pt",
        "two_inputs.pt",
        "foreign_ops.pt",
        "raises.pt",
        "asserts.pt",
        "weights_only.pth",
        "program.pt2",
    ];
    let lab = lab(&files);
    let said: Vec<_> = files.iter().map(|file| format!("{file}\n{}", lab.fail(&format!("layers --model nets/{file}")))).collect();
    assert_output!(said.join("\n"), @r#"
    training.pt
    error: the network in `nets/training.pt` cannot be run: its output for an image changes with the images beside it or from run to run, as in training

    hint: export it in evaluation mode, network.eval(), and without a part that compares the images of a batch

    mixing.pt
    error: the network in `nets/mixing.pt` cannot be run: its output for an image changes with the images beside it or from run to run, as in training

    hint: export it in evaluation mode, network.eval(), and without a part that compares the images of a batch

    extremes.pt
    error: the network in `nets/extremes.pt` cannot be run: its output for an image changes with the images beside it or from run to run, as in training

    hint: export it in evaluation mode, network.eval(), and without a part that compares the images of a batch

    fixed_batch.pt
    error: the network in `nets/fixed_batch.pt` cannot be run: mat1 and mat2 shapes cannot be multiplied (2x32 and 64x5)

    hint: it may take images of another size (--crop N, --preprocess NAME), or batches of one size alone; examples/export_model.py exports and checks networks

    frozen.pt
    error: the network in `nets/frozen.pt` was frozen: its modules and weights were merged into one function, so that it has no layers

    hint: export it without torch.jit.freeze and torch.jit.optimize_for_inference

    optimised.pt
    error: the network in `nets/optimised.pt` cannot be run: required keyword attribute 'value' is undefined

    hint: it was optimised for one machine: export it without torch.jit.optimize_for_inference

    two_inputs.pt
    error: the network in `nets/two_inputs.pt` takes 2 inputs, and only one of images can be given

    hint: export the part that takes images alone, such as the image tower `model.visual` of CLIP

    foreign_ops.pt
    error: the network in `nets/foreign_ops.pt` cannot be run: Unknown builtin op: torchvision::nms.

    hint: it needs operators of another library, which this program does not have: export the network without them

    raises.pt
    error: the network in `nets/raises.pt` cannot be run: this network takes pictures of 48 pixels, not 32

    hint: it may take images of another size (--crop N, --preprocess NAME), or batches of one size alone; examples/export_model.py exports and checks networks

    asserts.pt
    error: the network in `nets/asserts.pt` cannot be run: Input height doesn't match model (48).

    hint: it may take images of another size (--crop N, --preprocess NAME), or batches of one size alone; examples/export_model.py exports and checks networks

    weights_only.pth
    error: `nets/weights_only.pth` holds weights, and no network

    hint: name the network that they are of: --model resnet50 --weights nets/weights_only.pth

    program.pt2
    error: `nets/program.pt2` is a program of torch.export, and TorchScript is needed

    hint: export it in PyTorch: python examples/export_model.py, or torch.jit.script(network.eval()).save("my.pt")
    "#);
    assert_output!(lab.fail("layers --model nets/none.pt"), @r#"
    error: there is no file `nets/none.pt`

    hint: give the path of a network that PyTorch exported, or the name of a model: `thingsvision models` lists all
    "#);
    assert_output!(lab.fail("extract --model nets/fixed_batch.pt --weights random --images images"), @r#"
    error: `fixed_batch` is an exported network, and has the weights that are in its file

    hint: leave --weights out; examples/export_model.py exports networks with other weights (--random, --checkpoint)
    "#);
}

#[test]
fn damaged_files_are_refused() {
    let lab = lab(&["scripted.pt"]);
    let whole = lab.bytes("nets/scripted.pt");
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let extract = "extract --layer * --images images --rdm none --force --model nets";
    lab.succeed(&format!("{extract}/scripted.pt"));
    for trial in 0..20 {
        let mut bytes = whole.clone();
        if trial < 8 {
            bytes.truncate(random(whole.len()));
        } else {
            let (first, len) = (random(whole.len() - 64), 1 + random(64));
            bytes[first..first + len].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        fs::write(lab.path("nets/damaged.pt"), &bytes).unwrap();
        let outcome = lab.run(&format!("{extract}/damaged.pt"));
        match outcome.code {
            Some(1) => assert!(outcome.stderr.starts_with("error: ") && outcome.stderr.contains("hint: "), "{trial}: {outcome}"),
            // What was changed does not count: it is between the files of the archive.
            Some(0) => assert!(lab.bytes("activations/damaged/fc.npy") == lab.bytes("activations/scripted/fc.npy"), "{trial}"),
            _ => panic!("{trial}: {outcome}"),
        }
        assert!(!outcome.stderr.contains("csrc") && !outcome.stderr.contains(".cpp"), "{trial}: {outcome}");
    }
}
