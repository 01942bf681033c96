//! The file of a study: defaults, paths, and mistakes that are named.

use anyhow::Result;
use std::path::Path;
use thingsvision::rsa::Comparison;
use thingsvision::study::{Initial, Study};
use thingsvision::weights::Weights;

fn read(folder: &Path, text: &str) -> Result<Study> {
    let path = folder.join("study.toml");
    std::fs::write(&path, text).unwrap();
    Study::read(&path)
}

const DATASET: &str = "[[dataset]]\nname = \"a\"\nimages = \"i\"\nbehavior = \"b.npy\"\n";

#[test]
fn what_is_not_said_has_its_default_and_paths_begin_at_the_file() {
    let text = format!(
        "out = \"o\"\nmodels = [\"alexnet\", {{ model = \"resnet50\", layers = [\"layer4.*\"] }}, \"net.pt\"]\nweights = [\"pretrained\", \"random:5\"]\n{DATASET}fmri = [\"IT=s1.npy,s2.npy\"]\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path().display();
    std::fs::write(folder.path().join("net.pt"), "").unwrap();
    let study = read(folder.path(), &text).unwrap();
    assert_eq!(study.out, folder.path().join("o"));
    assert_eq!(study.datasets[0].fmri, [format!("IT={lab}/s1.npy,{lab}/s2.npy")]);
    assert_eq!(study.datasets[0].behavior, [format!("{lab}/b.npy")]);
    assert_eq!((&*study.models[0].model, study.models[2].model.clone()), ("alexnet", format!("{lab}/net.pt")));
    assert_eq!(study.weights_of(&study.models[0]), [Initial::Trained(Weights::Pretrained), Initial::Random(5)]);
    assert_eq!((study.compare, study.permutations, study.clusters), (Comparison::Pearson, 1000, 5));
    assert_eq!(study.models[1].layers, ["layer4.*"]);
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |text: &str| format!("{:#}", read(folder.path(), text).unwrap_err());
    assert!(
        problem(&format!("out = \"o\"\nmodels = [\"a\"]\ncompare = \"person\"\n{DATASET}"))
            .contains("unknown variant `person`, expected one of")
    );
    assert!(
        problem(&format!("out = \"o\"\nmodels = [\"a\"]\nweights = [\"random:x\"]\n{DATASET}"))
            .contains("no number of random networks")
    );
    let network = |fields: &str| problem(&format!("out = \"o\"\nmodels = [\n\"b\",\n{{ model = \"a\", {fields} }}]\n{DATASET}"));
    let readout = network("readout = \"meen\"");
    assert!(readout.contains("line 4, column 26") && readout.contains("unknown variant `meen`"), "{readout}");
    assert!(network("tokens = \"cls+x\"").contains("`cls+4` (the class token and 4 others)"));
    let device = problem(&format!("out = \"o\"\nmodels = [\"a\"]\ndevice = \"gpu\"\n{DATASET}"));
    assert!(device.contains("line 3, column 10") && device.contains("expected auto, cpu, cuda or cuda:N"), "{device}");
    let average = problem(&format!("out = \"o\"\nmodels = [\"a\"]\n{DATASET}average_by = \"\""));
    assert!(average.contains("`folder` or the name of a column is needed"), "{average}");
    assert!(problem(&format!("out = \"o\"\nmodel = [\"a\"]\n{DATASET}")).contains("unknown field `model`"));
    assert!(problem(&format!("out = \"o\"\nmodels = [\"a\"]\n{DATASET}{DATASET}")).contains("two datasets are called `a`"));
    let lonely = "[[dataset]]\nname = \"a\"\nimages = \"i\"\n";
    assert!(problem(&format!("out = \"o\"\nmodels = [\"a\"]\n{lonely}")).contains("nothing to compare with"));
    assert!(
        problem(&format!("out = \"o\"\nmodels = [\"a\"]\n{}", DATASET.replace("\"a\"", "\"../a\"")))
            .contains("cannot be the name")
    );
}
