//! Packed files taken apart, changed inside, and packed again with the right sizes and check sums, at which every change of the
//! packed bytes would end.

use super::archives::{self, Part};
use super::mutate;
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::io::{Read, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    None,
    Zip,
    Png,
    Gzip,
    Mat,
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const MAT_HEADER: usize = 128;
const COMPRESSED: u32 = 15;

impl Packing {
    /// The parts of a file, if it is packed so.
    pub fn unpack(self, bytes: &[u8]) -> Option<Vec<Part>> {
        let parts = match self {
            Packing::None => return None,
            Packing::Zip => archives::unzip(bytes)?,
            Packing::Png => chunks(bytes)?,
            Packing::Gzip if bytes.starts_with(&[0x1f, 0x8b]) => {
                vec![Part { content: inflated(MultiGzDecoder::new(bytes))?, is_deflated: true, ..Part::default() }]
            }
            Packing::Gzip => return None,
            Packing::Mat => elements(bytes)?,
        };
        Some(parts).filter(|parts| !parts.is_empty())
    }

    pub fn pack(self, parts: &[Part]) -> Vec<u8> {
        match self {
            Packing::None => parts.iter().flat_map(|part| part.content.clone()).collect(),
            Packing::Zip => archives::zip(parts),
            Packing::Png => [PNG.to_vec()].into_iter().chain(parts.iter().map(chunk)).flatten().collect(),
            Packing::Gzip => parts.iter().flat_map(|part| gzip(&part.content)).collect(),
            Packing::Mat => parts.iter().flat_map(element).collect(),
        }
    }
}

/// Mostly the content of one, sometimes its name, how it is packed, or the order.
pub fn mutate(parts: &mut Vec<Part>, others: &[Vec<Part>], random: &mut ChaCha8Rng) {
    let number = random.random_range(0..parts.len());
    let other = others.get(random.random_range(0..others.len().max(1))).map_or(&[][..], Vec::as_slice);
    match random.random_range(0..12) {
        0 => drop(parts.remove(number)),
        1 => parts.insert(number, parts[number].clone()),
        2 => {
            let with = random.random_range(0..parts.len());
            parts.swap(number, with);
        }
        3 if !other.is_empty() => parts.insert(number, other[random.random_range(0..other.len())].clone()),
        4 => mutate::bytes(&mut parts[number].name, &names(other), random),
        5 => parts[number].is_deflated ^= true,
        _ => {
            let contents: Vec<Vec<u8>> = other.iter().map(|part| part.content.clone()).chain([b"x".to_vec()]).collect();
            mutate::bytes(&mut parts[number].content, &contents, random);
        }
    }
}

fn names(parts: &[Part]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.name.clone()).chain([b"x".to_vec()]).collect()
}

/// A seed that unpacks to more is none.
fn inflated(packed: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    packed.take(1 << 20).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// The chunks of a PNG, all data in one and inflated.
fn chunks(bytes: &[u8]) -> Option<Vec<Part>> {
    let mut rest = bytes.strip_prefix(PNG)?;
    let mut parts: Vec<Part> = Vec::new();
    while let [a, b, c, d, name @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (name, content) = (name.get(..4)?.to_vec(), name.get(4..4 + length)?.to_vec());
        rest = rest.get(12 + length..)?;
        match parts.last_mut().filter(|last| last.name == *b"IDAT" && name == *b"IDAT") {
            Some(last) => last.content.extend(content),
            None => parts.push(Part { name, content, is_deflated: false }),
        }
    }
    for data in parts.iter_mut().filter(|part| part.name == *b"IDAT") {
        data.content = inflated(ZlibDecoder::new(&data.content[..]))?;
        data.is_deflated = true;
    }
    Some(parts)
}

fn chunk(part: &Part) -> Vec<u8> {
    let content = if part.is_deflated { zlib(&part.content) } else { part.content.clone() };
    let named = [&part.name[..], &content].concat();
    [&(content.len() as u32).to_be_bytes()[..], &named, &crc32fast::hash(&named).to_be_bytes()].concat()
}

/// The header of a MATLAB file, and its elements, of which the name is the kind.
fn elements(bytes: &[u8]) -> Option<Vec<Part>> {
    let (header, mut rest) = bytes.split_at_checked(MAT_HEADER)?;
    let mut parts = vec![Part { content: header.to_vec(), ..Part::default() }];
    while let Some((tag, others)) = rest.split_at_checked(8) {
        let [kind, size] = [0, 4].map(|at| u32::from_le_bytes(std::array::from_fn(|i| tag[at + i])));
        let content = others.get(..size as usize)?;
        let is_deflated = kind == COMPRESSED;
        let content = if is_deflated { inflated(ZlibDecoder::new(content))? } else { content.to_vec() };
        parts.push(Part { name: kind.to_le_bytes().to_vec(), content, is_deflated });
        rest = &others[size as usize..];
    }
    Some(parts)
}

fn element(part: &Part) -> Vec<u8> {
    if part.name.is_empty() {
        return part.content.clone();
    }
    let content = if part.is_deflated { zlib(&part.content) } else { part.content.clone() };
    let kind = if part.is_deflated { COMPRESSED.to_le_bytes().to_vec() } else { part.name.clone() };
    [&kind[..], &(content.len() as u32).to_le_bytes(), &content].concat()
}
