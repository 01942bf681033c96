//! Numbers of voxels as an image, in the space of the mask that they were read by.

use super::{HEADER, decompressed};
use crate::atomic_file;
use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Read, Write};
use std::path::Path;

/// Where voxels lie.
pub(crate) struct Voxels {
    /// Of the mask, as it lies there.
    header: Vec<u8>,
    /// Of a volume.
    sizes: Vec<usize>,
    /// Of each voxel in a volume.
    pub(crate) places: Vec<usize>,
}

/// Where numbers lie in a header.
const DIMENSIONS: usize = 40;
const INTENT: usize = 68;
const TYPE: usize = 70;
const BITS: usize = 72;
const OFFSET: usize = 108;
const SLOPE: usize = 112;
const INTERCEPT: usize = 116;
const LARGEST: usize = 124;
const SMALLEST: usize = 128;

/// The type of float32.
const FLOAT32: i16 = 16;

impl Voxels {
    pub(super) fn of(mask: &Path, sizes: &[usize], places: Vec<usize>) -> Result<Voxels> {
        let mut header = vec![0; HEADER as usize];
        decompressed(mask)?.read_exact(&mut header).with_context(|| format!("cannot read `{}`", mask.display()))?;
        Ok(Voxels { header, sizes: sizes.to_vec(), places })
    }

    /// Writes one number of each voxel as float32, 0 outside of the mask, to a `.nii.gz` with the mask's space and order of bytes.
    pub(crate) fn write(&self, path: &Path, values: &[f64]) -> Result<()> {
        let is_little = self.header[..4] == (HEADER as i32).to_le_bytes();
        let short = |value: i16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let float = |value: f32| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut header = self.header.clone();
        let sizes = [3].into_iter().chain(self.sizes.iter().copied()).chain([1; 4]);
        for (axis, size) in sizes.enumerate() {
            // As wide as it was read.
            header[DIMENSIONS + 2 * axis..][..2].copy_from_slice(&short(size as u16 as i16));
        }
        for (at, value) in [(INTENT, 0), (TYPE, FLOAT32), (BITS, 32)] {
            header[at..at + 2].copy_from_slice(&short(value));
        }
        for (at, value) in [(OFFSET, HEADER as f32 + 4.0), (SLOPE, 1.0), (INTERCEPT, 0.0), (LARGEST, 0.0), (SMALLEST, 0.0)] {
            header[at..at + 4].copy_from_slice(&float(value));
        }
        let mut volume = vec![0.0; self.sizes.iter().product()];
        self.places.iter().zip(values).for_each(|(&place, value)| volume[place] = *value as f32);
        atomic_file::write_with(path, |file| {
            let mut packed = GzEncoder::new(file, Compression::default());
            packed.write_all(&header)?;
            // No extensions.
            packed.write_all(&[0; 4])?;
            packed.write_all(&volume.into_iter().flat_map(float).collect::<Vec<u8>>())?;
            packed.finish()?;
            Ok(())
        })
    }
}
