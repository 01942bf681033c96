//! An image file to RGB pixels, equal to `PIL.Image.open(path).convert("RGB")`.

use super::formats::{Contents, FORMATS, Format, LookedAt, Opened, Reading, Unreadable};
use super::orientation::{turned_size, upright};
use super::rgb::{Rgb, Window};
use crate::error::{advise, text_of};
use crate::plain_file;
use anyhow::{Context, Result, bail, ensure};
use image::metadata::Orientation;
use std::cell::Cell;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

/// What the header of an image file says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub format: &'static str,
    /// Width and height in pixels, as it will be decoded.
    pub size: (usize, usize),
    /// As [`Opened::is_clipped`].
    pub is_clipped: bool,
}

/// How many bytes are read for a header at first.
const HEADER: u64 = 64 * 1024;

/// Reads the size of the image at `path` and fails where decoding would fail for sure.
pub(super) fn check_header(path: &Path, reading: &Reading) -> Result<Header> {
    let mut file = plain_file::open(path).with_context(|| cannot_read(path))?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEADER).read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
    let format = format(path, &bytes)?;
    let is_whole = (bytes.len() as u64) < HEADER;
    let mut header = guarded(|| header(format, Contents { bytes: &bytes, is_whole }, reading));
    if header.is_err() && !is_whole {
        // A long preamble, such as an embedded preview, may put the size later; a TIFF may have it at its end.
        file.read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
        header = guarded(|| self::header(format, Contents { bytes: &bytes, is_whole: true }, reading));
    }
    header.map_err(|error| unreadable(path, error))
}

/// Decodes of the image at `path` what `looked_at` names, given width and height, or more.
pub fn decode(path: &Path, reading: &Reading, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
    decode_read(path, &read(path)?, reading, looked_at)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    plain_file::read(path).with_context(|| cannot_read(path))
}

/// The same of a file whose `bytes` were read.
pub(super) fn decode_read(path: &Path, bytes: &[u8], reading: &Reading, looked_at: LookedAt) -> Result<Rgb> {
    let format = format(path, bytes)?;
    guarded(|| pixels(format, bytes, reading, looked_at)).map_err(|error| unreadable(path, error))
}

/// Decodes of the file that holds `bytes` what `looked_at` names, given width and height, or more.
pub fn decode_bytes(bytes: &[u8], reading: &Reading, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
    let format = FORMATS.of(bytes).with_context(|| format!("no {FORMATS} image"))?;
    guarded(|| pixels(format, bytes, reading, looked_at))
}

/// What `look` says of the file that holds `bytes`.
pub(super) fn opened<T>(bytes: &[u8], reading: &Reading, look: impl FnOnce(&mut dyn Opened) -> T) -> Result<T> {
    let format = FORMATS.of(bytes).with_context(|| format!("no {FORMATS} image"))?;
    guarded(|| Ok(look(&mut *open(format, Contents { bytes, is_whole: true }, reading)?)))
}

fn open<'a>(format: &Format, contents: Contents<'a>, reading: &Reading) -> Result<Box<dyn Opened + 'a>> {
    let opened = (format.open)(contents, reading)?;
    reading.check_size(opened.size())?;
    Ok(opened)
}

fn header(format: &Format, contents: Contents, reading: &Reading) -> Result<Header> {
    let mut opened = open(format, contents, reading)?;
    let is_known = contents.is_whole || !reading.upright || opened.is_orientation_first();
    ensure!(is_known, "its orientation may stand behind the pixels");
    let size = turned_size(opened.size(), turn(&mut *opened, reading));
    Ok(Header { format: format.name, size, is_clipped: opened.is_clipped() })
}

fn pixels(format: &Format, bytes: &[u8], reading: &Reading, looked_at: LookedAt) -> Result<Rgb> {
    let mut opened = open(format, Contents { bytes, is_whole: true }, reading)?;
    match turn(&mut *opened, reading) {
        Orientation::NoTransforms => opened.decode(looked_at),
        orientation => Ok(upright(opened.decode(&Window::whole)?, orientation)),
    }
}

fn turn(opened: &mut dyn Opened, reading: &Reading) -> Orientation {
    if reading.upright || opened.is_turned_by_pillow() { opened.orientation() } else { Orientation::NoTransforms }
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

pub(super) fn cannot_read(path: &Path) -> String {
    format!("cannot read `{}`", path.display())
}

fn unreadable(path: &Path, error: anyhow::Error) -> anyhow::Error {
    let path = path.display();
    let (problem, advice) = match Unreadable::from(error) {
        Unreadable::TooLarge(text) => (format!("`{path}` is too large: {text}"), "accept it with --max-pixels"),
        Unreadable::Unsupported(text) => (format!("`{path}` cannot be read: {text}"), "convert it to PNG"),
        Unreadable::Damaged(error) => (format!("`{path}` is damaged: {}", text_of(&error)), "replace the file"),
    };
    advise(problem, format!("{advice}, or leave such files out with --skip-unreadable (they are listed in skipped.txt)"))
}

fn format(path: &Path, bytes: &[u8]) -> Result<&'static Format> {
    FORMATS.of(bytes).ok_or_else(|| {
        let what = if bytes.is_empty() { "is empty".to_owned() } else { format!("is not a {FORMATS} image") };
        advise(
            format!("`{}` {what}", path.display()),
            "take it out of the folder (or convert it), or leave such files out with --skip-unreadable",
        )
    })
}
