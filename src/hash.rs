//! Hashes of texts and files, as hexadecimal digits.

use crate::plain_file;
use anyhow::{Context, Result};
use sha1::Sha1;
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

/// What Git calls the content of a file: the SHA-1 of `blob`, the length, and the bytes.
pub(crate) fn git_blob(bytes: &[u8]) -> String {
    let head = format!("blob {}\0", bytes.len());
    format!("{:x}", Sha1::new().chain_update(head).chain_update(bytes).finalize())
}

/// As `b3sum` gives it.
pub(crate) fn blake3_of_file(path: &Path) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let hashed = plain_file::open(path).and_then(|file| hash.update_reader(file).map(drop));
    hashed.with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(hash.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_calls_content_so() {
        // printf 'hello\n' | git hash-object --stdin
        assert_eq!(git_blob(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(git_blob(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
