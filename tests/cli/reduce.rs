//! `extract --reduce` and `thingsvision reduce`: fewer numbers a row.

use crate::assert_output;
use crate::lab::Lab;
use std::fs;
use thingsvision::npy;

const EXTRACT: &str =
    "extract --model cornet-z --weights random --images images --batch-size 2 --layer V1 --layer V2 --layer decoder.linear";
const SRP: &str = "--reduce srp --components 1200";
const PCA: &str = "--reduce pca --components 3";

/// Fails if two runs differ in a file other than their records.
fn assert_same(lab: &Lab, one: &str, other: &str) {
    let names = |run: &str| {
        let files = fs::read_dir(lab.path(run)).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.filter(|name| name != "run.json").collect();
        files.sort();
        files
    };
    assert_eq!(names(one), names(other));
    for name in names(one) {
        assert_eq!(lab.bytes(&format!("{one}/{name}")), lab.bytes(&format!("{other}/{name}")), "{name}");
    }
}

#[test]
fn a_projection_is_the_same_however_the_work_is_divided() {
    let lab = Lab::new();
    let said = lab.succeed(&format!("{EXTRACT} {SRP} --workers 1"));
    assert_eq!(said.stdout, "activations/cornet-z.srp-1200.random-0\n");
    assert!(said.stderr.contains("  reduces   to 1,200 numbers a row by a sparse random projection, seed 0\n"), "{said}");
    assert!(said.stderr.contains("`decoder.linear` has no more and stays as it is"), "{said}");
    let run = "activations/cornet-z.srp-1200.random-0";
    assert_eq!(npy::read(&lab.path(&format!("{run}/V1.npy"))).unwrap().shape(), [5, 1200]);
    assert_eq!(npy::read(&lab.path(&format!("{run}/decoder.linear.npy"))).unwrap().shape(), [5, 1000]);
    for (way, out) in [("--workers 4", "four"), ("--join", "joined"), ("--rdm-of reduced --workers 2", "two")] {
        lab.succeed(&format!("{EXTRACT} {SRP} {way} --out {out}"));
        assert_same(&lab, run, &format!("{out}/cornet-z.srp-1200.random-0"));
    }
    for shard in ["1/3", "2/3", "3/3"] {
        lab.succeed(&format!("{EXTRACT} {SRP} --shard {shard} --out shards"));
    }
    let shards: Vec<String> = (1..=3).map(|n| format!("shards/cornet-z.srp-1200.random-0.shard-{n}-of-3")).collect();
    lab.succeed(&format!("merge {}", shards.join(" ")));
    assert_same(&lab, run, "shards/cornet-z.srp-1200.random-0");
    // Of a run that is there, too.
    lab.succeed(EXTRACT);
    lab.succeed(&format!("reduce activations/cornet-z.random-0 {SRP} --out later"));
    assert_same(&lab, run, "later");
    assert!(lab.succeed(&format!("reduce activations/cornet-z.random-0 {SRP}")).stderr.contains("is there already"));
    assert_output!(lab.succeed("verify later").stdout, @"
    fine   images    5 rows, named in images.txt
    fine   files     3 layers as written
    fine   made by   the same images, weights, preprocessing and program as now
    fine   again     5 rows of every layer come out the same, to the bit
    ");
    // Another seed is another matrix.
    lab.succeed(&format!("{EXTRACT} {SRP} --seed 1 --out seeds"));
    let matrix = |run: &str| fs::read_to_string(lab.path(&format!("{run}/V1.srp.json"))).unwrap();
    assert_ne!(matrix(run), matrix("seeds/cornet-z.srp-1200.random-1"));
}

#[test]
fn principal_components_are_the_same_by_whichever_way() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    lab.succeed(&format!("reduce activations/cornet-z.random-0 {PCA}"));
    let run = "activations/cornet-z.pca-3.random-0";
    lab.succeed(&format!("{EXTRACT} {PCA} --out direct"));
    assert_same(&lab, run, "direct/cornet-z.pca-3.random-0");
    for shard in ["1/2", "2/2"] {
        lab.succeed(&format!("{EXTRACT} {PCA} --shard {shard} --out shards"));
    }
    lab.succeed("merge shards/cornet-z.pca-3.random-0.shard-1-of-2 shards/cornet-z.pca-3.random-0.shard-2-of-2");
    assert_same(&lab, run, "shards/cornet-z.pca-3.random-0");
    assert!(lab.succeed(&format!("verify {run}")).stdout.contains("fine   again     5 rows"));
    // What was changed is seen.
    fs::write(lab.path(&format!("{run}/V1.pca.csv")), "").unwrap();
    assert!(lab.run(&format!("verify {run}")).stdout.contains("`V1.pca.csv` is not as it was written"));
}

#[test]
fn what_a_stopped_process_left_is_gone_on_with_and_the_full_rows_stay() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let (source, run) = ("activations/cornet-z.random-0", "activations/cornet-z.pca-3.random-0");
    lab.succeed(&format!("reduce {source} {PCA} --out wanted"));
    let full = lab.bytes(&format!("{source}/V1.npy"));
    // As a process that was killed among the layers leaves it: V1 is another name of the full rows.
    lab.succeed(&format!("reduce {source} {PCA}"));
    let unfinished = format!("{run}.partial");
    fs::rename(lab.path(run), lab.path(&unfinished)).unwrap();
    let record = fs::read_to_string(lab.path(&format!("{unfinished}/run.json"))).unwrap();
    fs::write(lab.path(&format!("{unfinished}/run.json")), record.replace("\"complete\": true", "\"complete\": false")).unwrap();
    fs::remove_file(lab.path(&format!("{unfinished}/V1.npy"))).unwrap();
    fs::hard_link(lab.path(&format!("{source}/V1.npy")), lab.path(&format!("{unfinished}/V1.unreduced.npy"))).unwrap();
    fs::write(lab.path(&format!("{unfinished}/V2.unreduced.npy.partial")), "cut").unwrap();
    lab.succeed(&format!("reduce {source} {PCA}"));
    assert_same(&lab, run, "wanted");
    assert_eq!(lab.bytes(&format!("{source}/V1.npy")), full);
    // And by `extract`, whose layers were all there.
    fs::rename(lab.path(run), lab.path(&unfinished)).unwrap();
    fs::write(lab.path(&format!("{unfinished}/run.json")), record.replace("\"complete\": true", "\"complete\": false")).unwrap();
    fs::write(lab.path(&format!("{unfinished}/done.txt")), "rows 0 5\n").unwrap();
    fs::remove_file(lab.path(&format!("{unfinished}/V2.npy"))).unwrap();
    fs::copy(lab.path(&format!("{source}/V2.npy")), lab.path(&format!("{unfinished}/V2.unreduced.npy"))).unwrap();
    lab.succeed(&format!("{EXTRACT} {PCA}"));
    assert_same(&lab, run, "wanted");
    assert!(
        lab.fail(&format!("reduce {source} {PCA} --out {source} --force")).contains("in the place of the one that it is made of")
    );
}

#[test]
fn rdms_are_of_what_is_wanted() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let rdm = |run: &str| lab.bytes(&format!("{run}/V1.rdm.npy"));
    for reduction in [SRP, PCA] {
        let label = if reduction == SRP { "srp-1200" } else { "pca-3" };
        lab.succeed(&format!("{EXTRACT} {reduction} --rdm-of full --out full"));
        assert_eq!(rdm(&format!("full/cornet-z.{label}.random-0")), rdm("activations/cornet-z.random-0"));
        lab.succeed(&format!("reduce activations/cornet-z.random-0 {reduction} --rdm-of full --out later-{label}"));
        assert_same(&lab, &format!("full/cornet-z.{label}.random-0"), &format!("later-{label}"));
        lab.succeed(&format!("{EXTRACT} {reduction} --out reduced"));
        assert_ne!(rdm(&format!("reduced/cornet-z.{label}.random-0")), rdm("activations/cornet-z.random-0"));
    }
    assert!(
        !fs::read_dir(lab.path("full/cornet-z.pca-3.random-0"))
            .unwrap()
            .any(|file| { file.unwrap().file_name().to_string_lossy().contains("unreduced") })
    );
}

#[test]
fn new_images_are_projected_on_the_components_of_others() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} {PCA}"));
    let fitted = "activations/cornet-z.pca-3.random-0";
    lab.succeed(&format!("{EXTRACT} --reduce pca --fit-on {fitted} --out again"));
    let rows = |run: &str| npy::read(&lab.path(&format!("{run}/V2.npy"))).unwrap();
    let (own, again) = (rows(fitted), rows("again/cornet-z.pca.random-0"));
    let scale = own.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    assert!(own.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-5 * scale));
    // One image alone has the same row, and fewer components are the first.
    fs::write(lab.path("one.txt"), "a/one.png\n").unwrap();
    lab.succeed(&format!("{EXTRACT} --reduce pca --components 2 --fit-on {fitted} --image-list one.txt --out one"));
    let one = rows("one/cornet-z.pca-2.random-0");
    assert_eq!(one.shape(), [1, 2]);
    assert!((0..2).all(|component| one[[0, component]] == again[[0, component]]));

    // Where the components are is recorded so that it is found from everywhere.
    lab.succeed(&EXTRACT.replace("extract ", "extract --out full "));
    lab.succeed(&format!("reduce full/cornet-z.random-0 --reduce pca --fit-on {fitted} --out projected"));
    let record: serde_json::Value = serde_json::from_slice(&lab.bytes("projected/run.json")).unwrap();
    assert!(std::path::Path::new(record["request"]["reduction"]["fit_on"].as_str().unwrap()).is_absolute());
    assert!(lab.succeed("verify projected").stdout.contains("fine   again"));

    let refused = |command: &str| lab.fail(command);
    let table = fs::read_to_string(lab.path(&format!("{fitted}/V1.pca.csv"))).unwrap();
    fs::write(lab.path(&format!("{fitted}/V1.pca.csv")), table.replacen("1,", "1,9", 1)).unwrap();
    assert!(
        refused(&format!("{EXTRACT} --reduce pca --fit-on {fitted} --out x"))
            .contains("`activations/cornet-z.pca-3.random-0/V1.pca.csv` is not as it was written")
    );
    fs::write(lab.path(&format!("{fitted}/V1.pca.csv")), table).unwrap();
    assert_output!(refused(&format!("{EXTRACT} --reduce pca --fit-on {fitted} --out x --seed 1")), @"
    error: the components in `activations/cornet-z.pca-3.random-0` are of other features: weights: random, seed 1 (as torch.manual_seed(1)), was random, seed 0 (as torch.manual_seed(0))

    hint: take the same network, weights, pixels and readout
    ");
    assert_output!(refused(&format!("{EXTRACT} --reduce pca --fit-on {fitted} --out x --components 4")), @"
    error: `activations/cornet-z.pca-3.random-0` has 3 components of `V1`, and 4 are wanted

    hint: take fewer --components, or leave it out for all
    ");
    assert_output!(refused(&format!("{EXTRACT} --layer V4 --reduce pca --fit-on {fitted} --out x")), @"
    error: `activations/cornet-z.pca-3.random-0` has no components of `V4`

    hint: it has `V1`, `V2`, `decoder.linear`
    ");
    assert_output!(refused(&format!("{EXTRACT} --reduce pca --fit-on images --out x")), @"
    error: there is no run in `images` to take principal components from

    hint: make one: thingsvision reduce RUN_DIR --reduce pca --components 100
    ");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let said = |flags: &str| lab.fail(&format!("{EXTRACT} {flags} --out x"));
    assert_output!(said("--reduce pca"), @"
    error: it is not said how many principal components are wanted

    hint: say it: --components 100
    ");
    assert_output!(said("--reduce pca --components 5"), @"
    error: 5 components wanted of 5 rows, which can have 4 at most

    hint: take fewer --components or more images; --fit-on takes the components of another run
    ");
    assert_output!(said("--reduce srp --whiten"), @"
    error: --whiten and --fit-on are for --reduce pca

    hint: leave them out; a random projection depends on no images
    ");
    assert_output!(said("--reduce pca --components 2 --rdm none --rdm-of full"), @"
    error: --rdm-of full asks for RDMs, and --rdm none for none

    hint: leave out one of them
    ");
    assert!(!lab.path("x").exists());
    assert_output!(lab.fail("reduce activations/cornet-z.random-0"), @"
    error: it is not said how rows are to be reduced

    hint: say it: --reduce pca --components 100, or --reduce srp
    ");
    assert_output!(lab.fail("reduce images --reduce srp"), @"
    error: there is no run in `images`

    hint: name the folder that `thingsvision extract` printed
    ");
    lab.succeed(&format!("reduce activations/cornet-z.random-0 {PCA}"));
    assert_output!(lab.fail(&format!("reduce activations/cornet-z.pca-3.random-0 {SRP}")), @"
    error: the rows of `activations/cornet-z.pca-3.random-0` are reduced already

    hint: name the run with the full rows
    ");
    // A record that says other rows than there are.
    let record = fs::read_to_string(lab.path("activations/cornet-z.random-0/run.json")).unwrap();
    for (was, is) in [("\"images\": 5,", "\"images\": 4,"), ("\"dtype\": \"f32\"", "\"dtype\": \"f16\"")] {
        assert!(record.contains(was));
        fs::write(lab.path("activations/cornet-z.random-0/run.json"), record.replace(was, is)).unwrap();
        assert!(lab.fail(&format!("reduce activations/cornet-z.random-0 {SRP} --out x")).contains("V1.npy` is no array of"));
    }
    fs::write(lab.path("activations/cornet-z.random-0/run.json"), record).unwrap();
    // Another run is not written over.
    assert_output!(lab.fail(&format!("reduce activations/cornet-z.random-0 {SRP} --out activations/cornet-z.pca-3.random-0")), @"
    error: there is already a run in `activations/cornet-z.pca-3.random-0`

    hint: replace it with --force, or keep it and name another place with --out
    ");
}
