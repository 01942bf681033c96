//! NumPy's `.npy`, version 1.0: a header of text, then the values in C order.

use super::{Contents, Dtype, Found, InPlace, Layout};
use crate::plain_file;
use anyhow::Result;
use std::io::Read;
use std::path::Path;

pub(super) struct Npy;

/// The values begin at a multiple of this.
const ALIGNED: usize = 64;

/// Before the text: the magic string, the version, and the length of the text.
const BEFORE: usize = 10;

impl InPlace for Npy {
    fn layout(&self, contents: &Contents) -> Result<Layout> {
        let header = Npy::header(&contents.shape(0), contents.dtype);
        let start = header.len() as u64;
        Ok(Layout { end: start + contents.size(0)?, starts: vec![start], header, ..Layout::default() })
    }

    fn find(&self, path: &Path, _layer: &str, shape: &[usize]) -> Result<Option<Found>> {
        let mut file = plain_file::open(path)?;
        let mut header = Vec::new();
        file.by_ref().take(BEFORE as u64).read_to_end(&mut header)?;
        let Some(length) = header.get(8..BEFORE).and_then(|length| length.first_chunk()) else { return Ok(None) };
        file.take(u16::from_le_bytes(*length).into()).read_to_end(&mut header)?;
        let dtype = [Dtype::F32, Dtype::F16].into_iter().find(|dtype| Npy::says(&header, shape, *dtype));
        Ok(dtype.map(|dtype| Found { start: header.len() as u64, shape: shape.to_vec(), dtype }))
    }
}

impl Npy {
    /// Whether a header, perhaps written by another program, is of such an array.
    fn says(header: &[u8], shape: &[usize], dtype: Dtype) -> bool {
        // NumPy puts a comma after the last entry, too.
        let plain = |header: &[u8]| {
            let text: Vec<u8> = header.iter().skip(BEFORE).copied().filter(|letter| !letter.is_ascii_whitespace()).collect();
            text.strip_suffix(b",}").map(|text| [text, b"}"].concat()).unwrap_or(text)
        };
        header.starts_with(b"\x93NUMPY\x01\x00") && plain(header) == plain(&Npy::header(shape, dtype))
    }

    fn header(shape: &[usize], dtype: Dtype) -> Vec<u8> {
        let descr = match dtype {
            Dtype::F16 => "<f2",
            Dtype::F32 => "<f4",
        };
        let sizes = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        // A tuple of one has a comma.
        let comma = if shape.len() == 1 { "," } else { "" };
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}{comma})}}");
        let length = (BEFORE + text.len() + 1).next_multiple_of(ALIGNED) - BEFORE;
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend((length as u16).to_le_bytes());
        header.extend(text.as_bytes());
        header.resize(BEFORE + length - 1, b' ');
        header.push(b'\n');
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, IxDyn};
    use ndarray_npy::WriteNpyExt;

    #[test]
    fn headers_are_those_of_whole_arrays() {
        for shape in [&[3][..], &[0, 4], &[48, 64, 5, 5], &[2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]] {
            let mut file = Vec::new();
            ArrayD::<f32>::zeros(IxDyn(shape)).write_npy(&mut file).unwrap();
            let header = Npy::header(shape, Dtype::F32);
            assert_eq!(header, file[..header.len()]);
            let text = String::from_utf8(header[BEFORE..].to_vec()).unwrap().trim_end().to_owned();
            assert!(Npy::says(&header, shape, Dtype::F32) && !Npy::says(&header, shape, Dtype::F16));
            let numpy = [&header[..BEFORE], format!("{}, }}   \n", text.strip_suffix('}').unwrap()).as_bytes()].concat();
            assert!(
                Npy::says(&numpy, shape, Dtype::F32)
                    && !Npy::says(&numpy, &[1], Dtype::F32)
                    && !Npy::says(b"", shape, Dtype::F32)
            );
            assert_eq!(header.len() + shape.iter().product::<usize>() * 4, file.len());
        }
    }
}
