//! NumPy's `.npz`: a zip of `.npy` files, plain or compressed. Nothing pickled is read.

use super::{Labelled, bytes, choose};
use crate::npy;
use anyhow::{Context, Result};
use std::io::{Cursor, Read};
use std::path::Path;
use zip::ZipArchive;

/// The array `name`, or the only one.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Labelled> {
    let mut archive = ZipArchive::new(Cursor::new(bytes(path)?)).with_context(|| damaged(path))?;
    let mut names: Vec<String> =
        archive.file_names().filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned())).collect();
    names.sort();
    let name = choose(path, &names, name)?;
    let mut npy = Vec::new();
    archive.by_name(&format!("{name}.npy"))?.read_to_end(&mut npy).with_context(|| damaged(path))?;
    Ok(Labelled { values: npy::read_bytes(&npy, Path::new(&format!("{}:{name}", path.display())))?, ids: None, of_pairs: false })
}

fn damaged(path: &Path) -> String {
    format!("`{}` is not a whole .npz file", path.display())
}
