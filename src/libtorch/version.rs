//! The version of the libtorch in a folder. Read by the build script too, which has this file as its own.

use std::path::Path;

/// From `build-version` (the official archive) or `version.py` (an installation by pip) above the folder `lib`.
pub fn beside(lib: &Path) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(lib.with_file_name(name)).ok();
    if let Some(version) = read("build-version") {
        return Some(version.trim().to_owned());
    }
    let python = read("version.py")?;
    let line = python.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim_matches(['\'', '"']).to_owned())
}
