//! A file of `torch.save`, in its zip and its older format: where the storages lie, and the tensors in them as numbers.
//!
//! Both are described in PyTorch's `torch/serialization.py`. In a zip archive `data.pkl` is the pickle and `data/KEY` a storage. An older
//! file has five pickles (a number that tells the format, a version, the machine, the object, the keys of the storages) and then the
//! storages in this order, each with its length before it.

use super::fit::shortened;
use super::pickle::{Pickle, Stored};
use crate::plain_file;
use crate::torchscript::archive;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tch::{Kind, Tensor};
use zip::read::ZipReadOptions;
use zip::{CompressionMethod, ZipArchive};

/// In bytes; those of published files have at most some.
const LARGEST_PICKLE: u64 = 100 << 20;
/// In bytes; most computers have no room for more.
const LARGEST_TENSOR: usize = 10 << 30;
/// Numbers of a tensor that is larger than its storage, because it repeats itself.
const MOST_REPEATED: usize = 1 << 24;
/// What the first pickle of an older file holds, as bytes.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// And in digits, as pickles of the protocols 0 and 1 have it.
const MAGIC_IN_DIGITS: &[u8] = b"119547037146038801333356";

/// An opened file of tensors.
pub struct TorchFile {
    file: File,
    storages: Storages,
    tensors: Vec<(String, Stored)>,
    by_name: HashMap<String, usize>,
}

enum Storages {
    /// The archive, and the folder in it with a slash.
    Zip(Mutex<ZipArchive<File>>, String),
    /// The place and the length of each in the file.
    Older(HashMap<String, (u64, u64)>),
}

impl TorchFile {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<TorchFile> {
        let file = plain_file::open(path)?;
        let mut start = [0; 64];
        let length = file.read_at(&mut start, 0)?;
        let start = &start[..length];
        let has = |magic: &[u8]| start.windows(magic.len()).any(|bytes| bytes == magic);
        let (storages, tensors) = if start.starts_with(b"PK") {
            zip(path)?
        } else if has(&MAGIC) || has(MAGIC_IN_DIGITS) {
            older(&file)?
        } else {
            let text = String::from_utf8_lossy(start).trim_start().to_lowercase();
            ensure!(!text.starts_with("<!doctype") && !text.starts_with("<html"), "it is a web page");
            ensure!(!text.starts_with("version https://git-lfs"), "it is a pointer of Git LFS to the file, not the file");
            bail!("it begins as none of these does");
        };
        ensure!(!tensors.is_empty(), "it holds no tensors");
        let by_name = tensors.iter().enumerate().map(|(number, (name, _))| (name.clone(), number)).collect();
        Ok(TorchFile { file, storages, tensors, by_name })
    }

    /// All tensors with their names.
    pub fn tensors(&self) -> &[(String, Stored)] {
        &self.tensors
    }

    /// Where the tensor `name` lies.
    pub fn stored(&self, name: &str) -> Option<&Stored> {
        self.by_name.get(name).map(|number| &self.tensors[*number].1)
    }

    /// Reads the tensor `name`.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let Stored { storage, kind, offset, shape, strides } = self.stored(name).context("it is not there")?;
        let kind = kind.clone().map_err(|kind| anyhow::anyhow!("it is {kind}"))?;
        let item = bytes_of(kind);
        let numbers = shape.iter().try_fold(1usize, |numbers, size| numbers.checked_mul(*size)).context("it is too large")?;
        let sizes = |sizes: &[usize]| sizes.iter().map(|size| Ok(i64::try_from(*size)?)).collect::<Result<Vec<_>>>();
        if numbers == 0 {
            return Ok(Tensor::f_zeros(sizes(shape)?, (kind, tch::Device::Cpu))?);
        }
        // The distance of its first number to its last.
        let reach = shape
            .iter()
            .zip(strides)
            .try_fold(1usize, |reach, (size, stride)| reach.checked_add((size - 1).checked_mul(*stride)?));
        let reach = reach.filter(|reach| reach.checked_mul(item).is_some_and(|bytes| bytes <= LARGEST_TENSOR));
        let reach = reach.context("it is too large")?;
        ensure!(numbers <= reach.max(MOST_REPEATED), "it is too large");
        let begin = offset.checked_mul(item).context("it begins nowhere")?;
        let bytes = self.bytes(storage, begin as u64, reach * item)?;
        let whole = Tensor::f_from_data_size(&bytes, &[i64::try_from(reach)?], kind)?;
        Ok(whole.f_as_strided(sizes(shape)?, sizes(strides)?, 0)?.f_contiguous()?)
    }

    /// So many bytes of a storage.
    fn bytes(&self, storage: &str, begin: u64, length: usize) -> Result<Vec<u8>> {
        let end = begin.checked_add(length as u64).context("it begins nowhere")?;
        let short = || format!("the storage `{storage}` is shorter than it must be");
        let (archive, folder) = match &self.storages {
            Storages::Older(places) => {
                let (place, there) = places.get(storage).with_context(|| format!("there is no storage `{storage}`"))?;
                ensure!(end <= *there, short());
                return self.piece(place + begin, length);
            }
            Storages::Zip(archive, folder) => (archive, folder),
        };
        let name = format!("{folder}data/{storage}");
        let mut archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
        let index = archive.index_for_name(&name).with_context(|| format!("there is no storage `{storage}`"))?;
        // `torch.save` without checksums writes zeros.
        let is_unchecked = archive.by_index_raw(index)?.crc32() == 0;
        let mut entry = archive.by_index_with_options(index, ZipReadOptions::new().ignore_crc32(is_unchecked))?;
        ensure!(end <= entry.size(), short());
        let is_all = length as u64 == entry.size();
        let is_plain = entry.compression() == CompressionMethod::Stored && entry.compressed_size() == entry.size();
        if let (true, false, Some(place)) = (is_plain, is_all, entry.data_start()) {
            drop(entry);
            return self.piece(place + begin, length);
        }
        io::copy(&mut entry.by_ref().take(begin), &mut io::sink())?;
        let most = usize::try_from(self.file.metadata()?.len())?;
        let mut bytes = Vec::with_capacity(length.min(most));
        entry.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        // What is beyond the end of a whole storage compares the checksum.
        let beyond = if is_all { entry.read(&mut [0])? } else { 0 };
        ensure!(bytes.len() == length && beyond == 0, short());
        Ok(bytes)
    }

    fn piece(&self, place: u64, length: usize) -> Result<Vec<u8>> {
        let is_there =
            place.checked_add(length as u64).is_some_and(|end| self.file.metadata().is_ok_and(|file| end <= file.len()));
        ensure!(is_there, "the file ends too early");
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, place)?;
        Ok(bytes)
    }
}

type Found = (Storages, Vec<(String, Stored)>);

fn zip(path: &Path) -> Result<Found> {
    let mut archive = archive(path)?;
    let entries = entries(plain_file::open(path)?, archive.central_directory_start())?;
    ensure!(entries == archive.len(), "two files in the archive have the same name");
    let names: Vec<String> = archive.file_names().filter_map(|name| name.ok().map(Into::into)).collect();
    let folders = names.iter().filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = folders.filter(|folder| folder.is_empty() || folder.ends_with('/')).min_by_key(|folder| folder.len());
    let folder = folder.context("it is a zip archive, but not of `torch.save`")?.to_owned();
    if let Some(other) = names.iter().find(|name| !name.starts_with(&folder)) {
        bail!("beside the folder of `torch.save` it holds `{}`", shortened(other));
    }
    let mut read = |name: &str, most: u64| -> Result<Vec<u8>> {
        let file = archive.by_name(name)?;
        let size = file.size();
        ensure!(size <= most, "`{name}` in the archive is larger than that of any network");
        let mut bytes = Vec::new();
        file.take(size + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 == size, "`{name}` in the archive is damaged");
        Ok(bytes)
    };
    let order = format!("{folder}byteorder");
    if names.contains(&order) {
        ensure!(read(&order, 100)? == b"little", "its numbers are those of a big-endian machine");
    }
    let pickle = read(&format!("{folder}data.pkl"), LARGEST_PICKLE)?;
    let tensors = Pickle::read(&pickle)?.tensors()?;
    Ok((Storages::Zip(Mutex::new(archive), folder), tensors))
}

/// How many files a directory lists, of which `zip` keeps one of a name and libtorch another: APPNOTE.TXT 4.3.12.
fn entries(file: File, start: u64) -> Result<usize> {
    let mut directory = BufReader::new(file);
    directory.seek(SeekFrom::Start(start))?;
    let mut entries = 0;
    loop {
        let mut header = [0; 46];
        if directory.read_exact(&mut header).is_err() || !header.starts_with(b"PK\x01\x02") {
            return Ok(entries);
        }
        let length = |at: usize| i64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        directory.seek_relative(length(28) + length(30) + length(32))?;
        entries += 1;
    }
}

fn older(file: &File) -> Result<Found> {
    let length = file.metadata()?.len();
    // Pickles come first, and nobody knows where they end.
    let mut most = 1 << 20;
    loop {
        let mut bytes = vec![0; usize::try_from(length.min(most))?];
        file.read_exact_at(&mut bytes, 0)?;
        match older_in(file, &bytes, length) {
            Err(_) if bytes.len() < length.min(LARGEST_PICKLE) as usize => most *= 10,
            found => return found,
        }
    }
}

/// An older file of this length that begins with `bytes`.
fn older_in(file: &File, bytes: &[u8], length: u64) -> Result<Found> {
    let mut at = 0;
    let mut next = || -> Result<Pickle> {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok(pickle)
    };
    next()?;
    ensure!(next()?.integer() == Some(1001), "it is of a version that is not known");
    ensure!(next()?.number_at("little_endian") == Some(1), "its numbers are those of a big-endian machine");
    let object = next()?;
    let keys = next()?.texts().context("it has no list of its storages")?;
    let sizes = object.storages()?;
    let (mut places, mut place) = (HashMap::new(), at as u64);
    for key in keys {
        let (numbers, item) = *sizes.get(&*key).with_context(|| format!("nothing is said of the storage `{key}`"))?;
        ensure!(item > 0, "the storage `{key}` is of a type that is not known");
        let size = numbers.checked_mul(item).context("a storage is too large")?;
        let begin = place + 8;
        place = begin.checked_add(size).filter(|end| *end <= length).context("the file ends too early")?;
        let mut count = [0; 8];
        file.read_exact_at(&mut count, begin - 8)?;
        ensure!(u64::from_le_bytes(count) == numbers, "the storage `{key}` is not as long as it is said to be");
        places.insert(key.into_owned(), (begin, size));
    }
    Ok((Storages::Older(places), object.tensors()?))
}

fn bytes_of(kind: Kind) -> usize {
    match kind {
        Kind::Half | Kind::BFloat16 => 2,
        Kind::Double | Kind::Int64 => 8,
        _ => 4,
    }
}
