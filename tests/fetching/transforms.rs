//! Published transforms: fetched when they are needed, checked, and kept.

use crate::server::{Answer, Server};
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tch::Kind;
use tempfile::TempDir;
use thingsvision::npy;
use thingsvision::registry::Registry;

/// A run of a small network, of whose features `server` publishes a transform.
struct Publisher {
    folder: TempDir,
}

/// What `git hash-object` says of it.
fn git() -> String {
    let head = format!("blob {}\0", bytes().len());
    format!("{:x}", sha1::Sha1::digest([head.as_bytes(), &bytes()].concat()))
}

fn sha256() -> String {
    format!("{:x}", Sha256::digest(bytes()))
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/align/like-glocal.npz")
}

fn bytes() -> Vec<u8> {
    fs::read(fixture()).unwrap()
}

impl Publisher {
    fn new(server: &Server, hash: &str) -> Publisher {
        let publisher = Publisher { folder: tempfile::tempdir().unwrap() };
        let model = r#"
            [[model]]
            name = "mine"
            architecture = { family = "cornet", variant = "z", classes = 6 }
            default_layer = "decoder.linear"
            [[model.weights]]
            tag = "own"
            file = "weights.safetensors"
            preprocessing = "imagenet"
        "#;
        let transform = format!(
            r#"
            [[transform]]
            name = "gLocal"
            licence = "MIT"
            citation = "Somebody 2023, A paper"
            url = "{}"
            [[transform.file]]
            models = ["mine.own"]
            layer = "decoder.linear"
            path = "mine/transform.npz"
            {hash}
            "#,
            server.url("")
        );
        fs::write(publisher.path("my.toml"), format!("{model}{transform}")).unwrap();
        let registry = Registry::load(Some(&publisher.path("my.toml"))).unwrap();
        save(&registry, &publisher.path("weights.safetensors"));
        fs::create_dir(publisher.path("images")).unwrap();
        for image in ["rgb-97x61.png", "rgb-40x131.png", "palette.png"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(image);
            fs::copy(from, publisher.path("images").join(image)).unwrap();
        }
        publisher.succeed("extract --model mine --images images");
        publisher
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thingsvision"));
        command.args(arguments.split_whitespace()).args(["--registry", "my.toml", "--cache", "cache"]);
        command.env_remove("THINGSVISION_OFFLINE").env_remove("THINGSVISION_MIRROR");
        command.current_dir(self.folder.path()).output().unwrap()
    }

    /// What it says to stdout and stderr.
    fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{arguments}: {said}");
        said
    }

    fn fail(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Weights of the network `mine`, those of seed 0.
fn save(registry: &Registry, path: &Path) {
    let architecture = &registry.choose("mine").unwrap().entry.architecture;
    let state = architecture.seeded_weights(0).unwrap();
    let tensors = architecture.manifest().unwrap().tensors.clone();
    let tensors: Vec<_> = tensors.into_iter().filter(|tensor| tensor.kind == Kind::Float).collect();
    let bytes = tensors.iter().map(|entry| {
        let mut bytes = vec![0; entry.shape.iter().product::<i64>() as usize * 4];
        state[&entry.key].copy_data_u8(&mut bytes, state[&entry.key].numel());
        bytes
    });
    let bytes: Vec<_> = bytes.collect();
    let views = tensors.iter().zip(&bytes).map(|(entry, bytes)| {
        let shape = entry.shape.iter().map(|&size| size as usize).collect();
        (entry.key.as_str(), TensorView::new(Dtype::F32, shape, bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

#[test]
fn a_transform_is_fetched_once_and_its_run_is_verified() {
    for hash in [format!("sha256 = \"{}\"", sha256()), format!("git = \"{}\"", git())] {
        let server = Server::start(bytes(), &[Answer::Content]);
        let publisher = Publisher::new(&server, &hash);
        let said = publisher.succeed("align activations/mine --transform glocal");
        assert!(said.contains("activations/mine.gLocal\n"), "{said}");
        assert!(said.contains("by gLocal of mine.own, sha256"), "{said}");
        assert!(said.contains("please cite Somebody 2023"), "{said}");
        assert_eq!(server.paths(), ["/mine/transform.npz"]);
        publisher.succeed("align activations/mine --transform gLocal --out again");
        assert_eq!(server.paths().len(), 1);
        let verified = publisher.succeed("verify activations/mine.gLocal");
        assert!(verified.contains("fine   again     3 rows of every layer come out the same, to the bit"), "{verified}");
        // The file by its path is known for what it is.
        fs::copy(fixture(), publisher.path("by-hand.npz")).unwrap();
        let said = publisher.succeed("align activations/mine --transform by-hand.npz --out by-hand");
        assert!(said.contains("by gLocal of mine.own, by-hand.npz, sha256"), "{said}");
        for run in ["again", "by-hand"] {
            let rows = |run: &str| fs::read(publisher.path(run).join("decoder.linear.npy")).unwrap();
            assert_eq!(rows("activations/mine.gLocal"), rows(run));
        }
        let record: serde_json::Value = serde_json::from_slice(&fs::read(publisher.path("again/run.json")).unwrap()).unwrap();
        assert_eq!(record["alignment"]["transform"], "gLocal");
        assert_eq!(record["alignment"]["sha256"], sha256());
        assert_eq!(npy::read(&publisher.path("again/decoder.linear.npy")).unwrap().shape(), [3, 6]);
    }
}

#[test]
fn another_file_at_the_address_is_not_kept() {
    for hash in [format!("sha256 = \"{}\"", "0".repeat(64)), format!("git = \"{}\"", "0".repeat(40))] {
        let server = Server::start(bytes(), &[Answer::Content]);
        let publisher = Publisher::new(&server, &hash);
        let said = publisher.fail("align activations/mine --transform gLocal");
        assert!(said.contains("is not the file of the transform `gLocal` of `mine.own`: its SHA-256 is"), "{said}");
        assert!(!publisher.path("activations/mine.gLocal").exists());
        let kept = fs::read_dir(publisher.path("cache/weights")).unwrap().flat_map(|folder| {
            fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap())
        });
        assert!(kept.into_iter().all(|name| name == "lock"));
    }
}

#[test]
fn without_network_it_says_what_to_do() {
    let server = Server::start(bytes(), &[Answer::Status(404)]);
    let publisher = Publisher::new(&server, &format!("git = \"{}\"", git()));
    let said = publisher.fail("align activations/mine --transform gLocal --offline");
    assert!(
        said.contains("the weights of the transform `gLocal` of `mine.own` are not on this machine, and --offline"),
        "{said}"
    );
    assert!(said.contains("mine/transform.npz elsewhere, and name the file: --transform transform.npz"), "{said}");
    assert!(publisher.fail("align activations/mine --transform gLocal").contains("the server answers 404"));
    assert!(server.paths().len() == 1 && !publisher.path("activations/mine.gLocal").exists());
}
