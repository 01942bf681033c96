//! A folder of its own for each test, with a few images, in which the program is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub struct Lab {
    folder: TempDir,
}

impl Lab {
    /// With five pictures of odd sizes in two folders, `images/a` and `images/b`.
    pub fn new() -> Lab {
        let lab = Lab { folder: tempfile::tempdir().unwrap() };
        for (from, to) in [
            ("rgb-97x61.png", "a/one.png"),
            ("rgb-40x131.png", "a/two.png"),
            ("rgb-300x260.png", "b/four.png"),
            ("jpeg-420.jpg", "b/five.jpg"),
            ("palette.png", "b/three.png"),
        ] {
            lab.copy_image(from, &format!("images/{to}"));
        }
        lab
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub fn copy_image(&self, fixture: &str, to: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(fixture);
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }

    /// Runs `thingsvision` with `arguments`, split at spaces.
    pub fn run(&self, arguments: &str) -> Outcome {
        self.run_words(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs it with words that may have spaces.
    pub fn run_words(&self, words: &[&str]) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
            .args(words)
            .current_dir(self.folder.path())
            .env_remove("THINGSVISION_TORCH")
            .env("THINGSVISION_OFFLINE", "1")
            .env("THINGSVISION_CACHE", self.path("cache"))
            .output()
            .unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it and expects success.
    pub fn succeed(&self, arguments: &str) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "thingsvision {arguments}\n{outcome}");
        outcome
    }

    /// Runs it, expects failure, and returns what it said.
    pub fn fail(&self, arguments: &str) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(1), "thingsvision {arguments}\n{outcome}");
        assert_eq!(outcome.stdout, "", "thingsvision {arguments}");
        outcome.stderr
    }

    pub fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// The names in `folder`, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let files = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// An inline snapshot without what differs from run to run: times, rates, free space, the number of cores.
#[macro_export]
macro_rules! assert_output {
    ($output:expr, @$snapshot:literal) => {
        insta::with_settings!({ filters => vec![
            (r"\d+\.\d s", "[time]"),
            (r"[\d,.]+ images/s", "[rate]"),
            (r"\([\d.]+ .?B free\)", "([space] free)"),
            (r"\d+ workers?", "[workers]"),
            (r"about \d+ (s|min)", "about [time]"),
        ] }, { insta::assert_snapshot!($output.to_string(), @$snapshot) })
    };
}
