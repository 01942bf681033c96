//! An image file to RGB pixels, equal to `PIL.Image.open(path).convert("RGB")`.

use super::orientation::{self, turned_size, upright};
use super::png::{self, Png};
use super::pnm::Pnm;
use super::rgb::{Rgb, Window};
use super::tiff::Tiff;
use super::{gif, jpeg, raster};
use crate::error::{advise, text_of};
use anyhow::{Context, Result, bail, ensure};
use image::metadata::Orientation;
use image::{ImageDecoder, ImageError};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;
use tiff::TiffError;

/// A kind of image file that can be read, told by its first bytes, not by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// All that libjpeg reads.
    Jpeg,
    /// Of any depth.
    Png,
    /// Lossy or lossless.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// The first picture of it.
    Gif,
    /// The first page of it.
    Tiff,
    /// PBM, PGM and PPM.
    Pnm,
}

/// All that can be read, for messages.
pub const FORMATS: &str = "JPEG, PNG, WebP, BMP, GIF, TIFF or PNM";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Webp => "WebP",
            Format::Bmp => "BMP",
            Format::Gif => "GIF",
            Format::Tiff => "TIFF",
            Format::Pnm => "PNM",
        })
    }
}

impl Format {
    /// By the signature at the beginning of `bytes`.
    fn of(bytes: &[u8]) -> Option<Format> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
            [b'B', b'M', ..] => Some(Format::Bmp),
            [b'P', b'1'..=b'6', space, ..] if space.is_ascii_whitespace() || *space == b'#' => Some(Format::Pnm),
            _ if bytes.starts_with(png::SIGNATURE) => Some(Format::Png),
            _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some(Format::Webp),
            _ if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") => Some(Format::Gif),
            _ if bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*") || bytes.starts_with(b"II+\0") => Some(Format::Tiff),
            _ => None,
        }
    }
}

/// How image files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Larger pictures are refused.
    pub max_pixels: usize,
    /// Whether pictures are turned upright as their EXIF orientation says, which Pillow and torchvision do not by themselves.
    pub upright: bool,
}

impl Default for Reading {
    /// As Pillow, which takes larger pictures for a "decompression bomb".
    fn default() -> Self {
        Reading { max_pixels: 178_956_970, upright: false }
    }
}

impl Reading {
    /// How a picture of this format and orientation is turned. Of all formats Pillow turns only TIFF by itself.
    fn turn(&self, format: Format, orientation: Orientation) -> Orientation {
        if self.upright || format == Format::Tiff { orientation } else { Orientation::NoTransforms }
    }

    /// Fails for pictures that are too large.
    pub(super) fn check_size(&self, width: usize, height: usize) -> Result<()> {
        if width.saturating_mul(height) > self.max_pixels {
            bail!(TooLarge(format!("{width} × {height} pixels are more than {}", self.max_pixels)));
        }
        ensure!(width > 0 && height > 0, "it has no pixels");
        Ok(())
    }
}

/// What the header of an image file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind of file.
    pub format: Format,
    /// In pixels, as it will be decoded.
    pub width: usize,
    /// In pixels, as it will be decoded.
    pub height: usize,
    /// Whether it has 16 bits of gray, of which Pillow shows all but the darkest 256 levels as white.
    pub is_clipped: bool,
}

/// The bytes of a file, or its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_whole: bool,
}

/// Why a sound file cannot be read: what it is.
#[derive(Debug)]
pub(super) struct Unsupported(pub(super) String);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} is not supported", self.0)
    }
}

/// Why a picture is refused that is larger than wanted.
#[derive(Debug)]
struct TooLarge(String);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many bytes are read for a header at first.
const HEADER: u64 = 64 * 1024;

/// Reads the size of the image at `path` and fails where decoding would fail for sure.
pub fn check_header(path: &Path, reading: &Reading) -> Result<Header> {
    let mut file = File::open(path).with_context(|| cannot_read(path))?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEADER).read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
    let format = format(path, &bytes)?;
    // The orientation may stand behind the pixels.
    let needs_all = reading.upright && format != Format::Jpeg;
    if needs_all {
        file.read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
    }
    let is_whole = needs_all || (bytes.len() as u64) < HEADER;
    let mut header = guarded(|| header(format, Source { bytes: &bytes, is_whole }, reading));
    if header.is_err() && !is_whole {
        // A long preamble, such as an embedded preview, may put the size later; a TIFF may have it at its end.
        file.read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
        header = guarded(|| self::header(format, Source { bytes: &bytes, is_whole: true }, reading));
    }
    header.map_err(|error| unreadable(path, &error))
}

/// Decodes of the image at `path` what `looked_at` names, given width and height, or more.
pub fn decode(path: &Path, reading: &Reading, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
    decode_read(path, &read(path)?, reading, looked_at)
}

/// The bytes of the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| cannot_read(path))
}

/// The same of a file whose `bytes` were read.
pub(super) fn decode_read(
    path: &Path,
    bytes: &[u8],
    reading: &Reading,
    looked_at: &dyn Fn(usize, usize) -> Window,
) -> Result<Rgb> {
    let source = Source { bytes, is_whole: true };
    let format = format(path, bytes)?;
    guarded(|| pixels(format, source, reading, looked_at)).map_err(|error| unreadable(path, &error))
}

/// Decodes of the file that holds `bytes` what `looked_at` names, given width and height, or more.
pub fn decode_bytes(bytes: &[u8], reading: &Reading, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
    let format = Format::of(bytes).with_context(|| format!("no {FORMATS} image"))?;
    guarded(|| pixels(format, Source { bytes, is_whole: true }, reading, looked_at))
}

fn header(format: Format, source: Source, reading: &Reading) -> Result<Header> {
    let Source { bytes, .. } = source;
    let mut orientation = Orientation::NoTransforms;
    let (size, is_clipped) = match format {
        Format::Jpeg => {
            orientation = jpeg::orientation(bytes);
            (jpeg::size(bytes, reading)?, false)
        }
        Format::Png => {
            let png = Png::new(source)?;
            orientation = orientation::of(png.exif, png.xmp);
            (png.size(reading)?, png.is_clipped())
        }
        Format::Webp => {
            let mut webp = raster::webp(source, reading)?;
            orientation = orientation::of_decoder(&mut webp);
            (pair(webp.dimensions()), false)
        }
        Format::Bmp => (pair(raster::bmp(source, reading)?.dimensions()), false),
        Format::Gif => (gif::size(bytes, reading)?, false),
        Format::Tiff => {
            let mut tiff = Tiff::new(bytes, reading)?;
            orientation = tiff.orientation();
            (tiff.size(), tiff.is_clipped())
        }
        Format::Pnm => {
            let pnm = Pnm::new(bytes)?;
            (pnm.size(reading)?, pnm.is_clipped())
        }
    };
    let (width, height) = turned_size(size, reading.turn(format, orientation));
    Ok(Header { format, width, height, is_clipped })
}

fn pixels(format: Format, source: Source, reading: &Reading, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
    let Source { bytes, .. } = source;
    let turned = |orientation, image| upright(image, reading.turn(format, orientation));
    Ok(match format {
        Format::Jpeg => {
            let orientation = reading.turn(format, jpeg::orientation(bytes));
            let is_turned = orientation != Orientation::NoTransforms;
            let looked_at: &dyn Fn(usize, usize) -> Window = if is_turned { &Window::whole } else { looked_at };
            upright(jpeg::decode(bytes, reading, looked_at)?, orientation)
        }
        Format::Png => {
            let png = Png::new(source)?;
            turned(orientation::of(png.exif, png.xmp), png.decode(reading)?)
        }
        Format::Webp => {
            let mut webp = raster::webp(source, reading)?;
            turned(orientation::of_decoder(&mut webp), raster::decode(webp)?)
        }
        Format::Bmp => raster::decode_bmp(source, reading)?,
        Format::Gif => gif::decode(bytes, reading)?,
        Format::Tiff => {
            let mut tiff = Tiff::new(bytes, reading)?;
            turned(tiff.orientation(), tiff.decode()?)
        }
        Format::Pnm => Pnm::new(bytes)?.decode(reading)?,
    })
}

fn pair((width, height): (u32, u32)) -> (usize, usize) {
    (width as usize, height as usize)
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder. Some damaged files make the crates panic; here that is an error like any other, and silent.
fn guarded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                before(panic);
            }
        }));
    });
    GUARDED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(false);
    result.unwrap_or_else(|_| bail!("its parts contradict each other"))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read `{}`", path.display())
}

fn unreadable(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    let (path, text) = (path.display(), text_of(error));
    let (problem, advice) = if error.is::<TooLarge>() {
        (format!("`{path}` is too large: {text}"), "accept it with --max-pixels")
    } else if is_unsupported(error) {
        (format!("`{path}` cannot be read: {text}"), "convert it to PNG")
    } else {
        (format!("`{path}` is damaged: {text}"), "replace the file")
    };
    advise(problem, format!("{advice}, or leave such files out with --skip-unreadable (they are listed in skipped.txt)"))
}

fn is_unsupported(error: &anyhow::Error) -> bool {
    let by_image = matches!(error.downcast_ref(), Some(ImageError::Unsupported(_)));
    let by_tiff = matches!(error.downcast_ref(), Some(TiffError::UnsupportedError(_)));
    by_image || by_tiff || error.is::<Unsupported>()
}

fn format(path: &Path, bytes: &[u8]) -> Result<Format> {
    Format::of(bytes).ok_or_else(|| {
        let what = if bytes.is_empty() { "is empty".to_owned() } else { format!("is not a {FORMATS} image") };
        advise(
            format!("`{}` {what}", path.display()),
            "take it out of the folder (or convert it), or leave such files out with --skip-unreadable",
        )
    })
}
