//! Images that lie in one array `[N, H, W, 3]` of bytes: a NumPy file, or a data set in an HDF5 file.
#![allow(unsafe_code)] // a memory map, reasoned at the one place

use super::decode::cannot_read;
use super::rgb::Rgb;
use crate::error::{advise, text_of};
use crate::plain_file;
use crate::memory;
use anyhow::{Context, Result, ensure};
use hdf5_pure::{ChunkCacheConfig, DType, Dataset, DatasetAccessProperties};
use memmap2::Mmap;
use ndarray::ArrayView4;
use ndarray_npy::ViewNpyExt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An array of images in a file, of which one is read at a time.
#[derive(Debug)]
pub struct Stack {
    pub path: PathBuf,
    /// The name of the data set, in an HDF5 file.
    pub dataset: Option<String>,
    pub len: usize,
    pub height: usize,
    pub width: usize,
    pixels: Pixels,
}

#[derive(Debug)]
enum Pixels {
    Npy(Mmap),
    Hdf5(Dataset),
}

/// Chunks that were unpacked for one image and hold others too are kept, up to this many bytes.
const CHUNK_CACHE: usize = 512 << 20;

/// Whether `path` is a file that a stack may lie in.
pub fn is_stack(path: &Path) -> bool {
    path.is_file() && (is_npy(path) || hdf5_pure::is_hdf5(path).unwrap_or(false))
}

pub fn is_npy(path: &Path) -> bool {
    let mut start = [0; 6];
    plain_file::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"\x93NUMPY"
}

impl Stack {
    /// Opens the array at `path`; in an HDF5 file the one called `dataset`, or the only one that can hold images.
    pub fn open(path: &Path, dataset: Option<&str>) -> Result<Stack> {
        plain_file::open(path).with_context(|| cannot_read(path))?;
        match (is_npy(path), dataset) {
            (true, Some(_)) => Err(advise("--dataset is for HDF5 files", "a .npy file holds one array: leave it out")),
            (true, None) => Stack::npy(path),
            (false, _) if is_stack(path) => Stack::hdf5(path, dataset),
            (false, _) => Err(not_a_stack(path, "it is neither a NumPy nor an HDF5 file")),
        }
    }

    fn npy(path: &Path) -> Result<Stack> {
        let file = plain_file::open(path).with_context(|| cannot_read(path))?;
        // SAFETY: the map is only read. Were the file truncated by another process meanwhile, the read would end this
        // process by a signal, as any program that maps files.
        let map = unsafe { Mmap::map(&file) }.with_context(|| cannot_read(path))?;
        let shape = match ArrayView4::<u8>::view_npy(&map) {
            Ok(view) if view.is_standard_layout() => view.shape().to_vec(),
            Ok(_) => return Err(not_a_stack(path, "it is in Fortran order: save `np.ascontiguousarray(array)`")),
            Err(error) => return Err(not_a_stack(path, &error.to_string())),
        };
        Stack::new(path, None, &shape, Pixels::Npy(map))
    }

    fn hdf5(path: &Path, dataset: Option<&str>) -> Result<Stack> {
        let file = hdf5_pure::File::open_streaming(path).with_context(|| cannot_read(path))?;
        let name = dataset.map_or_else(|| only_stack(path, &file), |name| Ok(name.to_owned()))?;
        let cache = ChunkCacheConfig::from_h5p_cache(1024, CHUNK_CACHE);
        let Ok(dataset) = file.dataset_with_options(&name, DatasetAccessProperties::new().with_chunk_cache(cache)) else {
            return Err(advise(format!("`{}` has no data set `{name}`", path.display()), contents(&file)));
        };
        if dataset.dtype()? != DType::U8 {
            return Err(not_a_stack(path, &format!("`{name}` holds {} and not bytes (uint8)", dataset.dtype()?)));
        }
        let shape: Vec<usize> = dataset.shape()?.into_iter().map(|size| size as usize).collect();
        let stack = Stack::new(path, Some(name), &shape, Pixels::Hdf5(dataset))?;
        memory::check(&format_args!("an image of `{}`", path.display()), stack.height as u64 * stack.width as u64 * 3)?;
        // What this file has that cannot be read shows itself here.
        stack.image(0).and(stack.image(stack.len - 1)).map_err(|error| not_a_stack(path, &text_of(&error)))?;
        Ok(stack)
    }

    fn new(path: &Path, dataset: Option<String>, shape: &[usize], pixels: Pixels) -> Result<Stack> {
        let is_possible = shape.iter().try_fold(1usize, |size, &n| size.checked_mul(n)).is_some_and(|size| size > 0);
        match *shape {
            [len, height, width, 3] if is_possible => Ok(Stack { path: path.to_owned(), dataset, len, height, width, pixels }),
            _ => Err(not_a_stack(path, &format!("its shape is {shape:?}"))),
        }
    }

    pub fn image(&self, i: usize) -> Result<Rgb> {
        let size = self.height * self.width * 3;
        match &self.pixels {
            Pixels::Npy(map) => {
                let start = map.len() - (self.len - i) * size;
                Ok(Rgb::from_bytes(self.width, self.height, &map[start..start + size]))
            }
            Pixels::Hdf5(dataset) => {
                let name = || format!("image {i} of `{}`", self.path.display());
                let bytes = dataset.read_raw_rows(i as u64, 1).with_context(name)?;
                ensure!(bytes.len() == size, "{} has {} bytes and not {size}", name(), bytes.len());
                Ok(Rgb::from_bytes(self.width, self.height, &bytes))
            }
        }
    }
}

fn only_stack(path: &Path, file: &hdf5_pure::File) -> Result<String> {
    let root = file.root();
    let names = root.datasets().with_context(|| cannot_read(path))?;
    let is_stack = |name: &String| root.dataset(name).is_ok_and(|data| data.shape().is_ok_and(|shape| shape.len() == 4));
    match &names.iter().filter(|name| is_stack(name)).collect::<Vec<_>>()[..] {
        [one] => Ok((*one).clone()),
        found => Err(advise(
            format!("`{}` has {} data sets of four axes, and one is needed", path.display(), found.len()),
            format!("name it with --dataset; {}", contents(file)),
        )),
    }
}

fn contents(file: &hdf5_pure::File) -> String {
    let (names, groups) = (file.root().datasets().unwrap_or_default(), file.root().groups().unwrap_or_default());
    let names: Vec<_> = names.into_iter().chain(groups.into_iter().map(|group| group + "/…")).collect();
    format!("at the top there are: {} (in a group: GROUP/NAME)", names.join(", "))
}

fn not_a_stack(path: &Path, reason: &str) -> anyhow::Error {
    advise(
        format!("`{}` is no stack of images: {reason}", path.display()),
        "a stack is an array [images, rows, columns, 3] of bytes (uint8) in C order",
    )
}
