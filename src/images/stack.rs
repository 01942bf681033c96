//! Images that lie in one array `[N, H, W, 3]` of bytes: a NumPy file, or a data set in an HDF5 file.
#![allow(unsafe_code)] // a memory map, reasoned at the one place

use super::rgb::Rgb;
use crate::advice::advise;
use anyhow::{Context, Result, bail};
use hdf5_pure::{DType, Dataset};
use memmap2::Mmap;
use ndarray::ArrayView4;
use ndarray_npy::ViewNpyExt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An array of images in a file, of which one is read at a time.
#[derive(Debug)]
pub struct Stack {
    /// The file.
    pub path: PathBuf,
    /// The name of the data set, in an HDF5 file.
    pub dataset: Option<String>,
    /// N.
    pub len: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    pixels: Pixels,
}

enum Pixels {
    Npy(Mmap),
    Hdf5(Dataset),
}

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Pixels::Npy(_) => "Npy",
            Pixels::Hdf5(_) => "Hdf5",
        })
    }
}

const NPY: &[u8] = b"\x93NUMPY";
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Whether `path` is a file that a stack may lie in.
pub fn is_stack(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    path.is_file() && read.is_ok() && (start.starts_with(NPY) || start.starts_with(HDF5))
}

impl Stack {
    /// Opens the array at `path`; in an HDF5 file the one called `dataset`, or the only one that can hold images.
    pub fn open(path: &Path, dataset: Option<&str>) -> Result<Stack> {
        let mut start = [0; 6];
        File::open(path).and_then(|mut file| file.read_exact(&mut start)).with_context(|| cannot_read(path))?;
        match start == NPY {
            true => Stack::npy(path),
            false if is_stack(path) => Stack::hdf5(path, dataset),
            false => Err(not_a_stack(path, "it is neither a NumPy nor an HDF5 file")),
        }
    }

    fn npy(path: &Path) -> Result<Stack> {
        let file = File::open(path).with_context(|| cannot_read(path))?;
        // SAFETY: the map is only read. Were the file truncated by another process meanwhile, the read would end this
        // process by a signal, as any program that maps files.
        let map = unsafe { Mmap::map(&file) }.with_context(|| cannot_read(path))?;
        let shape = match ArrayView4::<u8>::view_npy(&map) {
            Ok(view) if view.is_standard_layout() => view.shape().to_vec(),
            Ok(_) => return Err(not_a_stack(path, "it is in Fortran order")),
            Err(error) => return Err(not_a_stack(path, &error.to_string())),
        };
        Stack::new(path, None, &shape, Pixels::Npy(map))
    }

    fn hdf5(path: &Path, dataset: Option<&str>) -> Result<Stack> {
        let file = hdf5_pure::File::open_streaming(path).with_context(|| cannot_read(path))?;
        let name = match dataset {
            Some(name) => name.to_owned(),
            None => only_stack(path, &file)?,
        };
        let Ok(dataset) = file.dataset(&name) else {
            let root = file.root();
            let (names, groups) = (root.datasets().unwrap_or_default(), root.groups().unwrap_or_default());
            let names: Vec<_> = names.into_iter().chain(groups.into_iter().map(|group| group + "/")).collect();
            return Err(advise(
                format!("`{}` has no data set `{name}`", path.display()),
                format!("name it with its groups, GROUP/NAME; at the top there are: {}", names.join(", ")),
            ));
        };
        if dataset.dtype()? != DType::U8 {
            return Err(not_a_stack(path, &format!("`{name}` holds {} and not bytes (uint8)", dataset.dtype()?)));
        }
        let shape: Vec<usize> = dataset.shape()?.into_iter().map(|size| size as usize).collect();
        Stack::new(path, Some(name), &shape, Pixels::Hdf5(dataset))
    }

    fn new(path: &Path, dataset: Option<String>, shape: &[usize], pixels: Pixels) -> Result<Stack> {
        match *shape {
            [len, height, width, 3] if len * height * width > 0 => {
                Ok(Stack { path: path.to_owned(), dataset, len, height, width, pixels })
            }
            _ => Err(not_a_stack(path, &format!("its shape is {shape:?}"))),
        }
    }

    /// Image `i`.
    pub fn image(&self, i: usize) -> Result<Rgb> {
        let size = self.height * self.width * 3;
        match &self.pixels {
            Pixels::Npy(map) => {
                let start = map.len() - (self.len - i) * size;
                Ok(Rgb::from_bytes(self.width, self.height, &map[start..start + size]))
            }
            Pixels::Hdf5(dataset) => {
                let bytes =
                    dataset.read_raw_rows(i as u64, 1).with_context(|| format!("image {i} of `{}`", self.path.display()))?;
                if bytes.len() != size {
                    bail!("image {i} of `{}` has {} bytes and not {size}", self.path.display(), bytes.len());
                }
                Ok(Rgb::from_bytes(self.width, self.height, &bytes))
            }
        }
    }
}

/// The name of the one data set that can hold images.
fn only_stack(path: &Path, file: &hdf5_pure::File) -> Result<String> {
    let root = file.root();
    let names = root.datasets().with_context(|| cannot_read(path))?;
    let is_stack = |name: &String| root.dataset(name).is_ok_and(|data| data.shape().is_ok_and(|shape| shape.len() == 4));
    match &names.iter().filter(|name| is_stack(name)).collect::<Vec<_>>()[..] {
        [one] => Ok((*one).clone()),
        found => Err(advise(
            format!("`{}` has {} data sets of four axes, and one is needed", path.display(), found.len()),
            format!("name it with --dataset; at the top there are: {}", names.join(", ")),
        )),
    }
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read `{}`", path.display())
}

fn not_a_stack(path: &Path, reason: &str) -> anyhow::Error {
    advise(
        format!("`{}` is no stack of images: {reason}", path.display()),
        "a stack is an array [images, rows, columns, 3] of bytes (uint8) in C order",
    )
}

/// The numbers that `text` names: `0-99,205`, or a file of them (.npy, or numbers apart by commas, spaces or lines). Each
/// must be below `len`.
pub fn indices(text: &str, len: usize) -> Result<Vec<usize>> {
    let wrong = |what: &str| {
        advise(format!("--indices {text}: {what}"), "write numbers and ranges from 0, 0-99,205, or name a file of numbers")
    };
    let path = Path::new(text);
    let numbers = if path.is_file() {
        in_file(path, len)?
    } else {
        ranges(text, len).ok_or_else(|| wrong("is neither a file nor a list of numbers"))?
    };
    match numbers.iter().find(|number| **number >= len) {
        Some(number) => Err(wrong(&format!("there is no image {number}: {len} images have the numbers 0 to {}", len - 1))),
        None if numbers.is_empty() => Err(wrong("it names no image")),
        None => Ok(numbers),
    }
}

fn in_file(path: &Path, len: usize) -> Result<Vec<usize>> {
    let mut start = [0; 6];
    let is_npy = File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == NPY;
    if !is_npy {
        let text = std::fs::read_to_string(path).with_context(|| cannot_read(path))?;
        let numbers = ranges(&text.split_whitespace().collect::<Vec<_>>().join(","), len);
        return numbers.with_context(|| format!("`{}` holds something else than numbers from 0 on", path.display()));
    }
    let numbers = crate::npy::read(path)?;
    let whole = |number: &f64| {
        let is_index = *number >= 0.0 && number.fract() == 0.0;
        if is_index { Ok(*number as usize) } else { bail!("`{}` holds {number}, which is no number of an image", path.display()) }
    };
    numbers.iter().map(whole).collect()
}

/// A range is followed to the first number that there is not.
fn ranges(text: &str, len: usize) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            None => numbers.push(part.parse().ok()?),
            Some((first, last)) => {
                let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                numbers.extend((first <= last).then_some(first..=last.min(len.max(first)))?);
            }
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_numbers_and_ranges() {
        assert_eq!(indices("0-2, 7,7", 8).unwrap(), [0, 1, 2, 7, 7]);
        for wrong in ["8", "3-1", "-1", "a", "", "1.5", "0-8"] {
            assert!(indices(wrong, 8).is_err(), "{wrong}");
        }
    }
}
