//! PyTorch: a dictionary of `features`, a tensor `[images, …]`, `images`, a list of names, and `layer`, in the zip archive that
//! `torch.save` writes; `torch.load` with `weights_only=True` reads it.

use super::hdf5::{FEATURES, IMAGES};
use super::{Contents, Dtype, Found, InPlace, Layout};
use crate::atomic_file;
use crate::torchscript;
use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use std::io::Read;
use std::path::Path;
use zip::CompressionMethod;

pub(super) struct Pt;

/// What contents begin at a multiple of, as PyTorch's do.
const ALIGNED: usize = 64;
/// Where four bytes of a size are not enough.
const LARGE: u64 = u32::MAX as u64;

impl InPlace for Pt {
    fn layout(&self, contents: &Contents) -> Result<Layout> {
        let (layer, _) = contents.arrays[0];
        let shape = contents.shape(0);
        let mut pickle = tensor(FEATURES, &shape, storage(contents.dtype));
        pickle.extend(list(IMAGES, contents.images));
        pickle.extend([&text("layer")[..], &text(layer), b"u."].concat());
        Ok(archive(&pickle, contents.size(0)?))
    }

    fn find(&self, path: &Path, _layer: &str, shape: &[usize]) -> Result<Option<Found>> {
        let mut archive = torchscript::archive(path)?;
        let mut begins = |dtype: &Dtype| -> Result<bool> {
            let wanted = tensor(FEATURES, shape, storage(*dtype));
            let mut found = Vec::new();
            archive.by_name("archive/data.pkl")?.take(wanted.len() as u64).read_to_end(&mut found)?;
            Ok(found == wanted)
        };
        let mut dtype = None;
        for candidate in [Dtype::F32, Dtype::F16] {
            dtype = dtype.or(begins(&candidate)?.then_some(candidate));
        }
        let entry = archive.by_name("archive/data/0")?;
        let is_plain = entry.compression() == CompressionMethod::Stored && entry.size() == entry.compressed_size();
        let dtype = dtype.filter(|dtype| is_plain && super::bytes_of(shape, *dtype) == Some(entry.size()));
        let start = entry.data_start().context("the archive is damaged")?;
        Ok(dtype.map(|dtype| Found { start, shape: shape.to_vec(), dtype }))
    }
}

/// The names of rows in the file of `layer` at `path`; fails if it is of another layer.
pub(super) fn names(path: &Path, layer: &str) -> Result<Vec<String>> {
    /// Of a pickle.
    const MOST: u64 = 1 << 30;
    let mut pickle = Vec::new();
    torchscript::archive(path)?.by_name("archive/data.pkl")?.take(MOST).read_to_end(&mut pickle)?;
    let end = [&text("layer")[..], &text(layer), b"u."].concat();
    let begins = [&text(IMAGES)[..], b"]("].concat();
    let body = pickle.strip_suffix(&end[..]).with_context(|| format!("it is not the file of the layer `{layer}`"))?;
    let at = body.windows(begins.len()).position(|part| part == begins).context("it names no images")?;
    let mut rest = &body[at + begins.len()..];
    let mut names = Vec::new();
    while let Some((length, after)) = rest.strip_prefix(b"X").and_then(|rest| rest.split_first_chunk()) {
        let (name, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).context("it is cut off")?;
        names.push(String::from_utf8(name.to_vec())?);
        rest = after;
    }
    ensure!(rest == b"e", "its names are not as they were written");
    Ok(names)
}

/// Writes an RDM, or several, as a dictionary of `rdm`, a tensor of float64, and `images`, the names of the stimuli.
pub(crate) fn write(path: &Path, values: &ArrayD<f64>, ids: Option<&[String]>) -> Result<()> {
    let mut pickle = tensor("rdm", values.shape(), "Double");
    ids.iter().for_each(|ids| pickle.extend(list(IMAGES, ids)));
    pickle.extend(b"u.");
    let numbers: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let Layout { header, mut trailer, crcs, .. } = archive(&pickle, numbers.len() as u64);
    let mut file = [header, numbers].concat();
    let crc = crc32fast::hash(&file[file.len() - values.len() * size_of::<f64>()..]).to_le_bytes();
    file.append(&mut trailer);
    for place in crcs {
        file[place as usize..][..crc.len()].copy_from_slice(&crc);
    }
    atomic_file::write(path, &file)
}

/// The archive of this pickle, whose tensor has `size` bytes.
fn archive(pickle: &[u8], size: u64) -> Layout {
    let mut zip = Zip::default();
    zip.add("archive/data.pkl", pickle);
    zip.add("archive/byteorder", b"little");
    zip.add("archive/version", b"3\n");
    zip.finish("archive/data/0", size)
}

fn storage(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F16 => "Half",
        Dtype::F32 => "Float",
    }
}

/// A name, and a list of texts.
fn list(name: &str, texts: &[String]) -> Vec<u8> {
    [&text(name)[..], b"](", &texts.iter().flat_map(|one| text(one)).collect::<Vec<_>>(), b"e"].concat()
}

/// The beginning of the pickle: a dictionary of which the first is the tensor `name`, in C order, whose numbers are the file `data/0`.
fn tensor(name: &str, shape: &[usize], storage: &str) -> Vec<u8> {
    let count: usize = shape.iter().fold(1, |count, size| count.saturating_mul(*size));
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    let tuple =
        |numbers: &[usize]| [b"(", &numbers.iter().flat_map(|value| number(*value)).collect::<Vec<_>>()[..], b"t"].concat();
    [
        b"\x80\x02}(".to_vec(),
        text(name),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        format!("ctorch\n{storage}Storage\n").into_bytes(),
        text("0"),
        text("cpu"),
        number(count),
        b"tQ".to_vec(),
        number(0),
        tuple(shape),
        tuple(&strides),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

/// BINUNICODE.
fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// BININT, or of more than 31 bits LONG1.
fn number(number: usize) -> Vec<u8> {
    match i32::try_from(number) {
        Ok(number) => [b"J", &number.to_le_bytes()[..]].concat(),
        Err(_) => [b"\x8a\x09", &number.to_le_bytes()[..], b"\0"].concat(),
    }
}

/// An archive of files as they are.
#[derive(Default)]
struct Zip {
    bytes: Vec<u8>,
    /// What the list at its end says of each file.
    list: Vec<u8>,
    files: u16,
}

fn words<const N: usize>(words: [u16; N]) -> Vec<u8> {
    words.into_iter().flat_map(u16::to_le_bytes).collect()
}

impl Zip {
    fn add(&mut self, name: &str, contents: &[u8]) {
        self.begin(name, crc32fast::hash(contents), contents.len() as u64);
        self.bytes.extend(contents);
    }

    /// What stands before and in the list about a file of this size. Says where its CRC is, there and in the list.
    fn begin(&mut self, name: &str, crc: u32, size: u64) -> [usize; 2] {
        let (at, is_large) = (self.bytes.len(), size >= LARGE);
        let short = (size.min(LARGE) as u32).to_le_bytes();
        // Needed is version 4.5 for large files; names are UTF-8; nothing is compressed; the date is 1980-01-01.
        let about =
            [words([if is_large { 45 } else { 20 }, 0x0800, 0, 0, 0x21]), crc.to_le_bytes().to_vec(), [short, short].concat()];
        let sizes = if is_large { [words([1, 16]), [size.to_le_bytes(); 2].concat()].concat() } else { Vec::new() };
        let end = at + 30 + name.len() + sizes.len() + 4;
        let padding = end.next_multiple_of(ALIGNED) - end;
        let extra = [sizes.clone(), b"FB".to_vec(), words([padding as u16]), vec![b'Z'; padding]].concat();
        let lengths = |extra: &[u8]| words([name.len() as u16, extra.len() as u16]);
        let crcs = [at + 14, self.list.len() + 16];
        self.bytes.extend([b"PK\x03\x04".to_vec(), about.concat(), lengths(&extra), name.into(), extra].concat());
        let place = [words([0, 0, 0]), vec![0; 4], (at as u32).to_le_bytes().to_vec()].concat();
        let made_by = words([45]);
        self.list.extend([b"PK\x01\x02".to_vec(), made_by, about.concat(), lengths(&sizes), place, name.into(), sizes].concat());
        self.files += 1;
        crcs
    }

    /// Ends it with a file `name` of `size` bytes that come later.
    fn finish(mut self, name: &str, size: u64) -> Layout {
        let [before, in_list] = self.begin(name, 0, size);
        let start = self.bytes.len() as u64;
        let end = start + size;
        let length = self.list.len() as u64;
        let mut trailer = self.list;
        if end >= LARGE {
            let files = u64::from(self.files).to_le_bytes();
            let record = [44u64.to_le_bytes().to_vec(), words([45, 45]), vec![0; 8], files.to_vec(), files.to_vec()].concat();
            trailer.extend([b"PK\x06\x06".to_vec(), record, length.to_le_bytes().to_vec(), end.to_le_bytes().to_vec()].concat());
            trailer.extend(
                [b"PK\x06\x07\0\0\0\0".to_vec(), (end + length).to_le_bytes().to_vec(), 1u32.to_le_bytes().to_vec()].concat(),
            );
        }
        let place = [(length as u32).to_le_bytes(), (end.min(LARGE) as u32).to_le_bytes()].concat();
        trailer.extend([b"PK\x05\x06".to_vec(), words([0, 0, self.files, self.files]), place, words([0])].concat());
        let crcs = vec![before as u64, end + in_list as u64];
        Layout { header: self.bytes, starts: vec![start], end, trailer, crcs }
    }
}
