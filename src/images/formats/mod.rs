//! The image formats: each is a file and an entry of the table.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod pnm;
mod tiff;
mod webp;

use super::reading::Format;
use std::fmt;

/// In the order in which they are counted and named.
pub static FORMATS: Formats = Formats(&[
    Format { name: "JPEG", begins: |b| b.starts_with(b"\xff\xd8\xff"), open: jpeg::open },
    Format { name: "PNG", begins: |b| b.starts_with(png::SIGNATURE), open: png::open },
    Format { name: "WebP", begins: |b| b.starts_with(b"RIFF") && b.get(8..12) == Some(b"WEBP"), open: webp::open },
    Format { name: "BMP", begins: |b| b.starts_with(b"BM"), open: bmp::open },
    Format { name: "GIF", begins: |b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a"), open: gif::open },
    Format { name: "TIFF", begins: |b| matches!(b, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42, ..]), open: tiff::open },
    Format {
        name: "PNM",
        begins: |b| matches!(b, [b'P', b'1'..=b'6', b'#' | b' ' | b'\t' | b'\n' | b'\r' | 0x0c, ..]),
        open: pnm::open,
    },
]);

pub struct Formats(&'static [Format]);

impl Formats {
    /// The format of a file that begins with `bytes`.
    pub fn of(&self, bytes: &[u8]) -> Option<&'static Format> {
        self.0.iter().find(|format| (format.begins)(bytes))
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|format| format.name)
    }
}

/// "JPEG, PNG or GIF".
impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        let (last, others) = names.split_last().expect("there are formats");
        write!(f, "{} or {last}", others.join(", "))
    }
}
