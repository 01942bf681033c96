//! What a network is shown of an image: torchvision's `Resize`, `CenterCrop`, `ToTensor`, `Normalize` on PIL images.

use super::resize::{Pillow, Resize};
use super::{Interpolation, Rgb, Window};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A network is shown no more pixels a side: what it makes of them needs more memory than a machine has.
pub const MOST_SHOWN: usize = 4096;

/// A recipe; it belongs to the weights, which were trained with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The size that an image is brought to.
    pub resize: Size,
    /// How.
    pub interpolation: Interpolation,
    /// The side in pixels of the square cut out of the middle; without it the whole picture is shown.
    pub crop: Option<usize>,
    /// Subtracted from each channel after division by 255.
    pub mean: [f64; 3],
    /// Then divided by.
    pub std: [f64; 3],
    /// Which Pillow is followed in resizing.
    #[serde(default)]
    pub pillow: Pillow,
}

/// torchvision's `size` of `Resize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// The length in pixels of the shorter side; the longer one keeps the proportions.
    Shorter(usize),
    /// Height and width, whatever the proportions.
    Exactly([usize; 2]),
}

impl Preprocessing {
    /// Fails if no image can be prepared so.
    pub fn check(&self) -> Result<()> {
        let sizes = match self.resize {
            Size::Shorter(side) => [side, side],
            Size::Exactly(sides) => sides,
        };
        ensure!(sizes.iter().chain(&self.crop).all(|size| *size > 0), "sizes must be at least 1 pixel");
        let most = sizes.iter().chain(&self.crop).max().copied().unwrap_or_default();
        ensure!(most <= MOST_SHOWN, "networks are shown at most {MOST_SHOWN} pixels a side, and not {most}");
        ensure!(self.std.iter().all(|std| *std > 0.0), "deviations must be larger than 0");
        Ok(())
    }

    /// Height and width of what the network is shown of an image of `width` × `height` pixels.
    pub fn shown(&self, width: usize, height: usize) -> [usize; 2] {
        let (width, height) = self.resized(width, height);
        self.crop.map_or([height, width], |side| [side, side])
    }

    /// Height and width of what it is shown of any image; `None` if they depend on the image.
    pub fn shown_always(&self) -> Option<[usize; 2]> {
        match (self.crop, self.resize) {
            (Some(side), _) => Some([side, side]),
            (None, Size::Exactly(sides)) => Some(sides),
            (None, Size::Shorter(_)) => None,
        }
    }

    /// The part of an image of `width` × `height` pixels that has an influence.
    pub fn looks_at(&self, width: usize, height: usize) -> Window {
        let resize = self.resize_of(width, height);
        resize.looks_at(&self.cut(resize.to).0)
    }

    /// Writes the tensor `[3, height, width]` that is [shown](Preprocessing::shown) of `image` to `tensor`.
    pub fn apply(&self, image: &Rgb, tensor: &mut [f32]) {
        let [height, width] = self.shown(image.width, image.height);
        let resize = self.resize_of(image.width, image.height);
        let (window, left, top) = self.cut(resize.to);
        let seen = resize.apply(image, &window);
        let tables = self.tables();
        let (red, rest) = tensor.split_at_mut(height * width);
        let (green, blue) = rest.split_at_mut(height * width);
        if window.area() < red.len() {
            // A picture smaller than the crop is surrounded by black.
            [&mut *red, green, blue].into_iter().zip(&tables).for_each(|(plane, table)| plane.fill(table[0]));
        }
        for (y, row) in seen.pixels.chunks_exact(window.columns.len()).enumerate() {
            let at = (top + y) * width + left..(top + y) * width + left + row.len();
            let planes = red[at.clone()].iter_mut().zip(&mut green[at.clone()]).zip(&mut blue[at]);
            for (((red, green), blue), pixel) in planes.zip(row) {
                *red = tables[0][usize::from(pixel[0])];
                *green = tables[1][usize::from(pixel[1])];
                *blue = tables[2][usize::from(pixel[2])];
            }
        }
    }

    /// For a message: "resize 256 (bilinear), crop 224, mean …, std …".
    pub fn describe(&self) -> String {
        let interpolation = format!("{:?}", self.interpolation).to_lowercase();
        let list = |values: [f64; 3]| values.map(|value| value.to_string()).join(" ");
        let resize = match self.resize {
            Size::Shorter(side) => side.to_string(),
            Size::Exactly([height, width]) => format!("to {width} × {height}"),
        };
        let pillow = if self.pillow == Pillow::From13 { "" } else { ", Pillow 12" };
        let crop = self.crop.map_or("no crop".to_owned(), |side| format!("crop {side}"));
        format!("resize {resize} ({interpolation}{pillow}), {crop}, mean {}, std {}", list(self.mean), list(self.std))
    }

    fn resize_of(&self, width: usize, height: usize) -> Resize {
        let to = self.resized(width, height);
        Resize { from: (width, height), to, interpolation: self.interpolation, pillow: self.pillow }
    }

    /// torchvision's size rule: the longer side is truncated, not rounded.
    fn resized(&self, width: usize, height: usize) -> (usize, usize) {
        let side = match self.resize {
            Size::Shorter(side) => side,
            Size::Exactly([height, width]) => return (width, height),
        };
        let longer = |long: usize, short: usize| (side as f64 * long as f64 / short as f64) as usize;
        if width <= height { (side, longer(height, width)) } else { (longer(width, height), side) }
    }

    /// The part of the resized picture that is shown, and where in what is shown it begins, from the left and the top.
    fn cut(&self, (width, height): (usize, usize)) -> (Window, usize, usize) {
        let Some(crop) = self.crop else { return (Window::whole(width, height), 0, 0) };
        let (columns, left) = center(width, crop);
        let (rows, top) = center(height, crop);
        (Window { columns, rows }, left, top)
    }

    /// `(v / 255 − mean) / std` for each byte, every step rounded to float32 as PyTorch does.
    fn tables(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (self.mean[channel] as f32, self.std[channel] as f32);
            std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std)
        })
    }
}

/// Which pixels of a side of `size` the crop shows, and at which of its own pixels they begin. torchvision rounds half to
/// even when it cuts, and puts the smaller margin first when it pads.
fn center(size: usize, crop: usize) -> (Range<usize>, usize) {
    if size < crop {
        return (0..size, (crop - size) / 2);
    }
    let first = ((size - crop) as f64 / 2.0).round_ties_even() as usize;
    (first..first + crop, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_are_rounded_half_to_even() {
        assert_eq!(center(341, 224), (58..282, 0));
        assert_eq!(center(343, 224), (60..284, 0));
        assert_eq!(center(221, 224), (0..221, 1));
    }
}
