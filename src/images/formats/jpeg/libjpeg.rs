//! What `csrc/jpeg.c` gives: the header of a JPEG, its sample planes, or its rows as libjpeg converts them.
#![allow(unsafe_code)] // calls into C, reasoned at each

use super::idct::inverse_dct;
use crate::images::formats::Unreadable;
use anyhow::{Result, bail};
use std::ffi::{CStr, c_char, c_int, c_long};

/// Not 0: jemalloc gets large blocks of zeros from the kernel, whose page faults cost more than filling them.
const GRAY: u8 = 128;

/// libjpeg's JMSG_LENGTH_MAX.
const LONGEST_MESSAGE: usize = 200;

// Called from C only; named here so that it is linked.
use mozjpeg_sys as _;

unsafe extern "C" {
    fn thingsvision_jpeg_header(data: *const u8, length: usize, header: *mut FrameHeader, message: *mut c_char) -> c_int;
    fn thingsvision_jpeg_planes(
        data: *const u8,
        length: usize,
        regions: *const Region,
        planes: *const *mut u8,
        warnings: *mut c_long,
        message: *mut c_char,
    ) -> c_int;
    fn thingsvision_jpeg_pixels(
        data: *const u8,
        length: usize,
        channels: c_int,
        pixels: *mut u8,
        warnings: *mut c_long,
        message: *mut c_char,
    ) -> c_int;
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// Sampling factors: samples for each unit of the picture, across and down.
    pub horizontal: u32,
    pub vertical: u32,
    /// How many samples of a row, and rows, belong to the picture.
    pub columns: u32,
    pub rows: u32,
    /// How many there are in whole blocks.
    pub stride: u32,
    pub height: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameHeader {
    pub width: u32,
    pub height: u32,
    pub components: u32,
    /// Whether they are luminance and colour differences.
    pub is_ycc: u32,
    /// The first three components.
    pub layouts: [Layout; 3],
}

/// The samples of a plane that are wanted.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Region {
    pub first_column: u32,
    pub end_column: u32,
    pub first_row: u32,
    pub end_row: u32,
}

pub fn header(data: &[u8]) -> Result<FrameHeader> {
    let mut header = FrameHeader::default();
    // SAFETY: the pointers are valid for the lengths that C is told or knows, and C keeps none of them.
    call(|message| unsafe { thingsvision_jpeg_header(data.as_ptr(), data.len(), &mut header, message) })?;
    Ok(header)
}

/// The planes `[height, stride]` of the first three components; what lies outside of `regions` is left gray. The second
/// value is whether damage was read over.
pub fn planes(data: &[u8], header: &FrameHeader, regions: &[Region; 3]) -> Result<(Vec<Vec<u8>>, bool)> {
    let layouts = &header.layouts[..header.components.min(3) as usize];
    let mut planes: Vec<_> = layouts.iter().map(|layout| vec![GRAY; layout.stride as usize * layout.height as usize]).collect();
    let pointers: Vec<*mut u8> = planes.iter_mut().map(|plane| plane.as_mut_ptr()).collect();
    let mut warnings = 0;
    // SAFETY: as above. C reads the same header again, so it writes `height` rows of `stride` samples to each plane.
    call(|message| unsafe {
        let (regions, pointers) = (regions.as_ptr(), pointers.as_ptr());
        thingsvision_jpeg_planes(data.as_ptr(), data.len(), regions, pointers, &mut warnings, message)
    })?;
    Ok((planes, warnings > 0))
}

/// `[height, width, channels]` as libjpeg upsamples and converts: of 3 `channels` RGB, of 4 CMYK. The second value as above.
pub fn pixels(data: &[u8], header: &FrameHeader, channels: usize) -> Result<(Vec<u8>, bool)> {
    let mut pixels = vec![0; header.width as usize * header.height as usize * channels];
    let mut warnings = 0;
    // SAFETY: as above. C writes `height` rows of `width · channels` bytes.
    call(|message| unsafe {
        let (channels, pixels) = (channels as c_int, pixels.as_mut_ptr());
        thingsvision_jpeg_pixels(data.as_ptr(), data.len(), channels, pixels, &mut warnings, message)
    })?;
    Ok((pixels, warnings > 0))
}

/// Called by C, with one block of each, which nobody else holds.
#[unsafe(no_mangle)]
extern "C" fn thingsvision_jpeg_inverse_dct(coefficients: &[i16; 64], steps: &[u16; 64], samples: &mut [u8; 64]) {
    inverse_dct(coefficients, steps, samples);
}

fn call(function: impl FnOnce(*mut c_char) -> c_int) -> Result<()> {
    let mut message = [0; LONGEST_MESSAGE];
    if function(message.as_mut_ptr()) == 0 {
        return Ok(());
    }
    let bytes = message.map(|character| character as u8);
    let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"libjpeg gave up");
    let text = text.to_string_lossy();
    match text.strip_prefix("Unsupported ") {
        Some(what) => bail!(Unreadable::unsupported(what)),
        None => bail!("{text}"),
    }
}
