//! NumPy's `.npy`, version 1.0: a header of text, then the values in C order.

use super::{Dtype, Form};

pub(super) struct Npy;

/// The values begin at a multiple of this.
const ALIGNED: usize = 64;

/// Before the text: the magic string, the version, and the length of the text.
const BEFORE: usize = 10;

impl Form for Npy {
    fn ending(&self) -> &'static str {
        "npy"
    }

    fn start(&self, bytes: &[u8]) -> Option<usize> {
        let length = bytes.get(8..10)?.first_chunk()?;
        Some(10 + usize::from(u16::from_le_bytes(*length)))
    }

    fn says(&self, header: &[u8], shape: &[usize], dtype: Dtype) -> bool {
        // NumPy puts a comma after the last entry, too.
        let plain = |header: &[u8]| {
            let text: Vec<u8> = header.iter().skip(BEFORE).copied().filter(|letter| !letter.is_ascii_whitespace()).collect();
            text.strip_suffix(b",}").map(|text| [text, b"}"].concat()).unwrap_or(text)
        };
        header.starts_with(b"\x93NUMPY\x01\x00") && plain(header) == plain(&self.header(shape, dtype))
    }

    fn header(&self, shape: &[usize], dtype: Dtype) -> Vec<u8> {
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
            let header = Npy.header(shape, Dtype::F32);
            assert_eq!(header, file[..header.len()]);
            let text = String::from_utf8(header[BEFORE..].to_vec()).unwrap().trim_end().to_owned();
            assert!(Npy.says(&header, shape, Dtype::F32) && !Npy.says(&header, shape, Dtype::F16));
            let numpy = [&header[..BEFORE], format!("{}, }}   \n", text.strip_suffix('}').unwrap()).as_bytes()].concat();
            assert!(
                Npy.says(&numpy, shape, Dtype::F32) && !Npy.says(&numpy, &[1], Dtype::F32) && !Npy.says(b"", shape, Dtype::F32)
            );
            assert_eq!(header.len() + shape.iter().product::<usize>() * 4, file.len());
        }
    }
}
