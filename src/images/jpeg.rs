//! JPEG through libjpeg with its exact ("islow") inverse cosine transform and smooth upsampling: the bytes of Pillow.
//!
//! The C side is `csrc/jpeg.c`.
#![allow(unsafe_code)] // calls into C, reasoned at each

use super::rgb::{Rgb, check_size};
use anyhow::{Result, bail};
use std::ffi::{CStr, c_char, c_int, c_long};

/// libjpeg's JMSG_LENGTH_MAX.
const LONGEST_MESSAGE: usize = 200;

// Called from C only; named here so that it is linked.
use mozjpeg_sys as _;

unsafe extern "C" {
    fn thingsvision_jpeg_size(data: *const u8, length: usize, size: *mut [u32; 3], message: *mut c_char) -> c_int;
    fn thingsvision_jpeg_decode(
        data: *const u8,
        length: usize,
        pixels: *mut u8,
        row_bytes: usize,
        channels: c_int,
        warnings: *mut c_long,
        message: *mut c_char,
    ) -> c_int;
}

/// What a JPEG header says.
pub struct Size {
    pub width: usize,
    pub height: usize,
    components: u32,
}

/// Reads the header of the JPEG in `bytes`.
pub fn size(bytes: &[u8]) -> Result<Size> {
    let mut size = [0; 3];
    let mut message = [0; LONGEST_MESSAGE];
    // SAFETY: the pointers are valid for the lengths that C is told or knows (3 numbers, LONGEST_MESSAGE characters),
    // and C keeps none of them.
    let failed = unsafe { thingsvision_jpeg_size(bytes.as_ptr(), bytes.len(), &mut size, message.as_mut_ptr()) };
    check(failed, &message)?;
    Ok(Size { width: size[0] as usize, height: size[1] as usize, components: size[2] })
}

/// Decodes the JPEG in `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Rgb> {
    let Size { width, height, components } = size(bytes)?;
    check_size(width, height)?;
    let channels = match components {
        1 | 3 => 3,
        4 => 4,
        other => bail!("a JPEG of {other} colour components"),
    };
    let mut pixels = vec![0; width * height * channels];
    let mut message = [0; LONGEST_MESSAGE];
    let mut warnings = 0;
    // SAFETY: as above; `pixels` holds the `height` rows of `width * channels` bytes that C writes, because C reads the
    // same header again.
    let failed = unsafe {
        thingsvision_jpeg_decode(
            bytes.as_ptr(),
            bytes.len(),
            pixels.as_mut_ptr(),
            width * channels,
            channels as c_int,
            &mut warnings,
            message.as_mut_ptr(),
        )
    };
    check(failed, &message)?;
    if channels == 4 {
        pixels = pixels.chunks_exact(4).flat_map(rgb_of_cmyk).collect();
    }
    Ok(Rgb { width, height, pixels, damaged: warnings > 0 })
}

fn check(failed: c_int, message: &[c_char; LONGEST_MESSAGE]) -> Result<()> {
    if failed == 0 {
        return Ok(());
    }
    let bytes = message.map(|character| character as u8);
    let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"libjpeg gave up");
    bail!("{}", text.to_string_lossy())
}

/// Pillow takes every CMYK file as inverted, as Adobe writes them: `k − c·k/255` rounded as Pillow rounds.
fn rgb_of_cmyk(cmyk: &[u8]) -> [u8; 3] {
    let k = i32::from(cmyk[3]);
    [0, 1, 2].map(|i| {
        let product = (255 - i32::from(cmyk[i])) * k + 128;
        (k - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}
