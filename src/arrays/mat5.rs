//! MATLAB's `.mat` of level 5 (`save` with `-v6` or `-v7`), as in MathWorks' "MAT-File Format". Arrays of real numbers are read and
//! written; what else may lie beside them (text, cells, structures) is known by name alone. Files of version 7.3 are HDF5.

use super::{Labelled, array, bytes, choose};
use crate::atomic_file;
use crate::error::advise;
use crate::memory;
use anyhow::{Context, Result, anyhow};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::io::{Read, Write};
use std::path::Path;

/// The array of numbers `name`, or the only one; axes of size 1 are left out.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Labelled> {
    let variables = variables(&bytes(path)?).with_context(|| format!("cannot read `{}`", path.display()))?;
    if let Some((name, what)) = name.and_then(|name| not_numbers(&variables, name)) {
        return Err(advise(
            format!("`{name}` in `{}` is {what}, not an array of real numbers", path.display()),
            "save an array of numbers: `full(rdm)` of a sparse matrix, a variable of its own of a field or cell",
        ));
    }
    let of_numbers = |variable: &Variable| {
        matches!(&variable.content, Content::Numbers(values) if values.len() > 1).then(|| variable.name.clone())
    };
    let names: Vec<String> = variables.iter().filter_map(of_numbers).collect();
    let name = choose(path, &names, name)?.to_owned();
    let found = variables.into_iter().find(|variable| variable.name == name);
    let Some(Variable { sizes, content: Content::Numbers(values), .. }) = found else { unreachable!("chosen of these") };
    // Column by column in the file.
    let mut shape: Vec<usize> = sizes.into_iter().filter(|&size| size != 1).rev().collect();
    if shape.is_empty() {
        shape.push(1);
    }
    let values = array(&shape, values, path)?.reversed_axes().as_standard_layout().into_owned();
    Ok(Labelled { values, ids: None, of_pairs: false })
}

/// What the variable `name` is, if not numbers.
fn not_numbers<'a>(variables: &'a [Variable], name: &str) -> Option<(&'a str, &'static str)> {
    variables.iter().find(|variable| variable.name == name).and_then(|variable| match variable.content {
        Content::Other(what) => Some((variable.name.as_str(), what)),
        Content::Numbers(_) => None,
    })
}

/// A variable in the file.
struct Variable {
    name: String,
    /// Its sizes as MATLAB has them; at least two.
    sizes: Vec<usize>,
    content: Content,
}

enum Content {
    /// Column by column.
    Numbers(Vec<f64>),
    /// What cannot be read, in a word.
    Other(&'static str),
}

/// Kinds of elements.
const INT8: u32 = 1;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const DOUBLE: u32 = 9;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// Bytes before the first element.
const HEADER: usize = 128;

/// Reads all variables with names.
fn variables(bytes: &[u8]) -> Result<Vec<Variable>> {
    // Level 4 begins with small numbers, the later ones with text.
    if bytes.iter().take(4).any(|&byte| byte == 0) {
        return Err(advise("it is of MATLAB's old level 4", "save it again with `-v7`"));
    }
    let big = match bytes.get(HEADER - 2..HEADER) {
        Some(b"IM") => false,
        Some(b"MI") => true,
        _ => return Err(damaged()),
    };
    let mut rest = Elements { rest: &bytes[HEADER..], big };
    let mut variables = Vec::new();
    while !rest.rest.is_empty() {
        variables.extend(variable(rest.next()?, big)?);
    }
    Ok(variables)
}

fn damaged() -> anyhow::Error {
    advise("it is no whole MATLAB file", "save it again: `save('rdm.mat', 'rdm', '-v7')` in MATLAB, `scipy.io.savemat` in Python")
}

/// Elements one after the other, each a kind and its bytes.
struct Elements<'a> {
    rest: &'a [u8],
    big: bool,
}

impl<'a> Elements<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32> {
        let bytes: [u8; 4] = self.take(4)?.try_into()?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn next(&mut self) -> Result<(u32, &'a [u8])> {
        let tag = self.number()?;
        // A small one has its size in the same number, and its bytes in the next.
        if let (kind, size @ 1..) = (tag & 0xffff, (tag >> 16) as usize) {
            return Ok((kind, self.take(4)?.get(..size).ok_or_else(damaged)?));
        }
        let size = self.number()? as usize;
        let bytes = self.take(size)?;
        let padding = if tag == COMPRESSED { 0 } else { size.wrapping_neg() % 8 };
        self.rest = &self.rest[padding.min(self.rest.len())..];
        Ok((tag, bytes))
    }

    fn numbers(&mut self, kind: u32) -> Result<Vec<u32>> {
        let (found, bytes) = self.next()?;
        if found != kind {
            return Err(damaged());
        }
        let mut numbers = Elements { rest: bytes, big: self.big };
        (0..bytes.len() / 4).map(|_| numbers.number()).collect()
    }
}

fn variable((kind, bytes): (u32, &[u8]), big: bool) -> Result<Option<Variable>> {
    match kind {
        COMPRESSED => {
            let inflated = inflated(bytes, big)?;
            matrix(Elements { rest: &inflated, big }.next()?, big)
        }
        _ => matrix((kind, bytes), big),
    }
}

/// The one element that is packed in `bytes`, no longer than it says of itself.
fn inflated(bytes: &[u8], big: bool) -> Result<Vec<u8>> {
    let mut packed = ZlibDecoder::new(bytes);
    let mut inflated = vec![0; 8];
    packed.read_exact(&mut inflated).map_err(|error| anyhow!(error).context(damaged()))?;
    let size = u64::from(Elements { rest: &inflated[4..], big }.number()?);
    memory::check(&"a variable in it", size)?;
    packed.by_ref().take(size).read_to_end(&mut inflated).map_err(|error| anyhow!(error).context(damaged()))?;
    // No more than up to the next multiple of eight; behind it is the check sum.
    let mut padding = [0; 8];
    let mut end = 0;
    while end < padding.len() {
        match packed.read(&mut padding[end..]).map_err(|error| anyhow!(error).context(damaged()))? {
            0 => return Ok(inflated),
            count => end += count,
        }
    }
    Err(damaged())
}

fn matrix((kind, bytes): (u32, &[u8]), big: bool) -> Result<Option<Variable>> {
    let mut parts = Elements { rest: bytes, big };
    if kind != MATRIX || bytes.is_empty() {
        return Ok(None);
    }
    let flags = *parts.numbers(UINT32)?.first().ok_or_else(damaged)?;
    let (class, is_complex) = (flags & 0xff, flags & 0x800 != 0);
    // Functions and objects of newer kinds, such as strings, are laid out in their own ways.
    if class > 15 {
        return Ok(None);
    }
    let sizes: Vec<usize> = parts.numbers(INT32)?.into_iter().map(|size| size as usize).collect();
    let name = String::from_utf8_lossy(parts.next()?.1).into_owned();
    let content = match class {
        4 => Content::Other("text"),
        5 => Content::Other("a sparse matrix"),
        6.. if is_complex => Content::Other("complex numbers"),
        6.. => Content::Numbers(values(parts.next()?, big)?),
        _ => Content::Other("a cell array, structure or object"),
    };
    let count = sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    match &content {
        Content::Numbers(values) if Some(values.len()) != count => Err(damaged()),
        // MATLAB's own data about objects has no name.
        _ => Ok(Some(Variable { name, sizes, content }).filter(|variable| !variable.name.is_empty())),
    }
}

macro_rules! numbers {
    ($type:ty, $bytes:expr, $big:expr) => {
        $bytes
            .as_chunks::<{ size_of::<$type>() }>()
            .0
            .iter()
            .map(|&bytes| if $big { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) } as f64)
            .collect()
    };
}

/// MATLAB stores numbers in the smallest type that holds them all, whatever the class of the array.
fn values((kind, bytes): (u32, &[u8]), big: bool) -> Result<Vec<f64>> {
    let width = match kind {
        INT8 | 2 => 1,
        3 | 4 => 2,
        INT32 | UINT32 | 7 => 4,
        _ => 8,
    };
    memory::check(&"a variable in it", bytes.len() as u64 / width * 8)?;
    Ok(match kind {
        INT8 => numbers!(i8, bytes, big),
        2 => numbers!(u8, bytes, big),
        3 => numbers!(i16, bytes, big),
        4 => numbers!(u16, bytes, big),
        INT32 => numbers!(i32, bytes, big),
        UINT32 => numbers!(u32, bytes, big),
        7 => numbers!(f32, bytes, big),
        DOUBLE => numbers!(f64, bytes, big),
        12 => numbers!(i64, bytes, big),
        13 => numbers!(u64, bytes, big),
        _ => return Err(damaged()),
    })
}

/// Writes the matrix `rdm`, a vector as one row, compressed as `save` with `-v7` does.
pub(super) fn write(path: &Path, labelled: &Labelled) -> Result<()> {
    let values = &labelled.values;
    let [rows, columns] = match *values.shape() {
        [rows, columns] => [rows, columns],
        _ => [1, values.len()],
    };
    if values.len() * size_of::<f64>() > MOST {
        return Err(advise("a MATLAB file of this kind holds at most 4 GB", "write .h5, or --condensed"));
    }
    const DOUBLES: u32 = 6;
    let by_column: Vec<u8> = values.t().iter().flat_map(|value| value.to_le_bytes()).collect();
    let words = |words: [u32; 2]| words.map(u32::to_le_bytes).concat();
    let parts = [
        element(UINT32, &words([DOUBLES, 0])),
        element(INT32, &words([rows as u32, columns as u32])),
        element(INT8, b"rdm"),
        element(DOUBLE, &by_column),
    ];
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&element(MATRIX, &parts.concat()))?;
    let packed = packed.finish()?;
    let mut file = format!("{:<116}", "MATLAB 5.0 MAT-file, written by thingsvision").into_bytes();
    file.extend(b"\0\0\0\0\0\0\0\0\x00\x01IM");
    file.extend(words([COMPRESSED, packed.len() as u32]));
    file.extend(packed);
    atomic_file::write(path, &file)
}

/// Sizes are numbers of 32 bits.
const MOST: usize = (u32::MAX - 1024) as usize;

/// A kind and its bytes, up to a multiple of eight.
fn element(kind: u32, bytes: &[u8]) -> Vec<u8> {
    let padding = vec![0; bytes.len().wrapping_neg() % 8];
    [&kind.to_le_bytes()[..], &(bytes.len() as u32).to_le_bytes(), bytes, &padding].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32, big: bool) -> [u8; 4] {
        if big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn element(kind: u32, bytes: &[u8], big: bool) -> Vec<u8> {
        let little = super::element(kind, bytes);
        if big { [&number(kind, big), &number(bytes.len() as u32, big), &little[8..]].concat() } else { little }
    }

    fn numbers(kind: u32, numbers: &[u32], big: bool) -> Vec<u8> {
        element(kind, &numbers.iter().flat_map(|&value| number(value, big)).collect::<Vec<_>>(), big)
    }

    /// A file of an object (of which even the sizes are laid out in another way), and of `x`, int16, 2 × 3.
    fn file(big: bool) -> Vec<u8> {
        let mut file = vec![b' '; HEADER - 4];
        file.extend(if big { *b"\x01\x00MI" } else { *b"\x00\x01IM" });
        file.extend(element(MATRIX, &[numbers(UINT32, &[17, 0], big), element(1, b"object", big)].concat(), big));
        let int16 = |value: i16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let values: Vec<u8> = [1, -2, 3, 4, 5, 6].into_iter().flat_map(int16).collect();
        // The name is a small element.
        let name = [&number(1 << 16 | 1, big)[..], b"x\0\0\0"].concat();
        let parts = [numbers(UINT32, &[10, 0], big), numbers(INT32, &[2, 3], big), name, element(3, &values, big)];
        file.extend(element(MATRIX, &parts.concat(), big));
        file
    }

    #[test]
    fn both_orders_of_bytes_are_read_and_objects_skipped() {
        for big in [false, true] {
            let variables = variables(&file(big)).unwrap();
            let [Variable { name, sizes, content: Content::Numbers(values) }] = &variables[..] else { panic!("one variable") };
            assert_eq!((name.as_str(), &sizes[..], &values[..]), ("x", &[2, 3][..], &[1., -2., 3., 4., 5., 6.][..]));
        }
    }

    #[test]
    fn no_part_of_a_file_is_taken_for_all() {
        let file = file(false);
        let whole_at = |end: usize| variables(&file[..end]).is_ok_and(|variables| !variables.is_empty());
        assert!((HEADER..file.len() - 4).all(|end| !whole_at(end)));
    }
}
