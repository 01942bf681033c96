//! From planes of luminance and colour differences to pixels, as libjpeg does it: triangle filters ("fancy upsampling")
//! for the colour planes of the usual samplings, and the conversion of JFIF in fixed point.

use super::libjpeg::{FrameHeader, Layout, Region};
use crate::images::rgb::{Pixel, Window};
use crate::images::vector::vectorised;
use std::ops::Range;

/// How a colour plane is sampled: pixels for each sample, across and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ratio {
    across: usize,
    down: usize,
}

/// A picture of luminance alone, or with colours in one of the usual samplings.
pub struct Sampling {
    layouts: Vec<Layout>,
    colour: Ratio,
}

/// libjpeg does not smooth narrower planes across, nor in both directions.
const NARROWEST: u32 = 3;

impl Sampling {
    /// `None` for everything else.
    pub fn of(header: &FrameHeader) -> Option<Sampling> {
        if header.components == 1 {
            return Some(Sampling { layouts: header.layouts[..1].to_vec(), colour: Ratio { across: 1, down: 1 } });
        }
        let [y, cb, cr] = header.layouts;
        let usual = |across, down| y.horizontal == across * cb.horizontal && y.vertical == down * cb.vertical;
        let ratio = [(1, 1), (2, 1), (1, 2), (2, 2)].into_iter().find(|&(across, down)| usual(across, down));
        let ratio = ratio.filter(|_| header.components == 3 && header.is_ycc != 0 && cb == cr);
        let (across, down) = ratio.filter(|&(across, _)| across == 1 || cb.columns >= NARROWEST)?;
        let colour = Ratio { across: across as usize, down: down as usize };
        Some(Sampling { layouts: header.layouts.to_vec(), colour })
    }

    /// The samples that the pixels of `window` depend on.
    pub fn regions(&self, window: &Window) -> [Region; 3] {
        // One more on each side for the filter.
        let needed = |range: &Range<usize>, ratio: usize| {
            let margin = if ratio == 1 { 0 } else { 1 };
            ((range.start / ratio).saturating_sub(margin) as u32, (range.end.div_ceil(ratio) + margin) as u32)
        };
        let region = |ratio: Ratio| {
            let (first_column, end_column) = needed(&window.columns, ratio.across);
            let (first_row, end_row) = needed(&window.rows, ratio.down);
            Region { first_column, end_column, first_row, end_row }
        };
        let colour = region(self.colour);
        [region(Ratio { across: 1, down: 1 }), colour, colour]
    }

    pub fn pixels(&self, planes: &[Vec<u8>], window: &Window) -> Vec<Pixel> {
        let columns = window.columns.len();
        let mut pixels = Vec::with_capacity(window.area());
        let mut colours = [ColourRow::new(columns), ColourRow::new(columns)];
        let mut line = vec![[0; 4]; columns];
        for row in window.rows.clone() {
            let luminance = &planes[0][row * self.layouts[0].stride as usize..][window.columns.clone()];
            if let [_, cb, cr] = planes {
                let [cb_row, cr_row] = &mut colours;
                let (layout, ratio) = (&self.layouts[1], self.colour);
                let cb = cb_row.upsample(cb, layout, ratio, row, &window.columns);
                let cr = cr_row.upsample(cr, layout, ratio, row, &window.columns);
                to_rgb(luminance, cb, cr, &mut line);
            } else {
                gray_to_rgb(luminance, &mut line);
            }
            pixels.extend_from_slice(&line);
        }
        pixels
    }
}

/// Room for one row of a colour plane at the size of the picture.
struct ColourRow {
    sums: Vec<u16>,
    samples: Vec<u8>,
}

impl ColourRow {
    fn new(columns: usize) -> Self {
        Self { sums: vec![0; columns / 2 + 4], samples: vec![0; columns + 4] }
    }

    fn upsample<'a>(
        &'a mut self,
        plane: &'a [u8],
        layout: &Layout,
        ratio: Ratio,
        row: usize,
        columns: &Range<usize>,
    ) -> &'a [u8] {
        let line = |row: usize| &plane[row * layout.stride as usize..][..layout.columns as usize];
        let near = row / ratio.down;
        // The picture is continued by its last rows and columns.
        let above = row.is_multiple_of(2);
        let far = match (ratio.down, above) {
            (1, _) => near,
            (_, true) => near.saturating_sub(1),
            (_, false) => (near + 1).min(layout.rows as usize - 1),
        };
        match (ratio.across, ratio.down) {
            (1, 1) => &line(near)[columns.clone()],
            (1, _) => {
                let samples = &mut self.samples[..columns.len()];
                mix(&line(near)[columns.clone()], &line(far)[columns.clone()], if above { 1 } else { 2 }, samples);
                samples
            }
            (_, down) => {
                let (first, end) = (columns.start / 2, columns.end.div_ceil(2));
                let sums = &mut self.sums[..end - first + 2];
                let last = layout.columns as usize - 1;
                let inner = first.saturating_sub(1)..(end + 1).min(last + 1);
                let offset = usize::from(first == 0);
                sum(&line(near)[inner.clone()], &line(far)[inner.clone()], &mut sums[offset..offset + inner.len()]);
                if first == 0 {
                    sums[0] = sums[1];
                }
                if end > last {
                    sums[end - first + 1] = sums[end - first];
                }
                let samples = &mut self.samples[..2 * (end - first)];
                double(sums, if down == 1 { [4, 8] } else { [8, 7] }, samples);
                &samples[columns.start - 2 * first..][..columns.len()]
            }
        }
    }
}

vectorised! {
    /// `(3 near + far + bias) / 4`.
    fn mix(near: &[u8], far: &[u8], bias: u16, samples: &mut [u8]) {
        for ((sample, &near), &far) in samples.iter_mut().zip(near).zip(far) {
            *sample = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
        }
    }

    /// `3 near + far`.
    fn sum(near: &[u8], far: &[u8], sums: &mut [u16]) {
        for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
            *sum = u16::from(near) * 3 + u16::from(far);
        }
    }

    /// From each of the inner `sums` two samples: `3` parts of it and one of its left or right neighbour.
    fn double(sums: &[u16], bias: [u16; 2], samples: &mut [u8]) {
        let count = samples.len() / 2;
        let (left, middle, right) = (&sums[..count], &sums[1..][..count], &sums[2..][..count]);
        for (i, pair) in samples.chunks_exact_mut(2).enumerate() {
            pair[0] = ((middle[i] * 3 + left[i] + bias[0]) >> 4) as u8;
            pair[1] = ((middle[i] * 3 + right[i] + bias[1]) >> 4) as u8;
        }
    }

    /// `R = Y + 1.402 Cr`, `G = Y − 0.34414 Cb − 0.71414 Cr`, `B = Y + 1.772 Cb` with 16 fractional bits, rounded.
    fn to_rgb(y: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [Pixel]) {
        const HALF: i32 = 1 << 15;
        for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(y).zip(cb).zip(cr) {
            let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
            let red = (y + ((91_881 * cr + HALF) >> 16)).clamp(0, 255);
            let green = (y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16)).clamp(0, 255);
            let blue = (y + ((116_130 * cb + HALF) >> 16)).clamp(0, 255);
            *pixel = ((red | green << 8 | blue << 16) as u32).to_le_bytes();
        }
    }

    fn gray_to_rgb(y: &[u8], pixels: &mut [Pixel]) {
        for (pixel, &y) in pixels.iter_mut().zip(y) {
            *pixel = (u32::from(y) * 0x01_01_01).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::vector::PLAIN;

    /// A picture of 45 × 37 pixels with colours that have `across` × `down` pixels a sample.
    fn sampling(across: u32, down: u32) -> (Sampling, Vec<Vec<u8>>) {
        let layout = |horizontal: u32, vertical: u32, columns: u32, rows: u32| {
            let (stride, height) = (columns.next_multiple_of(8), rows.next_multiple_of(8));
            Layout { horizontal, vertical, columns, rows, stride, height }
        };
        let colour = layout(1, 1, 45u32.div_ceil(across), 37u32.div_ceil(down));
        let layouts = [layout(across, down, 45, 37), colour, colour];
        let header = FrameHeader { width: 45, height: 37, components: 3, is_ycc: 1, layouts };
        let sample = |plane: usize, i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ plane as u8;
        let plane = |(number, layout): (usize, &Layout)| (0..layout.stride * layout.height).map(|i| sample(number, i)).collect();
        let planes = layouts.iter().enumerate().map(plane).collect();
        (Sampling::of(&header).unwrap(), planes)
    }

    #[test]
    fn any_processor_computes_the_same_and_a_part_is_part_of_the_whole() {
        for (across, down) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
            let (sampling, planes) = sampling(across, down);
            let whole = sampling.pixels(&planes, &Window::whole(45, 37));
            PLAIN.set(true);
            let plain = sampling.pixels(&planes, &Window::whole(45, 37));
            PLAIN.set(false);
            assert_eq!(whole, plain, "{across} × {down}");
            let part = sampling.pixels(&planes, &Window { columns: 7..44, rows: 3..36 });
            let cut: Vec<_> = whole.chunks(45).take(36).skip(3).flat_map(|row| row[7..44].to_vec()).collect();
            assert_eq!(part, cut, "{across} × {down}");
        }
    }
}
