//! Zip archives, written by hand: names may repeat, and hold anything.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::{Cursor, Read, Write};
use zip::ZipArchive;

const DEFLATED: u16 = 8;

/// A member, chunk or element.
#[derive(Debug, Clone, Default)]
pub struct Part {
    pub name: Vec<u8>,
    pub content: Vec<u8>,
    /// Whether the content is deflated when it is packed.
    pub is_deflated: bool,
}

/// The members of an archive.
pub fn unzip(bytes: &[u8]) -> Option<Vec<Part>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let count = archive.len();
    let part = |number| {
        let mut file = archive.by_index(number).ok()?;
        let (name, is_deflated) = (file.name_raw().to_vec(), file.compressed_size() != file.size());
        let mut content = Vec::new();
        file.by_ref().take(1 << 20).read_to_end(&mut content).ok()?;
        Some(Part { name, content, is_deflated })
    };
    (0..count).map(part).collect()
}

/// An archive of `parts`.
pub fn zip(parts: &[Part]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for part in parts {
        let place = (file.len() as u32).to_le_bytes();
        let packed = if part.is_deflated { deflated(&part.content) } else { part.content.clone() };
        let method = if part.is_deflated { DEFLATED } else { 0 };
        let common = [
            &20u16.to_le_bytes()[..],
            &[0; 2],
            &method.to_le_bytes(),
            &[0, 0, 0x21, 0],
            &crc32fast::hash(&part.content).to_le_bytes(),
            &(packed.len() as u32).to_le_bytes(),
            &(part.content.len() as u32).to_le_bytes(),
            &(part.name.len() as u16).to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        file.extend([b"PK\x03\x04", &common[..], &part.name, &packed].concat());
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 10], &place, &part.name].concat());
    }
    let count = (parts.len() as u16).to_le_bytes();
    let (size, place) = ((directory.len() as u32).to_le_bytes(), (file.len() as u32).to_le_bytes());
    [&file[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &place, &[0; 2]].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}
