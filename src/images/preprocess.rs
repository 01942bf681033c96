//! What a network is shown of an image: torchvision's `Resize`, `CenterCrop`, `ToTensor`, `Normalize` on PIL images.

use super::{Interpolation, Rgb, Window, resize};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A recipe; it belongs to the weights, which were trained with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The length in pixels that the shorter side is resized to.
    pub resize: usize,
    /// How.
    pub interpolation: Interpolation,
    /// The side in pixels of the square cut out of the middle.
    pub crop: usize,
    /// Subtracted from each channel after division by 255.
    pub mean: [f64; 3],
    /// Then divided by.
    pub std: [f64; 3],
}

impl Preprocessing {
    /// Fails if no image can be prepared so.
    pub fn check(&self) -> Result<()> {
        ensure!(self.resize > 0 && self.crop > 0, "sizes must be at least 1 pixel");
        ensure!(self.std.iter().all(|std| *std > 0.0), "deviations must be larger than 0");
        Ok(())
    }

    /// The number of values of one preprocessed image, `3 · crop · crop`.
    pub fn len(&self) -> usize {
        3 * self.crop * self.crop
    }

    /// Whether the crop has no pixels.
    pub fn is_empty(&self) -> bool {
        self.crop == 0
    }

    /// Writes the tensor `[3, crop, crop]` of `image` to `tensor`.
    pub fn apply(&self, image: &Rgb, tensor: &mut [f32]) {
        let (width, height) = self.resized(image.width, image.height);
        let (columns, left) = center(width, self.crop);
        let (rows, top) = center(height, self.crop);
        let seen = resize(image, width, height, self.interpolation, &Window { columns, rows });
        let area = self.crop * self.crop;
        for (channel, (plane, table)) in tensor.chunks_exact_mut(area).zip(self.tables()).enumerate() {
            // A picture smaller than the crop is surrounded by black.
            plane.fill(table[0]);
            for (y, row) in seen.pixels.chunks_exact(seen.width * 3).enumerate() {
                let start = (top + y) * self.crop + left;
                for (value, pixel) in plane[start..start + seen.width].iter_mut().zip(row.chunks_exact(3)) {
                    *value = table[usize::from(pixel[channel])];
                }
            }
        }
    }

    /// For a message: "resize 256 (bilinear), crop 224, mean …, std …".
    pub fn describe(&self) -> String {
        let interpolation = format!("{:?}", self.interpolation).to_lowercase();
        let list = |values: [f64; 3]| values.map(|value| value.to_string()).join(" ");
        format!("resize {} ({interpolation}), crop {}, mean {}, std {}", self.resize, self.crop, list(self.mean), list(self.std))
    }

    /// torchvision's size rule: the longer side is truncated, not rounded.
    fn resized(&self, width: usize, height: usize) -> (usize, usize) {
        let longer = |long: usize, short: usize| (self.resize as f64 * long as f64 / short as f64) as usize;
        if width <= height { (self.resize, longer(height, width)) } else { (longer(width, height), self.resize) }
    }

    /// `(v / 255 − mean) / std` for each byte, every step rounded to float32 as PyTorch does.
    fn tables(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (self.mean[channel] as f32, self.std[channel] as f32);
            std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std)
        })
    }
}

/// Which pixels of a side of `size` the crop shows, and at which of its own pixels they begin.
///
/// torchvision rounds half to even when it cuts, and puts the smaller margin first when it pads.
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
