//! An image file to RGB pixels, equal to `PIL.Image.open(path).convert("RGB")`.

use super::format::{Format, LookedAt, Reading, Source, Unreadable};
use super::orientation::{turned_size, upright};
use super::rgb::{Rgb, Window};
use super::{bmp, gif, jpeg, png, pnm, tiff, webp};
use crate::error::{advise, text_of};
use ::tiff::TiffError;
use anyhow::{Context, Result, bail};
use image::ImageError;
use image::metadata::Orientation;
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

/// All kinds of files that can be read.
pub(super) static FORMATS: [Format; 7] =
    [jpeg::FORMAT, png::FORMAT, webp::FORMAT, bmp::FORMAT, gif::FORMAT, tiff::FORMAT, pnm::FORMAT];

/// Their names, for messages: "JPEG, PNG or PNM".
pub(super) fn formats() -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    let (last, others) = names.split_last().expect("there are some");
    format!("{} or {last}", others.join(", "))
}

/// What the header of an image file says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// The name of the format.
    pub(super) format: &'static str,
    /// In pixels, as it will be decoded.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Whether it has 16 bits of gray, of which Pillow shows all but the darkest 256 levels as white.
    pub(super) is_clipped: bool,
}

/// How many bytes are read for a header at first.
const HEADER: u64 = 64 * 1024;

/// Reads the size of the image at `path` and fails where decoding would fail for sure.
pub(super) fn check_header(path: &Path, reading: &Reading) -> Result<Header> {
    let mut file = File::open(path).with_context(|| cannot_read(path))?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEADER).read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
    let format = named_format(path, &bytes)?;
    let needs_all = reading.upright && format.late_orientation;
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
pub(super) fn decode_read(path: &Path, bytes: &[u8], reading: &Reading, looked_at: LookedAt) -> Result<Rgb> {
    let format = named_format(path, bytes)?;
    guarded(|| pixels(format, bytes, reading, looked_at)).map_err(|error| unreadable(path, &error))
}

/// Decodes of the file that holds `bytes` what `looked_at` names, given width and height, or more.
pub fn decode_bytes(bytes: &[u8], reading: &Reading, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
    let format = format(bytes).with_context(|| format!("no {} image", formats()))?;
    guarded(|| pixels(format, bytes, reading, looked_at))
}

fn header(format: &'static Format, source: Source, reading: &Reading) -> Result<Header> {
    let mut picture = (format.open)(source, reading)?;
    let orientation = if reading.upright || format.upright { picture.orientation() } else { Orientation::NoTransforms };
    let (width, height) = turned_size(picture.size(), orientation);
    Ok(Header { format: format.name, width, height, is_clipped: picture.is_clipped() })
}

fn pixels(format: &Format, bytes: &[u8], reading: &Reading, looked_at: LookedAt) -> Result<Rgb> {
    let mut picture = (format.open)(Source { bytes, is_whole: true }, reading)?;
    if !(reading.upright || format.upright) {
        return picture.decode(looked_at);
    }
    match picture.orientation() {
        Orientation::NoTransforms => picture.decode(looked_at),
        orientation => Ok(upright(picture.decode(&Window::whole)?, orientation)),
    }
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
    let by_image = matches!(error.downcast_ref(), Some(ImageError::Unsupported(_)));
    let by_tiff = matches!(error.downcast_ref(), Some(TiffError::UnsupportedError(_)));
    let (problem, advice) = match error.downcast_ref() {
        Some(Unreadable::TooLarge(_)) => (format!("`{path}` is too large: {text}"), "accept it with --max-pixels"),
        Some(Unreadable::Unsupported(_)) => (format!("`{path}` cannot be read: {text}"), CONVERT),
        None if by_image || by_tiff => (format!("`{path}` cannot be read: {text}"), CONVERT),
        None => (format!("`{path}` is damaged: {text}"), "replace the file"),
    };
    advise(problem, format!("{advice}, or leave such files out with --skip-unreadable (they are listed in skipped.txt)"))
}

const CONVERT: &str = "convert it to PNG";

fn format(bytes: &[u8]) -> Option<&'static Format> {
    FORMATS.iter().find(|format| (format.begins)(bytes))
}

fn named_format(path: &Path, bytes: &[u8]) -> Result<&'static Format> {
    format(bytes).ok_or_else(|| {
        let what = if bytes.is_empty() { "is empty".to_owned() } else { format!("is not a {} image", formats()) };
        advise(
            format!("`{}` {what}", path.display()),
            "take it out of the folder (or convert it), or leave such files out with --skip-unreadable",
        )
    })
}
