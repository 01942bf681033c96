//! Decoded pixels.

use image::RgbImage;
use std::ops::Range;

/// Part of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From the left.
    pub columns: Range<usize>,
    /// From the top.
    pub rows: Range<usize>,
}

impl Window {
    /// All of a picture.
    pub fn whole(width: usize, height: usize) -> Window {
        Window { columns: 0..width, rows: 0..height }
    }

    /// The smallest that shows what both show.
    pub fn union(&self, other: &Window) -> Window {
        let union = |a: &Range<usize>, b: &Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        Window { columns: union(&self.columns, &other.columns), rows: union(&self.rows, &other.rows) }
    }

    /// The number of pixels.
    pub fn area(&self) -> usize {
        self.columns.len() * self.rows.len()
    }
}

/// Red, green, blue, and a byte that is not looked at, so that a pixel is a machine word.
pub type Pixel = [u8; 4];

pub(super) fn of_gray(level: u8) -> Pixel {
    [level, level, level, 0]
}

pub(super) fn of_rgb(bytes: &[u8]) -> Pixel {
    [bytes[0], bytes[1], bytes[2], 0]
}

/// Pillow's conversion: `(255 − k) − c · (255 − k) / 255`, rounded as Pillow rounds.
pub(super) fn of_cmyk([c, m, y, k]: [u8; 4]) -> Pixel {
    let white = 255 - i32::from(k);
    let channel = |ink: u8| {
        let product = i32::from(ink) * white + 128;
        (white - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    };
    [channel(c), channel(m), channel(y), 0]
}

/// A picture of 8-bit RGB pixels, or as much of it as was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Columns of the whole picture.
    pub width: usize,
    /// Rows of the whole picture.
    pub height: usize,
    /// What `pixels` shows.
    pub window: Window,
    /// `[window.rows, window.columns]`, rows from top to bottom.
    pub pixels: Vec<Pixel>,
    /// Whether the file is damaged, but not so that Pillow would refuse it.
    pub damaged: bool,
}

impl Rgb {
    /// A whole picture.
    pub fn new(width: usize, height: usize, pixels: Vec<Pixel>) -> Rgb {
        Rgb { width, height, window: Window::whole(width, height), pixels, damaged: false }
    }

    /// A whole picture from `[height, width, 3]` bytes.
    pub fn from_bytes(width: usize, height: usize, bytes: &[u8]) -> Rgb {
        Rgb::new(width, height, bytes.chunks_exact(3).map(of_rgb).collect())
    }

    /// The bytes of the window, `[rows, columns, 3]`.
    pub fn bytes(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect()
    }

    /// A row of the whole picture, as far as the window shows it.
    pub(super) fn row(&self, row: usize) -> &[Pixel] {
        let columns = self.window.columns.len();
        &self.pixels[(row - self.window.rows.start) * columns..][..columns]
    }
}

impl From<RgbImage> for Rgb {
    fn from(image: RgbImage) -> Rgb {
        Rgb::from_bytes(image.width() as usize, image.height() as usize, image.as_raw())
    }
}
