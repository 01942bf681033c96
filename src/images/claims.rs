//! Which files in a folder are taken for images: those that are, and those that claim it by their ending.

use super::formats::FORMATS;
use crate::plain_file;
use std::io::Read;
use std::path::Path;

/// Endings of pictures, in formats that are read and in others: who puts these into a folder wants them as images.
const ENDINGS: [&str; 57] = [
    "jpg", "jpeg", "jpe", "jfif", "jif", "mpo", "png", "apng", "webp", "bmp", "dib", "rle", "gif", "tif", "tiff", "pnm", "ppm",
    "pgm", "pbm", "pfm", "pam", "heic", "heif", "hif", "avif", "jp2", "j2k", "jpf", "jpx", "jxl", "jxr", "ico", "cur", "icns",
    "tga", "pcx", "psd", "psb", "svg", "exr", "hdr", "dds", "xbm", "xpm", "qoi", "dng", "cr2", "cr3", "nef", "arw", "orf", "raf",
    "rw2", "pef", "sr2", "dcm", "xcf",
];

/// Whether the file at `path` neither is an image nor claims to be one.
pub fn is_something_else(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = plain_file::open(path).and_then(|file| file.take(32).read_to_end(&mut start));
    read.is_ok() && FORMATS.of(&start).is_none() && !is_of_another_format(&start) && !is_called_image(path)
}

/// Whether the file at `path` is an image, or claims to be one.
pub fn is_one_image(path: &Path) -> bool {
    path.is_file() && !is_something_else(path)
}

/// Whether it is called as images are.
pub fn is_called_image(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ENDINGS.contains(&ending.as_str())
}

/// HEIC and AVIF, JPEG 2000, Photoshop.
fn is_of_another_format(start: &[u8]) -> bool {
    let brand = start.get(8..12).filter(|_| start.get(4..8) == Some(b"ftyp"));
    let is_still = brand.is_some_and(|brand| [b"heic", b"heix", b"mif1", b"avif"].iter().any(|known| brand == *known));
    is_still || start.get(4..8) == Some(b"jP  ") || start.starts_with(b"8BPS")
}
