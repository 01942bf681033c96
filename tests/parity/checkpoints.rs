//! Files of weights in each format: what PyTorch wrote is what is read, and damage is an error.

use crate::{fixtures, table};
use std::fs;
use std::panic::catch_unwind;
use thingsvision::weights::Checkpoint;

/// The files of the fixtures, each once.
fn files() -> Vec<String> {
    let mut files: Vec<_> = table("checkpoints.tsv").into_iter().map(|row| row[0].clone()).collect();
    files.dedup();
    files
}

#[test]
fn tensors_are_read_as_pytorch_wrote_them() {
    for row in table("checkpoints.tsv") {
        let [file, key, shape, sum, weighted] = &row[..] else { panic!("{row:?}") };
        let checkpoint = Checkpoint::open(&fixtures().join("checkpoints").join(file)).unwrap();
        let tensor = checkpoint.read(key).unwrap_or_else(|error| panic!("{file}: {error:#}"));
        assert_eq!(tensor.size().iter().map(i64::to_string).collect::<Vec<_>>().join("x"), *shape, "{file} {key}");
        let values = Vec::<f64>::try_from(tensor.to_kind(tch::Kind::Double).flatten(0, -1)).unwrap();
        let found = (values.iter().sum::<f64>(), values.iter().zip(1..).map(|(value, i)| value * f64::from(i)).sum::<f64>());
        let near = |found: f64, expected: &str| (found - expected.parse::<f64>().unwrap()).abs() < 1e-9;
        assert!(near(found.0, sum) && near(found.1, weighted), "{file} {key}: {found:?} not {sum}, {weighted}");
    }
    assert!(!std::path::Path::new("executed-by-pickle").exists());
}

/// Opens a damaged file and reads all that it claims to hold. It may fail, but must not panic.
fn try_to_read(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    let read = || -> anyhow::Result<()> {
        let checkpoint = Checkpoint::open(&path)?;
        checkpoint.tensors()?.iter().try_for_each(|(name, _)| checkpoint.read(name).map(|_| ()))
    };
    catch_unwind(read).unwrap_or_else(|_| panic!("panic for {} bytes", bytes.len())).is_ok()
}

#[test]
fn truncated_files_are_errors() {
    for file in files() {
        let bytes = fs::read(fixtures().join("checkpoints").join(&file)).unwrap();
        for length in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            assert!(!try_to_read(&bytes[..length]), "{file} cut to {length} of {} bytes was accepted", bytes.len());
        }
    }
}

/// `THINGSVISION_FUZZ=100000 cargo test --release --test parity flipped` looks longer.
#[test]
fn flipped_bytes_never_crash() {
    let rounds = std::env::var("THINGSVISION_FUZZ").map_or(150, |rounds| rounds.parse().unwrap());
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for file in files() {
        let whole = fs::read(fixtures().join("checkpoints").join(&file)).unwrap();
        for _ in 0..rounds {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            try_to_read(&bytes);
        }
    }
}

/// A zip archive as `torch.save` writes it, with `pickle` for its data.
fn archive(pickle: &[u8], script: bool) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut add = |name: &str, bytes: &[u8]| {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, bytes).unwrap();
    };
    add("archive/data.pkl", pickle);
    add("archive/version", b"3");
    add("../../outside", b"1");
    if script {
        add("archive/constants.pkl", b"\x80\x02).");
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn hostile_files_are_errors() {
    let nested = |depth: usize| [&b"\x80\x02N"[..], &vec![0x85; depth], b"."].concat();
    // Each list holds the one before it twice; and one holds itself.
    let doubled = |depth: u8| {
        let double = |i: u8| [&b"](h"[..], &[i], b"h", &[i], b"eq", &[i + 1]].concat();
        [b"\x80\x02]q\x00".to_vec(), (0..depth).flat_map(double).collect(), b".".to_vec()].concat()
    };
    let huge_string = b"\x80\x02X\xff\xff\xff\x7fabc.";
    let huge_header = [&(1u64 << 40).to_le_bytes()[..], b"{\"a\":"].concat();
    let deep_header = [&1_000_006u64.to_le_bytes()[..], b"{\"a\":", &[b'['; 1_000_000]].concat();
    for (name, bytes) in [
        ("deep pickle", nested(2_000_000)),
        ("deep archive", archive(&nested(2_000_000), false)),
        ("deep TorchScript", archive(&nested(1_000_000), true)),
        ("deeper TorchScript", archive(&nested(2_000_000), true)),
        ("doubled lists", archive(&doubled(60), false)),
        ("circle", archive(b"\x80\x02]q\x00h\x00a.", false)),
        ("huge table", archive(b"\x80\x02}r\xff\xff\xff\xff.", false)),
        ("marks", archive(&[&b"\x80\x02"[..], &vec![b'('; 1_000_000]].concat(), false)),
        ("huge string", huge_string.to_vec()),
        ("huge header", huge_header),
        ("deep header", deep_header),
        ("nothing", Vec::new()),
    ] {
        assert!(!try_to_read(&bytes), "{name}");
    }
}
