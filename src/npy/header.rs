//! What the header of a `.npy` file promises, before `ndarray-npy` looks at it: that makes room for as many numbers, and takes twice as
//! long for each bracket in brackets.

use py_literal::Value;
use std::io::{self, Read};

/// In bytes; that of an array without named fields is far shorter.
const LONGEST: u64 = 1 << 16;
/// A type with fields has four.
const DEEPEST_BRACKETS: usize = 8;

/// Fails if a file of `length` bytes, of which `start` reads the first ones, has fewer bytes than its header promises numbers, or a
/// header that takes long to read.
pub(super) fn check(start: impl Read, length: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    start.take(LONGEST).read_to_end(&mut bytes)?;
    let Some(header) = text(&bytes)? else { return Ok(()) };
    if depth(header) > DEEPEST_BRACKETS {
        return Err(io::Error::other("its header has brackets in brackets in brackets"));
    }
    match promised(header) {
        Some(count) if count > u128::from(length) => {
            Err(io::Error::other(format!("its header promises {count} numbers, and it has {length} bytes")))
        }
        // What is wrong otherwise is said by who reads it.
        _ => Ok(()),
    }
}

/// What stands before the numbers; none if that is no header. Fails if it is too long.
fn text(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some(rest) = bytes.strip_prefix(b"\x93NUMPY") else { return Ok(None) };
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (u16::from_le_bytes([*a, *b]).into(), rest),
        [_, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Ok(None),
    };
    match rest.get(..length) {
        None if bytes.len() as u64 == LONGEST => Err(io::Error::other("its header is longer than that of any array of numbers")),
        header => Ok(header),
    }
}

/// How many brackets are open at most.
fn depth(header: &[u8]) -> usize {
    let open = header.iter().scan(0usize, |open, byte| {
        match byte {
            b'(' | b'[' | b'{' => *open += 1,
            b')' | b']' | b'}' => *open = open.saturating_sub(1),
            _ => {}
        }
        Some(*open)
    });
    open.max().unwrap_or(0)
}

fn promised(header: &[u8]) -> Option<u128> {
    let header: Value = std::str::from_utf8(header).ok()?.trim().parse().ok()?;
    let (_, shape) = header.as_dict()?.iter().find(|(key, _)| key.as_string().is_some_and(|key| key == "shape"))?;
    let size = |size: &Value| size.as_integer()?.to_string().parse::<u128>().ok();
    shape.as_tuple()?.iter().try_fold(1u128, |count, one| count.checked_mul(size(one)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(header: &str) -> Option<String> {
        let bytes = [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat();
        check(&bytes[..], bytes.len() as u64).err().map(|error| error.to_string())
    }

    #[test]
    fn headers_that_would_take_hours_are_refused_at_once() {
        let begin = std::time::Instant::now();
        for (open, count) in [("(5,", 100), ("{", 500), ("[", 20_000)] {
            let said = said(&format!("{{'descr': '<f4', 'fortran_order': True,{}", open.repeat(count)));
            assert!(said.is_some_and(|said| said.contains("brackets in brackets")));
        }
        let long = [b"\x93NUMPY\x02\0", &u32::MAX.to_le_bytes()[..], &[b' '; 1 << 17]].concat();
        assert!(check(&long[..], long.len() as u64).unwrap_err().to_string().contains("longer than that of any array"));
        assert!(begin.elapsed().as_secs() < 5);
        assert_eq!(said("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }"), None);
        assert_eq!(said("{'descr': [('a', [('b', '<f4', (2,))])], 'fortran_order': False, 'shape': (4,), }"), None);
    }
}
