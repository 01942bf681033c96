//! Pictures that are stored turned or mirrored, as the orientation tag of EXIF says.

use super::ifd;
use super::rgb::Rgb;
use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};

/// As an EXIF block says it, or else an XMP packet.
pub fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let by_exif = exif.and_then(|exif| ifd::find(exif, TAG)).map(|entry| entry.value);
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
