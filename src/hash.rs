//! Hashes of texts and files, as hexadecimal digits.

use crate::plain_file;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;

pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

pub(crate) fn sha256_of_file(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let copied = plain_file::open(path).and_then(|mut file| io::copy(&mut file, &mut hash));
    copied.with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(format!("{:x}", hash.finalize()))
}

/// As `b3sum` gives it.
pub(crate) fn blake3_of_file(path: &Path) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let hashed = plain_file::open(path).and_then(|file| hash.update_reader(file).map(drop));
    hashed.with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(hash.finalize().to_hex().to_string())
}
