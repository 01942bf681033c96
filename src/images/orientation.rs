//! Pictures that are stored turned or mirrored, as the orientation tag of EXIF says.

use super::rgb::Rgb;
use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};

/// As an EXIF block says it, or else an XMP packet.
pub fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let by_exif = exif.and_then(|exif| entry(exif, TAG)).map(|entry| entry.value);
    let number = by_exif.or_else(|| in_xmp(xmp?)).and_then(|number| u8::try_from(number).ok());
    number.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

const TAG: u16 = 274;

/// The first `tiff:Orientation="6"` or `<tiff:Orientation>6<`, which is what Pillow looks for.
fn in_xmp(xmp: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(xmp);
    let numbers = text.split("tiff:Orientation").skip(1);
    numbers
        .filter_map(|rest| rest.strip_prefix("=\"").or(rest.strip_prefix('>')))
        .find_map(|rest| rest.chars().next()?.to_digit(10))
}

/// Width and height after turning.
pub fn turned_size((width, height): (usize, usize), orientation: Orientation) -> (usize, usize) {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let is_on_its_side = matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH);
    if is_on_its_side { (height, width) } else { (width, height) }
}

/// The whole picture `image`, turned.
pub fn upright(image: Rgb, orientation: Orientation) -> Rgb {
    let (width, height) = (image.width as u32, image.height as u32);
    let buffer = RgbaImage::from_raw(width, height, image.pixels.into_flattened()).expect("a whole picture");
    let mut turned = DynamicImage::ImageRgba8(buffer);
    turned.apply_orientation(orientation);
    let (width, height) = (turned.width() as usize, turned.height() as usize);
    let pixels = turned.into_rgba8().into_raw().as_chunks().0.to_vec();
    Rgb { damaged: image.damaged, ..Rgb::new(width, height, pixels) }
}

/// A tag's value, if it is one small number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The position of its first byte.
    pub at: usize,
    /// Whether numbers begin with their lowest byte.
    pub is_little: bool,
    pub value: u32,
}

/// In the first directory of a TIFF file, which is also what an EXIF block is, the entry of `tag`, whose value is a number of 16 or 32 bits.
pub fn entry(bytes: &[u8], tag: u16) -> Option<DirectoryEntry> {
    const SHORT: u32 = 3;
    const LONG: u32 = 4;
    let is_little = match bytes.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let number = |at: usize, size: usize| {
        let join = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        let bytes = bytes.get(at..at + size)?.iter();
        Some(if is_little { bytes.rev().fold(0, join) } else { bytes.fold(0, join) })
    };
    let short = |at| number(at, 2);
    let directory = number(4, 4)? as usize;
    let mut entries = (0..short(directory)? as usize).map(|i| directory + 2 + 12 * i);
    let entry = entries.find(|&entry| short(entry) == Some(tag.into()))?;
    let at = entry + 8;
    let value = match short(entry + 2)? {
        SHORT => short(at)?,
        LONG => number(at, 4)?,
        _ => return None,
    };
    Some(DirectoryEntry { at, is_little, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_both_byte_orders() {
        let little = b"II*\0\x08\0\0\0\x02\0\x06\x01\x03\0\x01\0\0\0\x02\0\0\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0";
        assert_eq!(entry(little, 274), Some(DirectoryEntry { at: 30, is_little: true, value: 6 }));
        assert_eq!(entry(little, 262), Some(DirectoryEntry { at: 18, is_little: true, value: 2 }));
        assert_eq!(entry(little, 263), None);
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!(entry(big, 274), Some(DirectoryEntry { at: 18, is_little: false, value: 8 }));
        for length in 0..little.len() {
            entry(&little[..length], 274);
        }
    }
}
