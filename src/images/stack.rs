//! Images that lie in one array `[N, H, W, 3]`, `[N, 3, H, W]` or `[N, H, W]` of bytes: a NumPy file, or a data set in an HDF5 file.
#![allow(unsafe_code)] // a memory map, reasoned at the one place

use super::decode::cannot_read;
use super::rgb::{Rgb, of_gray};
use crate::error::{advise, text_of};
use crate::memory;
use crate::npy;
use crate::plain_file;
use anyhow::{Context, Result, ensure};
use hdf5_pure::{ChunkCacheConfig, DType, Dataset, DatasetAccessProperties};
use memmap2::Mmap;
use ndarray::ArrayViewD;
use ndarray_npy::{ViewNpyError, ViewNpyExt};
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
    order: Order,
    pixels: Pixels,
}

/// How the numbers of a picture lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    ChannelsLast,
    ChannelsFirst,
    Gray,
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
    pub fn open(path: &Path, dataset: Option<&str>, channels_first: bool) -> Result<Stack> {
        plain_file::open(path).with_context(|| cannot_read(path))?;
        match (is_npy(path), dataset) {
            (true, Some(_)) => Err(advise("--dataset is for HDF5 files", "a .npy file holds one array: leave it out")),
            (true, None) => Stack::npy(path, channels_first),
            (false, _) if is_stack(path) => Stack::hdf5(path, dataset, channels_first),
            (false, _) => Err(not_a_stack(path, "it is neither a NumPy nor an HDF5 file")),
        }
    }

    fn npy(path: &Path, channels_first: bool) -> Result<Stack> {
        let file = plain_file::open(path).with_context(|| cannot_read(path))?;
        // SAFETY: the map is only read. Were the file truncated by another process meanwhile, the read would end this
        // process by a signal, as any program that maps files.
        let map = unsafe { Mmap::map(&file) }.with_context(|| cannot_read(path))?;
        npy::check_header(path)?;
        let shape = match ArrayViewD::<u8>::view_npy(&map) {
            Ok(view) if view.is_standard_layout() => view.shape().to_vec(),
            Ok(_) => return Err(not_a_stack(path, "it is in Fortran order: save `np.ascontiguousarray(array)`")),
            Err(ViewNpyError::WrongDescriptor(found)) => return Err(no_bytes(path, "it", &found.to_string())),
            Err(error) => return Err(not_a_stack(path, &error.to_string())),
        };
        Stack::new(path, None, &shape, channels_first, Pixels::Npy(map))
    }

    fn hdf5(path: &Path, dataset: Option<&str>, channels_first: bool) -> Result<Stack> {
        let file = hdf5_pure::File::open_streaming(path).with_context(|| cannot_read(path))?;
        let name = dataset.map_or_else(|| only_stack(path, &file), |name| Ok(name.to_owned()))?;
        let cache = ChunkCacheConfig::from_h5p_cache(1024, CHUNK_CACHE);
        let Ok(dataset) = file.dataset_with_options(&name, DatasetAccessProperties::new().with_chunk_cache(cache)) else {
            return Err(advise(format!("`{}` has no data set `{name}`", path.display()), contents(&file)));
        };
        if dataset.dtype()? != DType::U8 {
            return Err(no_bytes(path, &format!("`{name}`"), &dataset.dtype()?.to_string()));
        }
        let shape: Vec<usize> = dataset.shape()?.into_iter().map(|size| size as usize).collect();
        let stack = Stack::new(path, Some(name), &shape, channels_first, Pixels::Hdf5(dataset))?;
        memory::check(&format_args!("an image of `{}`", path.display()), stack.height as u64 * stack.width as u64 * 3)?;
        // What this file has that cannot be read shows itself here.
        stack.image(0).and(stack.image(stack.len - 1)).map_err(|error| not_a_stack(path, &text_of(&error)))?;
        Ok(stack)
    }

    fn new(path: &Path, dataset: Option<String>, shape: &[usize], channels_first: bool, pixels: Pixels) -> Result<Stack> {
        let is_possible = shape.iter().try_fold(1usize, |size, &n| size.checked_mul(n)).is_some_and(|size| size > 0);
        let refuse =
            |hint: &str| Err(advise(format!("`{}` is no stack of images: its shape is {shape:?}", path.display()), hint));
        let (len, height, width, order) = match (shape, channels_first) {
            _ if !is_possible => return refuse(WHAT),
            (&[len, height, width, 3], false) => (len, height, width, Order::ChannelsLast),
            (&[len, 3, height, width], true) => (len, height, width, Order::ChannelsFirst),
            (&[len, height, width, 1], false) | (&[len, 1, height, width], true) => (len, height, width, Order::Gray),
            (&[_, _, 3], false) | (&[3, _, _], false) => {
                return refuse(
                    "one picture is a stack of one, `a[None]` (with its channels first: `a[None].transpose(0, 2, 3, 1)`); \
                     gray ones `[images, rows, columns]` are `a[..., None]`",
                );
            }
            (&[len, height, width], false) => (len, height, width, Order::Gray),
            (&[_, 3, _, _], false) => {
                return refuse("its channels stand first: say so with --channels-first, or save `a.transpose(0, 2, 3, 1)`");
            }
            _ => return refuse(WHAT),
        };
        Ok(Stack { path: path.to_owned(), dataset, len, height, width, order, pixels })
    }

    pub fn image(&self, i: usize) -> Result<Rgb> {
        let area = self.height * self.width;
        let size = if self.order == Order::Gray { area } else { 3 * area };
        match &self.pixels {
            Pixels::Npy(map) => {
                let start = map.len() - (self.len - i) * size;
                Ok(self.picture(&map[start..start + size]))
            }
            Pixels::Hdf5(dataset) => {
                let name = || format!("image {i} of `{}`", self.path.display());
                let bytes = dataset.read_raw_rows(i as u64, 1).with_context(name)?;
                ensure!(bytes.len() == size, "{} has {} bytes and not {size}", name(), bytes.len());
                Ok(self.picture(&bytes))
            }
        }
    }

    fn picture(&self, bytes: &[u8]) -> Rgb {
        let area = self.height * self.width;
        let pixels = match self.order {
            Order::ChannelsLast => return Rgb::from_bytes(self.width, self.height, bytes),
            Order::ChannelsFirst => (0..area).map(|i| [bytes[i], bytes[area + i], bytes[2 * area + i], 0]).collect(),
            Order::Gray => bytes.iter().map(|level| of_gray(*level)).collect(),
        };
        Rgb::new(self.width, self.height, pixels)
    }
}

/// The data set that can hold images: the only one of four axes, or else of three.
fn only_stack(path: &Path, file: &hdf5_pure::File) -> Result<String> {
    let root = file.root();
    let names = root.datasets().with_context(|| cannot_read(path))?;
    let axes = |name: &String| root.dataset(name).ok().and_then(|data| data.shape().ok()).map_or(0, |shape| shape.len());
    let with = |wanted: usize| names.iter().filter(|name| axes(name) == wanted).collect::<Vec<_>>();
    match (&with(4)[..], &with(3)[..]) {
        ([one], _) | ([], [one]) => Ok((*one).clone()),
        (four, three) => Err(advise(
            format!(
                "`{}` has {} data sets of four axes and {} of three, and one is needed",
                path.display(),
                four.len(),
                three.len()
            ),
            format!("name it with --dataset; {}", contents(file)),
        )),
    }
}

fn contents(file: &hdf5_pure::File) -> String {
    let (names, groups) = (file.root().datasets().unwrap_or_default(), file.root().groups().unwrap_or_default());
    let names: Vec<_> = names.into_iter().chain(groups.into_iter().map(|group| group + "/…")).collect();
    format!("at the top there are: {} (in a group: GROUP/NAME)", names.join(", "))
}

const WHAT: &str = "a stack is an array [images, rows, columns, 3], or gray [images, rows, columns], of bytes (uint8) in C order";

fn not_a_stack(path: &Path, reason: &str) -> anyhow::Error {
    advise(format!("`{}` is no stack of images: {reason}", path.display()), WHAT)
}

/// Why numbers of this type are no pixels, and how they become some.
fn no_bytes(path: &Path, what: &str, kind: &str) -> anyhow::Error {
    let hint = match kind.contains('f') {
        true => {
            "save `(a * 255).round().astype('uint8')` if its values are 0 to 1, and `a.round().astype('uint8')` if they are 0 to 255"
        }
        false => "save `a.astype('uint8')` if its values are 0 to 255",
    };
    advise(format!("`{}` is no stack of images: {what} holds {kind} and not bytes (uint8)", path.display()), hint)
}
