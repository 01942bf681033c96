//! The libtorch that the program runs with: where it lies, its version, and which of its kernels the processor takes.
//!
//! The C++ side is `csrc/libtorch.cpp`.
#![allow(unsafe_code)] // calls into C++, reasoned at the one place

mod version;

use crate::error::advise;
use anyhow::Result;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

unsafe extern "C" {
    fn thingsvision_libtorch_file(out: *mut c_char, capacity: c_int) -> c_int;
    fn thingsvision_cpu_capability(out: *mut c_char, capacity: c_int) -> c_int;
}

/// The version that the program was built with, `2.11.0` or `2.11.0+cpu`.
const BUILT_WITH: &str = env!("THINGSVISION_LIBTORCH_VERSION");

static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let file = text(thingsvision_libtorch_file)?;
    let folder = Path::new(OsStr::from_bytes(&file)).parent()?;
    Some(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
});

static VERSION: LazyLock<Option<String>> = LazyLock::new(|| version::beside(FOLDER.as_deref()?));

/// The folder of the libraries, `…/torch/lib`, if the loader tells.
pub fn folder() -> Option<&'static Path> {
    FOLDER.as_deref()
}

/// Its version, as it says itself; that which the program was built with where it says none.
pub fn version() -> &'static str {
    VERSION.as_deref().unwrap_or(BUILT_WITH)
}

/// The release that the program needs, `2.11.0`.
pub fn needed() -> &'static str {
    release(BUILT_WITH)
}

/// The vector instructions for which libtorch's kernels are chosen: `AVX512`, `AVX2`, `DEFAULT`.
pub fn cpu_capability() -> Option<String> {
    text(thingsvision_cpu_capability).and_then(|text| String::from_utf8(text).ok())
}

/// Fails with a libtorch of another series than the program was built with: its functions take other arguments.
pub(crate) fn check() -> Result<()> {
    if series(version()) == series(BUILT_WITH) {
        return Ok(());
    }
    let place = folder().map_or_else(|| "of this machine".into(), |folder| format!("in `{}`", folder.display()));
    Err(advise(
        format!("the program was built with libtorch {}, and that {place} is {}", needed(), version()),
        format!(
            "take away what leads there (LD_LIBRARY_PATH), or install the one that it needs: pip install 'torch=={}.*'",
            series(BUILT_WITH)
        ),
    ))
}

/// Without what it was built for, such as `+cpu`.
fn release(version: &str) -> &str {
    version.split('+').next().unwrap_or(version)
}

/// `2.11` of `2.11.0+cpu`: releases of one series have the same functions.
fn series(version: &str) -> &str {
    let release = release(version);
    release.match_indices('.').nth(1).map_or(release, |(end, _)| &release[..end])
}

fn text(function: unsafe extern "C" fn(*mut c_char, c_int) -> c_int) -> Option<Vec<u8>> {
    let mut buffer = [0u8; 4096];
    // SAFETY: the functions write at most so many bytes, the last of which is 0, where they return 0.
    let status = unsafe { function(buffer.as_mut_ptr().cast(), buffer.len() as c_int) };
    let text = CStr::from_bytes_until_nul(&buffer).ok()?;
    (status == 0).then(|| text.to_bytes().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_libtorch_is_found_beside_its_version() {
        let folder = folder().unwrap();
        assert!(folder.read_dir().unwrap().any(|file| file.unwrap().file_name().to_string_lossy().starts_with("libtorch_cpu.")));
        assert_eq!(release(version()), needed());
        check().unwrap();
    }

    #[test]
    fn versions_are_read_from_both_kinds_of_installation() {
        let torch = tempfile::tempdir().unwrap();
        let lib = torch.path().join("lib");
        assert_eq!(version::beside(&lib), None);
        std::fs::write(torch.path().join("version.py"), "from typing import Optional\n__version__ = '2.11.1+cu130'\n").unwrap();
        assert_eq!(version::beside(&lib).unwrap(), "2.11.1+cu130");
        std::fs::write(torch.path().join("build-version"), "2.11.0+cpu\n").unwrap();
        assert_eq!(version::beside(&lib).unwrap(), "2.11.0+cpu");
        assert_eq!(series("2.11.1+cu130"), "2.11");
        assert_eq!(series("2.11"), "2.11");
    }
}
