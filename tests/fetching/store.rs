//! The cache of weights: nothing half-written or wrong is ever used.

use crate::download::{HASTY, content};
use crate::server::{Answer, Server};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;
use thingsvision::atomic_file::partial;
use thingsvision::registry::Registry;
use thingsvision::weights::{Found, Store};

/// A registry with one model whose weights are published by `server`.
struct Publisher {
    folder: TempDir,
    registry: Registry,
}

impl Publisher {
    fn new(server: &Server, sha256: Option<&str>) -> Publisher {
        let folder = tempfile::tempdir().unwrap();
        let sha256 = sha256.map(|sha256| format!("sha256 = \"{sha256}\"")).unwrap_or_default();
        let text = format!(
            r#"
            [[model]]
            name = "mine"
            architecture = {{ family = "cornet", variant = "z", classes = 2 }}
            default_layer = "V1"
            [[model.weights]]
            tag = "published"
            url = "{}"
            {sha256}
            preprocessing = "imagenet"
            "#,
            server.url("some/mine.pth")
        );
        let path = folder.path().join("my.toml");
        fs::write(&path, text).unwrap();
        let registry = Registry::load(Some(&path)).unwrap();
        Publisher { folder, registry }
    }

    fn store(&self) -> Store {
        Store::open(Some(&self.folder.path().join("cache")), false).unwrap().with_patience(HASTY)
    }

    fn fetch(&self) -> Result<Found, String> {
        let choice = self.registry.choose("mine").unwrap();
        self.store().fetch(&choice, &mut |_, _| {}).map_err(|error| format!("{error:#}"))
    }

    fn place(&self) -> PathBuf {
        self.store().place(&self.registry.choose("mine").unwrap()).unwrap()
    }

    /// The program with this registry and cache.
    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thingsvision"));
        command
            .args(arguments.split_whitespace())
            .args(["--registry", "my.toml", "--cache", "cache"])
            .current_dir(self.folder.path());
        command
    }
}

fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[test]
fn a_fetched_file_is_verified_kept_and_not_fetched_again() {
    let server = Server::start(content(), &[Answer::Content]);
    let publisher = Publisher::new(&server, Some(&hash(&content())[..8]));
    for _ in 0..2 {
        let found = publisher.fetch().unwrap();
        assert_eq!(fs::read(&found.path).unwrap(), content());
        assert_eq!(found.sha256, hash(&content()));
    }
    assert_eq!(server.asked().len(), 1);
    assert!(publisher.place().ends_with(format!("weights/{}/mine.pth", &hash(&content())[..8])));
}

#[test]
fn a_wrong_file_is_not_kept() {
    let server = Server::start(b"an error page".to_vec(), &[Answer::Content]);
    let publisher = Publisher::new(&server, Some("01234567"));
    let error = publisher.fetch().unwrap_err();
    assert!(error.contains(&hash(b"an error page")) && error.contains("expected is 01234567…"), "{error}");
    let left: Vec<_> = fs::read_dir(publisher.place().parent().unwrap()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

#[test]
fn an_interrupted_fetch_is_continued_by_the_next() {
    let server = Server::start(
        content(),
        &[Answer::Break(120_000), Answer::Break(0), Answer::Break(0), Answer::Break(0), Answer::Content],
    );
    let publisher = Publisher::new(&server, Some(&hash(&content())));
    assert!(publisher.fetch().unwrap_err().contains("gave up"));
    assert!(!publisher.place().exists());
    assert_eq!(fs::read(publisher.fetch().unwrap().path).unwrap(), content());
    assert!(server.asked().last().unwrap().ends_with('-'), "{:?}", server.asked());
}

#[test]
fn a_fetch_that_is_killed_is_continued_by_the_next() {
    let server = Server::start(content(), &[Answer::Stall(120_000), Answer::Content]);
    let publisher = Publisher::new(&server, Some(&hash(&content())));
    let mut fetch = publisher.command("weights fetch mine").spawn().unwrap();
    let arrived = partial(&publisher.place());
    while arrived.metadata().map_or(0, |file| file.len()) < 120_000 {
        std::thread::sleep(Duration::from_millis(2));
    }
    fetch.kill().unwrap();
    fetch.wait().unwrap();
    assert!(!publisher.place().exists());
    assert!(publisher.run("weights fetch mine").status.success());
    assert_eq!(fs::read(publisher.place()).unwrap(), content());
    assert_eq!(server.asked(), ["", "120000-"]);
}

#[test]
fn several_processes_that_want_one_file_fetch_it_once() {
    let server = Server::start(content(), &[Answer::Slow]);
    let publisher = Publisher::new(&server, Some(&hash(&content())));
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| publisher.run("weights fetch mine"))).collect();
        for run in runs {
            let output = run.join().unwrap();
            assert!(output.status.success(), "{output:?}");
            let path = publisher.folder.path().join(String::from_utf8(output.stdout).unwrap().trim());
            assert_eq!(fs::read(path).unwrap(), content());
        }
    });
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn where_no_hash_is_published_the_first_one_is_remembered() {
    let server = Server::start(content(), &[Answer::Content]);
    let publisher = Publisher::new(&server, None);
    let found = publisher.fetch().unwrap();
    publisher.fetch().unwrap();
    let mut changed = content();
    changed[5] ^= 1;
    fs::write(&found.path, changed).unwrap();
    assert!(publisher.fetch().unwrap_err().contains("was changed or damaged"));
}

#[test]
fn the_command_line_lists_imports_verifies_and_refuses() {
    let server = Server::start(content(), &[Answer::Status(404)]);
    let publisher = Publisher::new(&server, Some(&hash(&content())[..16]));
    let says = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let offline = publisher.run("weights fetch mine --offline");
    assert_eq!(offline.status.code(), Some(1));
    let said = says(&offline);
    assert!(said.contains("not on this machine, and --offline or THINGSVISION_OFFLINE is set"), "{said}");
    assert!(said.contains(&format!("download {}", server.url("some/mine.pth"))), "{said}");
    assert!(said.contains("thingsvision weights import mine.pth --model mine"), "{said}");
    assert!(server.asked().is_empty());

    assert!(says(&publisher.run("weights fetch mine")).contains("the server answers 404"));
    assert!(says(&publisher.run("weights path mine")).contains("thingsvision weights fetch mine"));

    let file = |name: &str, bytes: &[u8]| fs::write(publisher.folder.path().join(name), bytes).unwrap();
    file("wrong.pth", b"wrong");
    assert!(says(&publisher.run("weights import wrong.pth --model mine")).contains("is not the file of `mine`"));
    file("right.pth", &content());
    assert!(publisher.run("weights import right.pth --model mine").status.success());

    let path = String::from_utf8(publisher.run("weights path mine").stdout).unwrap();
    assert_eq!(fs::read(publisher.folder.path().join(path.trim())).unwrap(), content());
    assert!(publisher.run("weights verify").status.success());
    let list: serde_json::Value = serde_json::from_slice(&publisher.run("weights list --json").stdout).unwrap();
    let mine = list.as_array().unwrap().iter().find(|row| row["weights"] == "mine.published").unwrap();
    assert_eq!(mine["here"], true);

    fs::write(publisher.folder.path().join(path.trim()), b"bitten").unwrap();
    assert_eq!(publisher.run("weights verify").status.code(), Some(1));
}

#[test]
fn a_mirror_is_asked_by_file_name() {
    let server = Server::start(content(), &[Answer::Content]);
    let elsewhere = Server::start(Vec::new(), &[Answer::Status(404)]);
    let publisher = Publisher::new(&elsewhere, Some(&hash(&content())));
    let output = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(["weights", "fetch", "mine", "--registry", "my.toml", "--cache", "cache"])
        .env("THINGSVISION_MIRROR", server.url("mirror/"))
        .current_dir(publisher.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(elsewhere.asked().is_empty());
    assert_eq!(server.paths(), ["/mirror/mine.pth"]);
}

/// Many files on the Hub are called `model.safetensors`: only a hash would tell a wrong one.
#[test]
fn without_a_published_hash_a_mirror_is_asked_by_the_whole_path() {
    let server = Server::start(content(), &[Answer::Content]);
    let elsewhere = Server::start(Vec::new(), &[Answer::Status(404)]);
    let publisher = Publisher::new(&elsewhere, None);
    let output = publisher.command("weights fetch mine").env("THINGSVISION_MIRROR", server.url("mirror/")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.paths(), ["/mirror/some/mine.pth"]);
    let list: serde_json::Value = serde_json::from_slice(&publisher.run("weights list --json").stdout).unwrap();
    let mine = list.as_array().unwrap().iter().find(|row| row["weights"] == "mine.published").unwrap();
    assert_eq!(mine["recorded_sha256"], hash(&content()));
    let shown = String::from_utf8(publisher.run("weights list").stdout).unwrap();
    assert!(shown.contains(&format!("yes, sha256 {}…", &hash(&content())[..8])), "{shown}");
}

#[test]
fn what_torch_hub_already_has_is_used_if_its_hash_is_right() {
    let server = Server::start(content(), &[Answer::Content]);
    let publisher = Publisher::new(&server, Some(&hash(&content())));
    let hub = publisher.folder.path().join("torch/hub/checkpoints");
    fs::create_dir_all(&hub).unwrap();
    let path_when = |bytes: &[u8]| {
        fs::write(hub.join("mine.pth"), bytes).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
            .args(["weights", "path", "mine", "--registry", "my.toml", "--cache", "cache"])
            .env("TORCH_HOME", publisher.folder.path().join("torch"))
            .current_dir(publisher.folder.path())
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(path_when(b"another file of that name"), None);
    let found = path_when(&content()).unwrap();
    assert_eq!(Path::new(found.trim()), hub.join("mine.pth"));
}

#[test]
fn extract_fetches_what_it_needs_and_records_it() {
    let choice_of = |registry: &Registry| registry.choose("mine").unwrap().entry.architecture.clone();
    let architecture = choice_of(&Publisher::new(&Server::start(Vec::new(), &[Answer::Hang]), None).registry);
    let state = architecture.seeded_weights(4).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    tch::Tensor::write_safetensors(&state.iter().collect::<Vec<_>>(), &path).unwrap();

    let bytes = fs::read(&path).unwrap();
    let server = Server::start(bytes.clone(), &[Answer::Break(1_000_000), Answer::Content]);
    let publisher = Publisher::new(&server, Some(&hash(&bytes)[..8]));
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/images/balls");
    let images = images.to_str().unwrap();
    let output = publisher.run(&format!("extract --model mine --images {images} --rdm none"));
    assert!(output.status.success(), "{output:?}");
    publisher.run(&format!("extract --model mine --images {images} --rdm none --weights random --seed 4"));
    let read = |file: &str| fs::read(publisher.folder.path().join("activations").join(file)).unwrap();
    assert_eq!(read("mine/V1.npy"), read("mine.random-4/V1.npy"));
    let record: serde_json::Value = serde_json::from_slice(&read("mine/run.json")).unwrap();
    assert_eq!(record["weights"]["sha256"], hash(&bytes));
    assert_eq!(record["weights"]["tag"], "published");
}

#[test]
fn an_exported_network_is_fetched_when_its_layers_are_asked_for() {
    let network = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported/traced.pt")).unwrap();
    let server = Server::start(network.clone(), &[Answer::Content]);
    let publisher = Publisher::new(&server, Some(&hash(&network)));
    let registry = publisher.folder.path().join("my.toml");
    let text = fs::read_to_string(&registry).unwrap();
    let architecture = r#"{ family = "cornet", variant = "z", classes = 2 }"#;
    let text = text.replace(architecture, r#"{ family = "exported" }"#);
    // The file says what the entry does not.
    fs::write(&registry, text.replace("default_layer = \"V1\"", "").replace("preprocessing = \"imagenet\"", "")).unwrap();
    let models = publisher.run("models --long");
    assert!(String::from_utf8_lossy(&models.stdout).contains("in its file"), "{models:?}");
    let offline = publisher.run("layers --model mine --offline");
    assert!(String::from_utf8_lossy(&offline.stderr).contains("the weights of `mine` are not on this machine"), "{offline:?}");
    let output = publisher.run("layers --model mine");
    assert!(String::from_utf8_lossy(&output.stdout).contains("* avgpool "), "{output:?}");
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported/images");
    let output = publisher.run(&format!("extract --model mine --images {}", images.display()));
    assert!(output.status.success(), "{output:?}");
    // Fetched once, and what the record says is where.
    assert_eq!(server.asked().len(), 1);
    let record = fs::read_to_string(publisher.folder.path().join("activations/mine/run.json")).unwrap();
    assert!(record.contains(&server.url("some/mine.pth")) && record.contains(&hash(&network)), "{record}");
    assert!(record.contains("make_fixtures.py:ConvNet, traced by torch"), "{record}");
}
