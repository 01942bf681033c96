//! What a shell, a manual and a bug report get: `completions`, `man`, `about`.

use crate::lab::Lab;
use std::process::Command;

/// What bash offers after `line`, of which the last word is being typed.
fn offered(lab: &Lab, line: &str) -> Vec<String> {
    let program = env!("CARGO_BIN_EXE_thingsvision");
    let script = format!(
        "PATH=$(dirname '{program}'):$PATH
         source <(thingsvision completions bash)
         COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9
         _clap_complete_thingsvision thingsvision \"${{COMP_WORDS[COMP_CWORD]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(lab.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn bash_is_offered_commands_models_layers_and_metrics() {
    let lab = Lab::new();
    assert_eq!(offered(&lab, "thingsvision ext"), ["extract"]);
    assert_eq!(offered(&lab, "thingsvision extract --model cornet-"), ["cornet-s", "cornet-z", "cornet-r", "cornet-rt"]);
    let classifier: Vec<_> = (0..7).map(|number| format!("classifier.{number}")).collect();
    assert_eq!(offered(&lab, "thingsvision extract --model alexnet --layer classifier."), classifier);
    assert_eq!(offered(&lab, "thingsvision extract --model = resnet18 --layer avg"), ["avgpool"]);
    assert_eq!(offered(&lab, "thingsvision extract --model alexnet --weights ran"), ["random"]);
    assert_eq!(offered(&lab, "thingsvision rdm x.npy --metric cross"), ["crossnobis"]);
    for command in ["extract --model alexnet", "rdm x.npy"] {
        assert_eq!(offered(&lab, &format!("thingsvision {command} --average-by f")), ["folder"]);
    }
    assert_eq!(offered(&lab, "thingsvision rsa --compare whitened-co"), ["whitened-cosine", "whitened-correlation"]);
    assert!(offered(&lab, "thingsvision models resnet50").contains(&"resnet50.imagenet1k_v2".into()));
    assert!(offered(&lab, "thingsvision extract --model no-such-network --layer x").is_empty());
    // A network with modules that are called `input` and `output`.
    let network = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported/reserved.pt");
    std::fs::copy(network, lab.path("reserved.pt")).unwrap();
    assert_eq!(offered(&lab, "thingsvision extract --model reserved.pt --layer network_"), ["network_output", "network_input"]);
}

#[test]
fn models_of_a_registry_and_files_are_offered_too() {
    let lab = Lab::new();
    std::fs::write(lab.path("my.pth"), "").unwrap();
    std::fs::write(
        lab.path("own.toml"),
        "[[model]]\nname = \"my-vgg\"\narchitecture = { family = \"vgg\", depths = [1, 1, 1, 1, 1], classes = 5 }\n\
         default_layer = \"classifier.4\"\n[[model.weights]]\ntag = \"own\"\nfile = \"my.pth\"\npreprocessing = \"imagenet\"\n",
    )
    .unwrap();
    assert!(offered(&lab, "thingsvision --registry own.toml extract --model my").contains(&"my-vgg".into()));
    assert!(offered(&lab, "thingsvision layers --model my").contains(&"my.pth".into()));
    std::fs::write(lab.path("beh.npy"), "").unwrap();
    for line in ["rsa --behavior be", "rsa --fmri V1 = be", "plot rdm be", "plot mds be", "plot rdm x.npy --cluster be", "rdm be"]
    {
        assert_eq!(offered(&lab, &format!("thingsvision {line}")), ["beh.npy"], "{line}");
    }
    assert_eq!(offered(&lab, "thingsvision rsa --behavior a.npy,be"), ["a.npy,beh.npy"]);
    let layers = offered(&lab, "thingsvision --registry own.toml extract --model my-vgg --layer classifier.6");
    assert_eq!(layers, ["classifier.6"]);
}

#[test]
fn scripts_for_three_shells_call_the_program() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Lab::new().succeed(&format!("completions {shell}")).stdout;
        assert!(script.contains("THINGSVISION_COMPLETE"), "{shell}:\n{script}");
    }
    assert_eq!(Lab::new().run("completions tcsh").code, Some(2));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("pages")).unwrap();
    std::fs::write(lab.path("pages/thingsvision-of-mine.txt"), "x\u{304}").unwrap();
    lab.succeed("man pages");
    assert_eq!(lab.bytes("pages/thingsvision-of-mine.txt"), "x\u{304}".as_bytes(), "a file of the user is changed");
    let pages = lab.names("pages");
    for page in ["thingsvision.1", "thingsvision-extract.1", "thingsvision-rdm-check.1", "thingsvision-plot-mds.1"] {
        assert!(pages.contains(&page.into()), "{pages:?}");
    }
    assert!(String::from_utf8(lab.bytes("pages/thingsvision-extract.1")).unwrap().contains("batch\\-size"));
    std::fs::write(lab.path("file"), "").unwrap();
    assert!(lab.fail("man file/pages").contains("the manual cannot be written to `file/pages`"));
}

#[test]
fn a_bug_report_has_what_is_needed() {
    let lab = Lab::new();
    let facts: serde_json::Value = serde_json::from_str(&lab.succeed("about --json").stdout).unwrap();
    assert_eq!(facts["thingsvision"], env!("CARGO_PKG_VERSION"));
    assert!(facts["libtorch"].as_str().unwrap().starts_with("2."));
    let folder = std::path::Path::new(facts["libtorch_folder"].as_str().unwrap());
    assert!(folder.is_dir() && folder.is_absolute(), "{}", folder.display());
    assert_eq!(facts["weights_folder"], lab.path("cache/weights").display().to_string());
    let table = lab.succeed("about").stdout;
    for fact in ["libtorch", "cuda", "processor", "vector instructions", "cores"] {
        assert!(table.lines().any(|line| line.starts_with(fact)), "{fact}:\n{table}");
    }
    // A run says the same of its libtorch.
    lab.succeed("extract --model cornet-z --weights random --images images --rdm none");
    let record: serde_json::Value = serde_json::from_slice(&lab.bytes("activations/cornet-z.random-0/run.json")).unwrap();
    assert_eq!(record["libtorch"], facts["libtorch"]);
}

#[test]
fn progress_for_programs_is_lines() {
    let lab = Lab::new();
    let run = |how: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
            .args("extract --model cornet-z --weights random --rdm none --force --images images".split(' '))
            .current_dir(lab.path(""))
            .env("THINGSVISION_PROGRESS", how)
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let said = run("lines");
    assert!(said.lines().any(|line| line.starts_with("progress:  extract ") && line.contains("/5")), "{said}");
    assert!(said.chars().all(|letter| letter == '\n' || !letter.is_control()), "{said:?}");
    assert!(!run("no").contains("progress:"));
}
