//! `thingsvision encode`

use crate::assert_output;
use crate::lab::Lab;
use flate2::read::GzDecoder;
use ndarray::Array2;
use std::fs;
use std::io::Read;
use thingsvision::npy;

const IMAGES: usize = 40;

/// A number that looks drawn, from −0.5 to 0.5.
fn number(place: usize) -> f64 {
    let mut bits = place as u64 + 0x9e37_79b9_7f4a_7c15;
    for shift in [30, 27, 31] {
        bits = (bits ^ (bits >> shift)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (bits >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

fn drawn(rows: usize, columns: usize, from: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(row, column)| number(from + row * columns + column))
}

fn write(lab: &Lab, name: &str, values: &Array2<f64>, ids: &[String]) {
    npy::write(&lab.path(&format!("{name}.npy")), &values.clone().into_dyn()).unwrap();
    fs::write(lab.path(&format!("{name}.ids.txt")), ids.iter().map(|id| format!("{id}\n")).collect::<String>()).unwrap();
}

fn names() -> Vec<String> {
    (0..IMAGES).map(|image| format!("image-{image:02}.jpg")).collect()
}

/// `few.npy` and `many.npy`, features; `seen.npy`, eight targets of which four see `few` and four are noise, each image three times and the
/// third time in another order.
fn lab() -> Lab {
    let lab = Lab::new();
    let few = drawn(IMAGES, 5, 0);
    write(&lab, "few", &few, &names());
    write(&lab, "many", &drawn(IMAGES, 90, 10_000), &names());
    let order: Vec<usize> = (0..IMAGES).chain(0..IMAGES).chain((0..IMAGES).map(|image| image * 7 % IMAGES)).collect();
    let seen = Array2::from_shape_fn((order.len(), 8), |(row, target)| {
        let signal = if target < 4 { few[[order[row], target]] - few[[order[row], 4]] } else { 0.0 };
        signal + 0.4 * number(50_000 + row * 8 + target)
    });
    write(&lab, "seen", &seen, &order.iter().map(|&image| names()[image].clone()).collect::<Vec<_>>());
    lab
}

fn values(lab: &Lab, file: &str) -> Vec<f64> {
    npy::read(&lab.path(file)).unwrap().into_iter().collect()
}

#[test]
fn layers_are_scored_on_responses() {
    let lab = lab();
    let said = lab.succeed("encode few.npy many.npy --targets sub-1=seen.npy --permutations 199");
    assert_output!(said, @"
    exit Some(0)
    --- stdout
    responses   model   layer   images   targets       r       R²    r/√c   q ≤ 0.05   family
    sub-1       few                 40         8   0.479    0.317   0.993          4        4
                many                               0.041   -0.258   0.208          0        0
    --- stderr

      r, R²: of predicted and true responses, mean of 5 folds, mean over targets; penalties chosen by 5 parts of what is fitted.
      r/√c: r over the root of the noise ceiling, median over targets whose ceiling is above 0.
      q ≤ 0.05, family: targets with p ≤ 0.05 of 199 permutations, corrected by false discovery rate and by the largest r.
      wrote encode/encode.csv, encode/encode.json, and the scores of each target in encode/
      next: thingsvision plot layers encode/encode.json
    ");
    assert_output!(lab.succeed("encode few.npy many.npy --targets sub-1=seen.npy --permutations 199"), @"
    exit Some(0)
    --- stdout
    responses   model   layer   images   targets       r       R²    r/√c   q ≤ 0.05   family
    sub-1       few                 40         8   0.479    0.317   0.993          4        4
                many                               0.041   -0.258   0.208          0        0
    --- stderr

      r, R²: of predicted and true responses, mean of 5 folds, mean over targets; penalties chosen by 5 parts of what is fitted.
      r/√c: r over the root of the noise ceiling, median over targets whose ceiling is above 0.
      q ≤ 0.05, family: targets with p ≤ 0.05 of 199 permutations, corrected by false discovery rate and by the largest r.
      kept 2 fits that were done before.
      wrote encode/encode.csv, encode/encode.json, and the scores of each target in encode/
      next: thingsvision plot layers encode/encode.json
    ");
    assert_eq!(lab.names("encode"), ["encode.csv", "encode.json", "sub-1"]);
    let endings = [
        "ceiling.npy",
        "json",
        "p.npy",
        "p_family.npy",
        "penalty.npy",
        "q.npy",
        "r.npy",
        "r2.npy",
        "r2_normalised.npy",
        "r_normalised.npy",
    ];
    let expected: Vec<String> =
        ["few", "many"].iter().flat_map(|layer| endings.map(|ending| format!("{layer}.{ending}"))).collect();
    assert_eq!(lab.names("encode/sub-1"), expected);
    let r = values(&lab, "encode/sub-1/few.r.npy");
    assert!(r[..4].iter().all(|r| *r > 0.7) && r[4..].iter().all(|r| *r < 0.5), "{r:?}");
    assert!(values(&lab, "encode/sub-1/few.p_family.npy")[..4].iter().all(|p| *p < 0.05));
    // The figures take what is written.
    lab.succeed("plot layers encode/encode.json --out layers");
    lab.succeed("plot bars encode/encode.json --out bars");
    assert!(lab.path("layers.png").is_file() && lab.path("bars.png").is_file());
}

/// However many cores, at once or as shards, by whichever method: the same bytes.
#[test]
fn shards_make_the_same_files() {
    let lab = lab();
    let words = "few.npy many.npy --targets seen.npy --targets again=seen.npy --repeats keep --predictions";
    lab.succeed(&format!("encode {words} --out whole"));
    assert_output!(lab.succeed(&format!("encode {words} --out parts --shard 2/3")), @"
    exit Some(0)
    --- stdout
    responses   model   layer   images   targets       r       R²    r/√c
    seen        many                40         8   0.027   -0.180   0.195
    --- stderr

      r, R²: of predicted and true responses, mean of 5 folds, mean over targets; penalties chosen by 5 parts of what is fitted.
      r/√c: r over the root of the noise ceiling, median over targets whose ceiling is above 0.
      1 of 4 fits are in parts/; the same command without --shard makes the table of all
    ");
    assert!(!lab.path("parts/encode.json").exists());
    lab.succeed(&format!("encode {words} --out parts --shard 1/3"));
    lab.succeed(&format!("encode {words} --out parts --shard 3/3 --memory 100M"));
    lab.succeed(&format!("encode {words} --out parts"));
    assert_eq!(lab.bytes("whole/encode.csv"), lab.bytes("parts/encode.csv"));
    for name in lab.names("whole/seen") {
        assert_eq!(lab.bytes(&format!("whole/seen/{name}")), lab.bytes(&format!("parts/seen/{name}")), "{name}");
    }
    // What is predicted of the rows of an image is the same, and makes an RDM.
    let predicted = npy::read(&lab.path("whole/seen/few.predicted.npy")).unwrap();
    assert_eq!(predicted.shape(), [3 * IMAGES, 8]);
    lab.succeed("encode few.npy --targets seen.npy --predictions --out averaged");
    lab.succeed("rdm averaged/seen/few.predicted.npy --out predicted.npy");
    assert_eq!(lab.bytes("predicted.ids.txt"), lab.bytes("few.ids.txt"));
}

#[test]
fn nothing_of_what_is_predicted_is_fitted() {
    let lab = lab();
    // Groups whose means differ far more than images within them: whoever knows a group's mean predicts well.
    let group = |image: usize| image % 8;
    let features = Array2::from_shape_fn((IMAGES, 8), |(image, unit)| {
        f64::from(u8::from(group(image) == unit)) + 0.01 * number(image * 8 + unit)
    });
    let responses = Array2::from_shape_fn((IMAGES, 20), |(image, target)| {
        5.0 * number(900 + group(image) * 20 + target) + 0.1 * number(image * 20 + target)
    });
    write(&lab, "groups", &features, &names());
    write(&lab, "felt", &responses, &names());
    let table: String = names().iter().enumerate().map(|(image, name)| format!("{name},{}\n", group(image))).collect();
    fs::write(lab.path("groups.csv"), table).unwrap();
    let r = |words: &str| {
        lab.succeed(&format!("encode groups.npy --targets felt.npy --force {words}"));
        let r = values(&lab, "encode/felt/groups.r.npy");
        r.iter().sum::<f64>() / r.len() as f64
    };
    let (known, unknown) = (r(""), r("--groups groups.csv --folds 4"));
    assert!(known > 0.9 && unknown < 0.3, "{known} {unknown}");
    // Lists say which images are fitted, and which predicted.
    let list = |file: &str, images: std::ops::Range<usize>| {
        fs::write(lab.path(file), names()[images].iter().map(|name| format!("{name}\n")).collect::<String>()).unwrap();
    };
    list("train.txt", 0..24);
    list("test.txt", 24..36);
    assert!(r("--train train.txt --test test.txt --predictions") > 0.9);
    assert_eq!(lab.bytes("encode/felt/groups.predicted.ids.txt"), lab.bytes("test.txt"));
    lab.succeed(
        "encode groups.npy --targets felt.npy --force --train train.txt --test test.txt --permutations 99 --bootstrap 100",
    );
    let of = |name: &str| values(&lab, &format!("encode/felt/groups.{name}.npy"));
    let (r, low, high) = (of("r"), of("r_low"), of("r_high"));
    assert!((0..20).all(|target| low[target] < r[target] && r[target] < high[target]));
    assert!(of("p").iter().all(|p| *p <= 0.05));
    list("test.txt", 20..36);
    assert_output!(lab.fail("encode groups.npy --targets felt.npy --force --train train.txt --test test.txt"), @"
    error: `image-20.jpg` is both to be fitted and to be predicted

    hint: an image belongs into one of the lists only
    ");
    list("test.txt", 24..36);
    assert_output!(lab.fail("encode groups.npy --targets felt.npy --force --train train.txt --test test.txt --groups groups.csv"), @"
    error: `image-00.jpg` is of a group of which some images are to be fitted and others to be predicted

    hint: put the whole group into one of the lists, or leave out --groups
    ");
}

#[test]
fn targets_that_cannot_be_fitted_are_left_out_and_counted() {
    let lab = lab();
    let mut seen = npy::read(&lab.path("seen.npy")).unwrap().into_dimensionality::<ndarray::Ix2>().unwrap();
    seen[[3, 1]] = f64::NAN;
    seen.column_mut(6).fill(2.0);
    npy::write(&lab.path("seen.npy"), &seen.into_dyn()).unwrap();
    assert_output!(lab.succeed("encode few.npy --targets seen.npy"), @"
    exit Some(0)
    --- stdout
    responses   model   layer   images   targets       r      R²    r/√c
    seen        few                 40         6   0.481   0.317   0.993
    --- stderr

      r, R²: of predicted and true responses, mean of 5 folds, mean over targets; penalties chosen by 5 parts of what is fitted.
      r/√c: r over the root of the noise ceiling, median over targets whose ceiling is above 0.
      seen: left out 1 target with NaN, infinite values or values beyond 1e100.
      seen: left out 1 target without variance in a fold.
      wrote encode/encode.csv, encode/encode.json, and the scores of each target in encode/
      next: thingsvision plot layers encode/encode.json
    ");
    let r = values(&lab, "encode/seen/few.r.npy");
    assert_eq!(r.iter().map(|r| r.is_nan()).collect::<Vec<_>>(), [false, true, false, false, false, false, true, false]);
    npy::write(&lab.path("seen.npy"), &Array2::<f64>::zeros((3 * IMAGES, 2)).into_dyn()).unwrap();
    assert_output!(lab.fail("encode few.npy --targets seen.npy --force"), @"
    error: no target of `seen.npy` can be fitted: 0 have NaN or values beyond 1e100, 2 do not vary in all folds

    hint: are rows images and columns targets? transpose the array if not; leave out rows that were not measured
    ");
}

#[test]
fn spaces_are_fitted_together_and_their_variance_is_parted() {
    let lab = lab();
    assert_output!(lab.succeed("encode few.npy many.npy --targets seen.npy --banded --partition --draws 6"), @"
    exit Some(0)
    --- stdout
    responses   model    layer        images   targets       r      R²    r/√c   only 1   only 2    1 & 2
    seen        banded   few + many       40         8   0.456   0.304   0.970    0.562   -0.013   -0.245
    --- stderr

      r, R²: of predicted and true responses, mean of 5 folds, mean over targets; penalties chosen by 5 parts of what is fitted.
      r/√c: r over the root of the noise ceiling, median over targets whose ceiling is above 0.
      only, &: R² by one space beside the others, and what spaces share; they add up to R².
      1 fit chose the smallest penalty for more than half of the targets: try smaller ones, --penalties.
      wrote encode/encode.csv, encode/encode.json, and the scores of each target in encode/
      next: thingsvision plot layers encode/encode.json
    ");
    let of = |name: &str| values(&lab, &format!("encode/seen/banded/few+many.{name}.npy"));
    let (whole, parts) = (of("r2"), [of("unique_1"), of("unique_2"), of("shared_1_2")]);
    assert!((0..8).all(|target| (parts.iter().map(|part| part[target]).sum::<f64>() - whole[target]).abs() < 1e-12));
    assert_output!(lab.fail("encode few.npy --targets seen.npy --banded"), @"
    error: 1 feature spaces are named

    hint: name 2 to 16 layers, as files: activations/alexnet/features.2.npy activations/clip-vit/visual.npy
    ");
}

/// Of the lists' one fold the predictions are those of the weights.
#[test]
fn weights_predict_what_was_predicted() {
    let lab = lab();
    let list = |file: &str, images: std::ops::Range<usize>| {
        fs::write(lab.path(file), names()[images].iter().map(|name| format!("{name}\n")).collect::<String>()).unwrap();
    };
    list("train.txt", 0..30);
    list("test.txt", 30..IMAGES);
    let mut few = npy::read(&lab.path("few.npy")).unwrap().into_dimensionality::<ndarray::Ix2>().unwrap();
    few.mapv_inplace(|value| 30.0 * value + 7.0);
    write(&lab, "few", &few, &names());
    for (layers, file) in [("few.npy", "few"), ("many.npy", "many"), ("few.npy many.npy --banded --draws 5", "banded/few+many")] {
        let words = "--train train.txt --test test.txt --weights --predictions --inner-folds 3 --penalties 1e-2:1e4:7";
        lab.succeed(&format!("encode {layers} --targets seen.npy {words}"));
        let read = |name: &str| npy::read(&lab.path(&format!("encode/seen/{file}.{name}.npy"))).unwrap();
        let two = |array: ndarray::ArrayD<f64>| array.into_dimensionality::<ndarray::Ix2>().unwrap();
        let (weights, intercepts, predicted) = (two(read("weights")), read("intercepts"), two(read("predicted")));
        let of = |name: &str| two(npy::read(&lab.path(&format!("{name}.npy"))).unwrap());
        let x = match file {
            "few" | "many" => of(file),
            _ => ndarray::concatenate(ndarray::Axis(1), &[of("few").view(), of("many").view()]).unwrap(),
        };
        let found = x.dot(&weights.t());
        for ((row, target), predicted) in predicted.indexed_iter() {
            let own = found[[row + 30, target]] + intercepts[target];
            assert!((own - predicted).abs() < 1e-5, "{file} {row} {target}: {own} {predicted}");
        }
    }
}

#[test]
fn partial_least_squares_predict_too() {
    let lab = lab();
    assert_output!(lab.succeed("encode few.npy many.npy --targets seen.npy --method pls --components 2"), @"
    exit Some(0)
    --- stdout
    responses   model   layer   images   targets       r       R²    r/√c
    seen        few                 40         8   0.386    0.078   0.775
                many                               0.078   -0.310   0.251
    --- stderr

      r, R²: of predicted and true responses, mean of 5 folds, mean over targets; partial least squares of 2 components.
      r/√c: r over the root of the noise ceiling, median over targets whose ceiling is above 0.
      wrote encode/encode.csv, encode/encode.json, and the scores of each target in encode/
      next: thingsvision plot layers encode/encode.json
    ");
    assert_output!(lab.fail("encode few.npy --targets seen.npy --method pls --force"), @"
    error: `seen` by `few`: the features of 32 rows have 5 independent dimensions, too few for 25 components

    hint: take at most --components 5
    ");
}

#[test]
fn scores_of_voxels_are_maps() {
    let lab = Lab::new();
    for file in ["sub-2.nii", "mask-2.nii"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti").join(file);
        fs::copy(path, lab.path(file)).unwrap();
    }
    lab.succeed("rdm sub-2.nii --mask mask-2.nii --out rdm.npy");
    let conditions = npy::read(&lab.path("rdm.npy")).unwrap().shape()[0];
    npy::write(&lab.path("features.npy"), &drawn(conditions, 3, 5).into_dyn()).unwrap();
    assert_output!(lab.fail("encode features.npy --targets sub-2.nii"), @"
    error: `sub-2.nii` is an image of the whole brain

    hint: say which voxels are meant: --mask MASK.nii.gz
    ");
    lab.succeed("encode features.npy --targets sub-2.nii --mask mask-2.nii --folds 2 --choose generalised");
    let mut map = Vec::new();
    GzDecoder::new(&lab.bytes("encode/sub-2/features.r.nii.gz")[..]).read_to_end(&mut map).unwrap();
    let header = lab.bytes("mask-2.nii");
    // Sizes, and where the voxels lie in space, are the mask's.
    assert_eq!(map[42..48], header[42..48]);
    assert_eq!(map[252..344], header[252..344]);
    let is_little = header[0] == 92;
    let float = |bytes: &[u8]| {
        let bytes = bytes.try_into().unwrap();
        if is_little { f32::from_le_bytes(bytes) } else { f32::from_be_bytes(bytes) }
    };
    let floats: Vec<f32> = map[352..].chunks_exact(4).map(float).collect();
    let inside: Vec<f64> = floats.iter().filter(|value| **value != 0.0).map(|value| f64::from(*value)).collect();
    let r = values(&lab, "encode/sub-2/features.r.npy");
    assert_eq!(inside.len(), r.len());
    assert!(inside.iter().zip(&r).all(|(map, r)| (map - r).abs() < 1e-6 || map.is_nan() && r.is_nan()));
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let lab = lab();
    fs::write(
        lab.path("groups.csv"),
        names().iter().enumerate().map(|(n, name)| format!("{name},{}\n", n % 3)).collect::<String>(),
    )
    .unwrap();
    npy::write(&lab.path("short.npy"), &drawn(7, 3, 0).into_dyn()).unwrap();
    npy::write(&lab.path("ceiling.npy"), &ndarray::arr1(&[50.0; 8]).into_dyn()).unwrap();
    let mut nan = drawn(IMAGES, 3, 0);
    nan[[4, 1]] = f64::NAN;
    write(&lab, "nan", &nan, &names());
    fs::write(lab.path("other.txt"), "image-99.jpg\n").unwrap();
    let refused = [
        "few.npy --targets seen.npy --folds 1",
        "few.npy --targets seen.npy --folds 50",
        "few.npy --targets seen.npy --groups groups.csv",
        "few.npy --targets seen.npy --exchange groups",
        "few.npy --targets seen.npy --bootstrap 1000",
        "few.npy many.npy --targets seen.npy --banded --permutations 100",
        "few.npy --targets short.npy",
        "nan.npy --targets seen.npy",
        "few.npy --targets seen.npy --ceiling ceiling.npy",
        "few.npy --targets seen.npy --memory 1k",
        "few.npy --targets seen.npy --train other.txt --test other.txt",
        "few.npy --targets seen.npy --targets seen.npy",
        "few.npy --targets seen.npy --out few.npy",
        "few.npy --targets nowhere.npy",
    ];
    let said: Vec<String> = refused.iter().map(|words| format!("$ {words}\n{}", lab.fail(&format!("encode {words}")))).collect();
    assert_output!(said.join("\n"), @"
    $ few.npy --targets seen.npy --folds 1
    error: with a single fold nothing is left to fit

    hint: take --folds 5, or lists: --train FILE --test FILE

    $ few.npy --targets seen.npy --folds 50
    error: 40 groups cannot be divided into 50 folds

    hint: take at most --folds 13

    $ few.npy --targets seen.npy --groups groups.csv
    error: 3 groups cannot be divided into 5 folds

    hint: take at most --folds 3

    $ few.npy --targets seen.npy --exchange groups
    error: --exchange groups needs groups

    hint: give them: --groups FILE

    $ few.npy --targets seen.npy --bootstrap 1000
    error: folds predict each other, and a bootstrap of what they predict makes intervals too narrow

    hint: leave images to be predicted alone, --train FILE --test FILE; or leave out --bootstrap

    $ few.npy many.npy --targets seen.npy --banded --permutations 100
    error: folds predict each other, so each permutation fits all anew, which is not done of bands and partial least squares

    hint: leave images to be predicted alone, --train FILE --test FILE; or leave out --permutations

    $ few.npy --targets short.npy
    error: `short` has 7 stimuli, but `few.npy` has 40

    hint: rows must stand for the same stimuli in the same order: give the RDM of the same images, or name the runs to compare

    $ nan.npy --targets seen.npy
    error: `seen` by `nan`: `nan.npy`: values that are not finite (NaN or infinite) in `image-04.jpg`

    hint: find out where they come from before comparing anything

    $ few.npy --targets seen.npy --ceiling ceiling.npy
    error: `seen` by `few`: `ceiling.npy` has a ceiling of 50, and a share of variance lies between 0 and 1

    hint: divide per cent by 100; square a ceiling of r

    $ few.npy --targets seen.npy --memory 1k
    error: `seen` by `few`: a fit needs about 1.32 MB of memory, and 1.00 kB may be taken

    hint: give more: --memory; or reduce the features first: thingsvision reduce RUN --reduce srp

    $ few.npy --targets seen.npy --train other.txt --test other.txt
    error: `other.txt` names an image that not all have: `image-99.jpg`

    hint: names must be written as in images.txt or .ids.txt

    $ few.npy --targets seen.npy --targets seen.npy
    error: `seen.npy` and `seen.npy` are both called `seen`

    hint: give each a name of its own: --targets sub-1=FILE --targets sub-2=FILE

    $ few.npy --targets seen.npy --out few.npy
    error: `few.npy` is a file, and a folder is needed

    hint: name a folder: --out encode

    $ few.npy --targets nowhere.npy
    error: cannot read `nowhere.npy`: No such file or directory (os error 2)

    hint: relative paths begin at the current folder
    ");
    for wrong in ["--penalties 0", "--penalties 1:2", "--memory much", "--shard 3/2", "--train other.txt"] {
        let said = lab.run(&format!("encode few.npy --targets seen.npy {wrong}"));
        assert_eq!(said.code, Some(2), "{wrong}: {}", said.stderr);
    }
    // Other settings do not take the place of what is there.
    lab.succeed("encode few.npy --targets seen.npy");
    assert_output!(lab.fail("encode few.npy --targets seen.npy --choose leave-one-out"), @r#"
    error: `encode/seen/few.json` was made otherwise: choose "folds", now "leave-one-out"

    hint: name another folder with --out, or fit anew: --force
    "#);
}
