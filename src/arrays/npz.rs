//! NumPy's `.npz`: a zip of `.npy` files, plain or compressed. Nothing pickled is read.

use super::{Labelled, bytes, choose};
use crate::{memory, npy};
use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use std::io::{Cursor, Read};
use std::path::Path;
use zip::ZipArchive;

/// The array `name`, or the only one.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Labelled> {
    let mut file = Npz::open(path, bytes(path)?)?;
    let mut names = file.names();
    if name.is_none() && names.len() > 1 {
        names.retain(|name| is_of_numbers(&mut file.archive, name));
    }
    let name = choose(path, &names, name)?;
    Ok(Labelled { values: file.array(name)?, ids: None, are_rdms: false })
}

/// The file and what is in it.
pub(crate) struct Npz<'a> {
    path: &'a Path,
    archive: ZipArchive<Cursor<Vec<u8>>>,
}

impl Npz<'_> {
    /// Of the file at `path`, whose `bytes` are these.
    pub(crate) fn open(path: &Path, bytes: Vec<u8>) -> Result<Npz<'_>> {
        Ok(Npz { path, archive: ZipArchive::new(Cursor::new(bytes)).with_context(|| damaged(path))? })
    }

    /// Of all arrays, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.archive.file_names();
        let mut names: Vec<String> = names.filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned())).collect();
        names.sort();
        names
    }

    /// The array called `name`, which is one of them.
    pub(crate) fn array(&mut self, name: &str) -> Result<ArrayD<f64>> {
        let path = self.path;
        let place = format!("{}:{name}", path.display());
        let start = self.archive.by_name(&format!("{name}.npy"))?;
        let size = start.size();
        npy::check_start(start, size, Path::new(&place))?;
        let mut member = self.archive.by_name(&format!("{name}.npy"))?;
        // Of float32 once as they lie there and once as float64.
        memory::check(&format_args!("`{name}` in `{}`", path.display()), size.saturating_mul(3))?;
        let mut npy = Vec::new();
        // What is packed may be more than it is said to be.
        member.by_ref().take(size.saturating_add(1)).read_to_end(&mut npy).with_context(|| damaged(path))?;
        ensure!(npy.len() as u64 == size, damaged(path));
        npy::read_bytes(&npy, Path::new(&place))
    }
}

/// Neither text or objects nor a single number, by the header.
fn is_of_numbers(archive: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> bool {
    let mut start = Vec::new();
    let file = archive.by_name(&format!("{name}.npy")).ok();
    if file.and_then(|file| file.take(LONGEST_HEADER).read_to_end(&mut start).ok()).is_none() {
        return false;
    }
    let header = String::from_utf8_lossy(&start);
    let kind = header.split("'descr': '").nth(1).and_then(|rest| rest.trim_start_matches(['<', '>', '|', '=']).chars().next());
    kind.is_some_and(|kind| "fiub".contains(kind)) && !header.contains("'shape': ()")
}

/// That of an array with names and shape is far shorter.
const LONGEST_HEADER: u64 = 1024;

fn damaged(path: &Path) -> String {
    format!("`{}` is not a whole .npz file", path.display())
}
