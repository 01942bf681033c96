//! The variables in a `.mat` of level 5 (`save` with `-v6` or `-v7`), as in MathWorks' "MAT-File Format".

use super::Variable;
use super::value::{DEEPEST, MOST_CELLS, Value};
use crate::error::advise;
use crate::memory;
use crate::plain_file;
use anyhow::{Result, anyhow};
use flate2::read::ZlibDecoder;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

/// Kinds of elements.
pub(crate) const INT8: u32 = 1;
pub(crate) const INT32: u32 = 5;
pub(crate) const UINT32: u32 = 6;
pub(crate) const SINGLE: u32 = 7;
pub(crate) const DOUBLE: u32 = 9;
pub(crate) const MATRIX: u32 = 14;
pub(crate) const UTF8: u32 = 16;
pub(crate) const COMPRESSED: u32 = 15;

/// Bytes before the first element.
const HEADER: usize = 128;

/// Reads all variables with names; numbers are turned into float64 when they are asked for.
pub(super) fn variables(bytes: &[u8]) -> Result<Vec<Variable>> {
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

/// The bytes of a file up to the end of its first variable, of numbers in the order of this machine.
pub(super) fn first(path: &Path) -> Result<Vec<u8>> {
    let mut file = plain_file::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEADER as u64 + 8).read_to_end(&mut bytes)?;
    let size = bytes.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
    memory::check(&"a variable in it", size.into())?;
    file.take(size.into()).read_to_end(&mut bytes)?;
    Ok(bytes)
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
    let found = match kind {
        COMPRESSED => {
            let inflated = inflated(bytes, big)?;
            matrix(Elements { rest: &inflated, big }.next()?, big, 0)?
        }
        _ => matrix((kind, bytes), big, 0)?,
    };
    // MATLAB's own data about objects has no name.
    Ok(found.filter(|(name, _)| !name.is_empty()))
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

/// A variable, or (`depth` in others) a cell or field, which has no name; none if it is empty or of MATLAB's own.
fn matrix((kind, bytes): (u32, &[u8]), big: bool, depth: usize) -> Result<Option<Variable>> {
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
    let value = match class {
        1 | 2 if depth == DEEPEST => Value::Other("cells in cells without end"),
        // Beside what is wanted nothing in them is in the way.
        1 => cells(parts, sizes, depth).unwrap_or(Value::UNREAD),
        2 => structures(parts, sizes, depth).unwrap_or(Value::UNREAD),
        4 => text(parts.next()?, &sizes, big)?,
        5 => Value::Other("a sparse matrix"),
        6.. if is_complex => Value::Other("complex numbers"),
        6.. => numbers(parts.next()?, sizes, big)?,
        _ => Value::Other("an object"),
    };
    Ok(Some((name, value)))
}

/// How many elements there are of these sizes.
fn count(sizes: &[usize]) -> Result<usize> {
    sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).ok_or_else(damaged)
}

fn cells(mut parts: Elements, sizes: Vec<usize>, depth: usize) -> Result<Value> {
    let count = count(&sizes)?;
    if count > MOST_CELLS {
        return Ok(Value::Other("a cell array of very many cells"));
    }
    let cells = (0..count).map(|_| member(&mut parts, depth)).collect::<Result<_>>()?;
    Ok(Value::Cells { sizes, cells })
}

/// The fields of each structure follow on those of the one before.
fn structures(mut parts: Elements, sizes: Vec<usize>, depth: usize) -> Result<Value> {
    let length = parts.numbers(INT32)?.first().copied().filter(|&length| length > 0).ok_or_else(damaged)?;
    let names = parts.next()?.1.chunks(length as usize);
    let name = |name: &[u8]| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    let mut fields: Vec<(String, Vec<Value>)> = names.map(|bytes| (name(bytes), Vec::new())).collect();
    let count = count(&sizes)?;
    if count.saturating_mul(fields.len().max(1)) > MOST_CELLS {
        return Ok(Value::Other("an array of very many structures"));
    }
    for _ in 0..count {
        for (_, values) in &mut fields {
            values.push(member(&mut parts, depth)?);
        }
    }
    Ok(Value::Structures { sizes, fields })
}

fn member(parts: &mut Elements, depth: usize) -> Result<Value> {
    let found = matrix(parts.next()?, parts.big, depth + 1)?;
    Ok(found.map_or(Value::Other("empty, or an object"), |(_, value)| value))
}

fn text((kind, bytes): (u32, &[u8]), sizes: &[usize], big: bool) -> Result<Value> {
    // As letters, and as text.
    memory::check(&"a text in it", bytes.len() as u64 * 8)?;
    let wide = |&bytes: &[u8; 2]| if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    let letters: Vec<char> = match kind {
        INT8 | 2 | UTF8 => String::from_utf8_lossy(bytes).chars().collect(),
        4 | 17 => char::decode_utf16(bytes.as_chunks().0.iter().map(wide)).map(|letter| letter.unwrap_or('\u{fffd}')).collect(),
        _ => return Ok(Value::Other("text in unknown letters")),
    };
    Ok(Value::text(&letters, sizes))
}

/// MATLAB stores numbers in the smallest type that holds them all, whatever the class of the array.
fn numbers((kind, bytes): (u32, &[u8]), sizes: Vec<usize>, big: bool) -> Result<Value> {
    let width = match kind {
        INT8 | 2 => 1,
        3 | 4 => 2,
        INT32 | UINT32 | 7 => 4,
        DOUBLE | 12 | 13 => 8,
        _ => return Err(damaged()),
    };
    if bytes.len() / width != count(&sizes)? {
        return Err(damaged());
    }
    let bytes: Rc<[u8]> = bytes.into();
    Ok(Value::Numbers { sizes, read: Rc::new(move || values(kind, &bytes, big)) })
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

fn values(kind: u32, bytes: &[u8], big: bool) -> Result<Vec<f64>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32, big: bool) -> [u8; 4] {
        if big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn element(kind: u32, bytes: &[u8], big: bool) -> Vec<u8> {
        let little = crate::arrays::matlab::write::element(kind, bytes);
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
            let [(name, Value::Numbers { sizes, read })] = &variables[..] else { panic!("one variable") };
            assert_eq!((name.as_str(), &sizes[..], read().unwrap()), ("x", &[2, 3][..], vec![1., -2., 3., 4., 5., 6.]));
        }
    }

    #[test]
    fn no_part_of_a_file_is_taken_for_all() {
        let file = file(false);
        let whole_at = |end: usize| variables(&file[..end]).is_ok_and(|variables| !variables.is_empty());
        assert!((HEADER..file.len() - 4).all(|end| !whole_at(end)));
    }
}
