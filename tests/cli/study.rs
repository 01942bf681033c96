//! `thingsvision study`: planned, run, continued, and only what has changed run again.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use thingsvision::npy;

/// A lab with a behavioural RDM of the five images, two subjects' RDMs of a brain area, and a study.
fn lab() -> Lab {
    let lab = Lab::new();
    let distance =
        |seed: usize| move |(i, j): (usize, usize)| if i == j { 0.0 } else { 1.0 + ((i + j) * (i * j + seed) % 11) as f64 };
    for (name, seed) in [("behavior.npy", 1), ("one.npy", 2), ("two.npy", 3)] {
        npy::write(&lab.path(name), &Array2::from_shape_fn((5, 5), distance(seed)).into_dyn()).unwrap();
    }
    write(&lab, "\"random:2\"");
    lab
}

fn write(lab: &Lab, weights: &str) {
    let text = format!(
        "out = \"out\"\nmodels = [\"alexnet\", {{ model = \"resnet18\", layers = [\"layer?\", \"avgpool\"] }}]\n\
         weights = [{weights}]\npermutations = 50\nbootstrap = 0\nclusters = 2\n\n[[dataset]]\nname = \"pictures\"\n\
         images = \"images\"\nbehavior = \"behavior.npy\"\nfmri = [\"IT=one.npy,two.npy\"]\ncategories = \"folder\"\n"
    );
    fs::write(lab.path("study.toml"), text).unwrap();
}

#[test]
fn a_study_runs_from_nothing_and_then_has_nothing_to_do() {
    let lab = lab();
    let planned = lab.succeed("study study.toml --dry-run");
    assert!(!lab.path("out").exists());
    assert_eq!(planned.stdout.lines().count(), 5);
    let outcome = lab.succeed("study study.toml");
    assert_eq!(outcome.stdout, "out/report.html\n");
    let files = ["A-rdms-pictures", "B-behavior", "C-fmri", "D-layers", "figure"];
    for file in files {
        assert!(lab.path(&format!("out/{file}.png")).is_file() && lab.path(&format!("out/{file}.svg")).is_file(), "{file}");
    }
    let results = String::from_utf8(lab.bytes("out/results.csv")).unwrap();
    assert!(results.starts_with("dataset,weights,seed,target,kind,model,layer,compare,"), "{results}");
    // Two targets; two seeds of one layer and of five.
    assert_eq!(results.lines().count(), 1 + 2 * 2 * (1 + 5));
    let summary = String::from_utf8(lab.bytes("out/summary.csv")).unwrap();
    assert_eq!(summary.lines().count(), 1 + 2 * (1 + 5));
    let mean = |file: &str, column: usize, lines: &[&str]| -> Vec<f64> {
        lines.iter().map(|line| line.split(',').nth(column).unwrap_or_else(|| panic!("{file}")).parse().unwrap()).collect()
    };
    let of =
        |text: &str, what: &str| -> Vec<String> { text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect() };
    let scores = of(&results, "behavior,behavior,alexnet.random");
    let scores = mean("results", 11, &scores.iter().map(String::as_str).collect::<Vec<_>>());
    let line = &of(&summary, "behavior,behavior,alexnet,")[0];
    assert!((mean("summary", 7, &[line])[0] - (scores[0] + scores[1]) / 2.0).abs() < 1e-12, "{line} {scores:?}");
    let html = String::from_utf8(lab.bytes("out/report.html")).unwrap();
    assert_eq!(html.matches("<figure>").count(), 4);
    for said in ["torch.manual_seed", "Krizhevsky", "corrected", "random, seed 1", "SHA-256"] {
        assert!(html.contains(said), "{said}");
    }
    for link in ["http:", "src=", "<link", "<script", "url("] {
        let harmless = html.matches(link).count() == html.matches("http://www.w3.org/").count() && link == "http:";
        assert!(!html.contains(link) || harmless, "the report needs `{link}`");
    }
    let before = lab.bytes("out/study.json");
    let again = lab.succeed("study study.toml");
    assert!(again.stderr.contains("4 done, 0 to do") && again.stderr.contains("nothing has changed"), "{again}");
    assert_eq!(lab.bytes("out/study.json"), before);
    // Without fMRI the letters go on, and panels are called as ever.
    let text = fs::read_to_string(lab.path("study.toml")).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("fmri")).collect();
    fs::write(lab.path("study.toml"), without.join("\n")).unwrap();
    lab.succeed("study study.toml");
    let pictures = lab.names("out").into_iter().filter(|name| name.ends_with(".svg")).collect::<Vec<_>>();
    assert_eq!(pictures, ["A-rdms-pictures.svg", "B-behavior.svg", "C-layers.svg", "figure.svg"]);
    let html = String::from_utf8(lab.bytes("out/report.html")).unwrap();
    assert!(html.contains("aria-label=\"pictures, behavior\"") && html.contains("Of several seeds the mean score"));
}

#[test]
fn a_study_among_its_images_is_refused_before_anything_is_done() {
    let lab = lab();
    let text = fs::read_to_string(lab.path("study.toml")).unwrap().replacen("out = \"out\"", "out = \"images/out\"", 1);
    fs::write(lab.path("study.toml"), text).unwrap();
    for arguments in ["study study.toml --dry-run", "study study.toml"] {
        let said = lab.fail(arguments);
        assert!(said.contains("would lie among the images") && said.contains("another place with `out`"), "{said}");
    }
}

#[test]
fn only_what_has_changed_is_done_again() {
    let lab = lab();
    lab.succeed("study study.toml");
    let record = |run: &str| lab.bytes(&format!("out/activations/pictures/{run}/run.json"));
    let (first, second) = (record("alexnet.random-0"), record("resnet18.random-0"));
    write(&lab, "\"random:3\"");
    let outcome = lab.succeed("study study.toml");
    assert!(outcome.stderr.contains("4 done, 2 to do"), "{outcome}");
    assert_eq!((record("alexnet.random-0"), record("resnet18.random-0")), (first.clone(), second));
    // Another picture under the same name.
    lab.copy_image("rgb-300x260.png", "images/a/one.png");
    let outcome = lab.succeed("study study.toml --dry-run");
    assert!(outcome.stderr.contains("0 done, 6 to do") && outcome.stderr.contains("contents sha256: "), "{outcome}");
    lab.succeed("study study.toml");
    assert_ne!(record("alexnet.random-0"), first);
    // Another target, the same runs.
    fs::copy(lab.path("two.npy"), lab.path("behavior.npy")).unwrap();
    let outcome = lab.succeed("study study.toml");
    assert!(outcome.stderr.contains("6 done, 0 to do") && outcome.stderr.contains("wrote results.csv"), "{outcome}");
}

#[test]
fn a_study_that_was_killed_goes_on() {
    let lab = lab();
    let mut study = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(["study", "study.toml"])
        .current_dir(lab.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = lab.path("out/activations/pictures/alexnet.random-0/run.json");
    let start = Instant::now();
    while !first.exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    study.kill().unwrap();
    study.wait().unwrap();
    let record = fs::read(&first).unwrap();
    let outcome = lab.succeed("study study.toml");
    assert_eq!(fs::read(&first).unwrap(), record, "what was whole is kept");
    let uninterrupted = self::lab();
    uninterrupted.succeed("study study.toml");
    for file in ["results.csv", "summary.csv", "figure.svg", "figure.png", "A-rdms-pictures.svg"] {
        assert_eq!(lab.bytes(&format!("out/{file}")), uninterrupted.bytes(&format!("out/{file}")), "{file}\n{outcome}");
    }
}

#[test]
fn what_was_changed_behind_its_back_is_noticed() {
    let lab = lab();
    lab.succeed("study study.toml");
    let results = || lab.bytes("out/results.csv");
    let first = results();
    // IDs that turn a target around.
    let ids: Vec<String> = String::from_utf8(lab.bytes("out/activations/pictures/alexnet.random-0/images.txt"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let turned: String = ids.iter().rev().map(|id| format!("{id}\n")).collect();
    fs::write(lab.path("behavior.ids.txt"), turned).unwrap();
    assert!(lab.succeed("study study.toml").stderr.contains("wrote results.csv"));
    assert_ne!(results(), first);
    fs::remove_file(lab.path("behavior.ids.txt")).unwrap();
    lab.succeed("study study.toml");
    assert_eq!(results(), first);
    // An RDM that is not the one that was computed.
    let run = "out/activations/pictures/alexnet.random-0";
    let rdm = lab.path(&format!("{run}/classifier.5.rdm.npy"));
    let error = lab.fail(&format!("rdm {run}/classifier.5.npy --metric euclidean"));
    assert!(error.contains("is the RDM that the run has made"), "{error}");
    lab.succeed(&format!("rdm {run}/classifier.5.npy --metric euclidean --out other.npy"));
    fs::copy(lab.path("other.npy"), &rdm).unwrap();
    let outcome = lab.succeed("study study.toml");
    assert!(outcome.stderr.contains("3 done, 1 to do") && outcome.stderr.contains("not as it was written"), "{outcome}");
    assert_eq!(results(), first);
    // Half of one.
    let bytes = fs::read(&rdm).unwrap();
    fs::write(&rdm, &bytes[..150]).unwrap();
    assert!(lab.fail(&format!("rsa --behavior behavior.npy {run}")).contains("classifier.5.rdm.npy"));
    assert!(lab.succeed("study study.toml").stderr.contains("3 done, 1 to do"));
    // Figures of a dataset that is called otherwise now.
    let renamed = fs::read_to_string(lab.path("study.toml")).unwrap().replace("\"pictures\"", "\"photographs\"");
    fs::write(lab.path("study.toml"), renamed).unwrap();
    lab.succeed("study study.toml");
    assert!(lab.path("out/A-rdms-photographs.png").exists() && !lab.path("out/A-rdms-pictures.png").exists());
    // From another folder the same.
    let outside = Command::new(env!("CARGO_BIN_EXE_thingsvision")).arg("study").arg(lab.path("study.toml")).output().unwrap();
    assert!(String::from_utf8(outside.stderr).unwrap().contains("nothing has changed"));
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let lab = lab();
    let study = fs::read_to_string(lab.path("study.toml")).unwrap();
    let problem = |from: &str, to: &str| {
        assert!(study.contains(from));
        fs::write(lab.path("study.toml"), study.replace(from, to)).unwrap();
        let text = lab.fail("study study.toml");
        assert!(!lab.path("out").exists(), "{text}");
        text
    };
    assert_output!(problem("\"alexnet\"", "\"alexnett\""), @"
    error: there is no model `alexnett`

    hint: did you mean `alexnet`, `alexnet-sin` or `googlenet`? `thingsvision models` lists all; examples/export_model.py exports others of PyTorch's libraries
    ");
    assert_output!(problem("behavior.npy", "behaviour.npy"), @r#"
    error: dataset `pictures`: cannot read `behaviour.npy`: No such file or directory (os error 2)

    hint: relative paths begin where the study's file lies
    "#);
    assert_output!(problem("\"layer?\"", "\"layr?\""), @r#"
    error: `resnet18` has no layer like `layr?`

    hint: `thingsvision layers --model resnet18` lists all
    "#);
    assert_output!(problem("\"random:2\"", "\"pretrained\""), @"
      dataset   pictures: 5 in 2 folders of 2 to 3: 1 JPEG, 4 PNG
      targets   behavior.npy, IT=one.npy,two.npy
      runs      2 of 2 models; 0 done, 2 to do
      writes    7.62 MB to out ([space] free)
      time      about [time], by the networks' arithmetic and the speed of this machine's cores
    error: the weights of `alexnet` are not on this machine, and --offline or THINGSVISION_OFFLINE is set

    hint: download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth elsewhere and run
          thingsvision weights import alexnet-owt-7be5be79.pth --model alexnet
    ");
    assert_output!(problem("categories", "category"), @r#"
    error: `study.toml` cannot be used: TOML parse error at line 13, column 1
       |
    13 | category = "folder"
       | ^^^^^^^^
    unknown field `category`, expected one of `name`, `images`, `image_list`, `texts`, `templates`, `average_by`, `behavior`, `fmri`, `categories`

    hint: the guide explains the file (docs/figures.md); `study --help` has an example
    "#);
    assert!(problem("weights = [\"random:2\"]", "weights = []").contains("`alexnet` is to have no weights"));
    assert!(problem("layers = ", "layer = ").contains("unknown field `layer`"));
    assert!(problem("\"random:2\"", "\"random2\"").contains("`random2` is no kind of weights"));
    assert!(problem("\"pictures\"", "\"Activations\"").contains("cannot be the name of a dataset"));
    npy::write(&lab.path("six.npy"), &Array2::from_shape_fn((6, 6), |(i, j)| (i as f64 - j as f64).abs()).into_dyn()).unwrap();
    assert_output!(problem("behavior.npy", "six.npy"), @r#"
    error: dataset `pictures`: `six.npy` has 6 stimuli, but `images` has 5

    hint: rows must stand for the same stimuli in the same order: give the RDM of the same images, or name the runs to compare
    "#);
}

#[test]
fn images_of_a_study_are_averaged_by_a_column_of_their_list() {
    let lab = lab();
    let study = fs::read_to_string(lab.path("study.toml"))
        .unwrap()
        .replace("\ncategories = \"folder\"", "")
        .replace("\"random:2\"", "\"random\"");
    fs::write(lab.path("study.toml"), study.replace("images = \"images\"", "images = \"images\"\naverage_by = \"kind\""))
        .unwrap();
    assert_output!(lab.fail("study study.toml"), @"
    error: dataset `pictures`: images are to be averaged by the column `kind`, and no list names them

    hint: `average_by` takes `folder`, or a column of the .csv or .tsv that `image_list` names
    ");
    let listed = "images = \"images\"\nimage_list = \"kinds.csv\"\naverage_by = \"kind\"";
    fs::write(lab.path("study.toml"), study.replace("images = \"images\"", listed)).unwrap();
    let rows = ["a/one.png,p", "a/two.png,q", "b/five.jpg,r", "b/four.png,p", "b/three.png,s", "b/three.png,t"];
    fs::write(lab.path("kinds.csv"), format!("path,Kind\n{}\n", rows.join("\n"))).unwrap();
    assert!(lab.succeed("study study.toml").stderr.contains(", 5 conditions\n"));
    let run = "out/activations/pictures/alexnet.random-0";
    assert_eq!(String::from_utf8(lab.bytes(&format!("{run}/images.txt"))).unwrap(), "p\nq\nr\ns\nt\n");
    assert!(lab.succeed("study study.toml").stderr.contains("nothing has changed"));
}

#[test]
fn names_in_a_study_steer_no_page_and_its_record_removes_nothing_elsewhere() {
    let lab = lab();
    let text = String::from_utf8(lab.bytes("study.toml")).unwrap();
    fs::rename(lab.path("behavior.npy"), lab.path("@b<u>&\u{1b}\u{202e}.npy")).unwrap();
    let odd = "@b<u>&\\u001b\\u202e.npy";
    fs::write(lab.path("study.toml"), text.replace("behavior.npy", odd).replace("\"random:2\"", "\"random\"")).unwrap();
    // A record of what a study made, as somebody else may write it.
    fs::create_dir_all(lab.path("out")).unwrap();
    fs::create_dir(lab.path("elsewhere")).unwrap();
    fs::write(lab.path("elsewhere/precious"), "precious").unwrap();
    std::os::unix::fs::symlink("../elsewhere", lab.path("out/link")).unwrap();
    let files = serde_json::json!(["link/precious", "../elsewhere/precious", lab.path("elsewhere/precious"), "old.png"]);
    let record = serde_json::json!({ "program": "thingsvision 0.1.0", "sha256": "", "files": files });
    fs::write(lab.path("out/study.json"), record.to_string()).unwrap();
    fs::write(lab.path("out/old.png"), "").unwrap();
    lab.succeed("study study.toml");
    assert_eq!(fs::read_to_string(lab.path("elsewhere/precious")).unwrap(), "precious");
    assert!(!lab.path("out/old.png").exists());
    let steers = |text: &str| text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}') || text.contains("<u>");
    let mut looked_at = 0;
    for name in lab.names("out").into_iter().filter(|name| [".html", ".svg", ".csv"].iter().any(|ending| name.ends_with(ending)))
    {
        let text = String::from_utf8(lab.bytes(&format!("out/{name}"))).unwrap();
        assert!(name.ends_with(".csv") || !steers(&text), "{name}");
        assert!(!name.ends_with(".csv") || text.contains(",'@b<u>") && !text.contains(",@b"), "{text}");
        looked_at += 1;
    }
    assert!(looked_at >= 6, "{:?}", lab.names("out"));
}
