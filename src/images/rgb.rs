//! Decoded pixels.

use anyhow::{Result, bail};

/// 8-bit RGB pixels, rows from top to bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`.
    pub pixels: Vec<u8>,
    /// Whether the file is damaged, but not so that Pillow would refuse it. What it shows at the damage may differ.
    pub damaged: bool,
}

/// Pillow refuses larger pictures ("decompression bomb").
const MOST_PIXELS: usize = 178_956_970;

/// Fails for pictures of a size that Pillow refuses.
pub(super) fn check_size(width: usize, height: usize) -> Result<()> {
    if width.saturating_mul(height) > MOST_PIXELS {
        bail!("{width} × {height} pixels are more than the {MOST_PIXELS} that Pillow accepts");
    }
    Ok(())
}
