//! Pillow's resize of 8-bit images (`Image.resize(size, resample)`), to the bit, computed only where it is looked at.
//!
//! After `Resample.c` of Pillow 13: for each output position the filter, widened by the scale when the picture
//! shrinks, gives weights in float64, which are normalised and rounded to 22 fractional bits; rows and columns are
//! done one after the other with 8 bits in between; a direction that keeps its size is skipped. Horizontal goes
//! first, but for tall pictures (since Pillow 13).

#[cfg(target_arch = "x86_64")]
mod avx2;
mod passes;
mod weights;

use super::rgb::{Rgb, Window};
use passes::{across, down};
use serde::{Deserialize, Serialize};
use weights::ResizeAxis;

/// The filter that weighs neighbouring pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// A triangle over 2 pixels
    Bilinear,
    /// Catmull-Rom (a = −0.5) over 4 pixels
    Bicubic,
    /// A windowed sinc over 6 pixels
    Lanczos,
}

impl Interpolation {
    /// Half the width of the filter in pixels.
    fn support(self) -> f64 {
        match self {
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
        const A: f64 = -0.5;
        let distance = x.abs();
        match self {
            Interpolation::Bilinear if distance < 1.0 => 1.0 - distance,
            Interpolation::Bicubic if distance < 1.0 => ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0,
            Interpolation::Bicubic if distance < 2.0 => (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A,
            Interpolation::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Interpolation::Bilinear | Interpolation::Bicubic | Interpolation::Lanczos => 0.0,
        }
    }
}

/// A picture's change of size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// Width and height before.
    pub from: (usize, usize),
    /// Width and height after.
    pub to: (usize, usize),
    /// How neighbouring pixels are weighed.
    pub interpolation: Interpolation,
    /// Which Pillow is followed.
    pub pillow: Pillow,
}

/// The versions of Pillow that differ in the order of the two passes over a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Pillow {
    /// 12 and before: horizontal first.
    UpTo12 = 12,
    /// 13: vertical first for tall pictures.
    #[default]
    From13 = 13,
}

impl From<Pillow> for u8 {
    fn from(pillow: Pillow) -> u8 {
        pillow as u8
    }
}

impl TryFrom<u8> for Pillow {
    type Error = String;

    fn try_from(version: u8) -> Result<Pillow, String> {
        match version {
            12 => Ok(Pillow::UpTo12),
            13 => Ok(Pillow::From13),
            other => Err(format!("Pillow is followed in versions 12 and 13, not {other}")),
        }
    }
}

impl Resize {
    /// The part of the picture before that the `window` of the picture after depends on.
    pub fn looks_at(&self, window: &Window) -> Window {
        Window {
            columns: ResizeAxis::new(self.from.0, self.to.0, self.interpolation).all_inputs(&window.columns),
            rows: ResizeAxis::new(self.from.1, self.to.1, self.interpolation).all_inputs(&window.rows),
        }
    }

    /// The `window` of the picture after, from a picture of which at least what it [looks at](Resize::looks_at) is there.
    pub fn apply(&self, image: &Rgb, window: &Window) -> Rgb {
        debug_assert_eq!((image.width, image.height), self.from);
        let columns = ResizeAxis::new(self.from.0, self.to.0, self.interpolation).weights(&window.columns);
        let rows = ResizeAxis::new(self.from.1, self.to.1, self.interpolation).weights(&window.rows);
        let needed = self.looks_at(window);
        if self.is_vertical_first() {
            across(&down(image, &rows, &needed.columns), &columns, &window.rows)
        } else {
            down(&across(image, &columns, &needed.rows), &rows, &window.columns)
        }
    }

    /// Pillow 13's rule: vertical first where the picture loses more than twice as many rows as columns.
    fn is_vertical_first(&self) -> bool {
        let lost_rows = self.from.1 as i64 - self.to.1 as i64;
        let lost_columns = self.from.0 as i64 - self.to.0 as i64;
        self.pillow == Pillow::From13 && lost_rows > 0 && lost_rows > 2 * lost_columns
    }
}
