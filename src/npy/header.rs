//! How many numbers the header of a `.npy` file promises, for which `ndarray-npy` makes room before it looks for them.

use py_literal::Value;
use std::io::{self, Read};

/// The longest header that is looked at; that of an array without named fields is far shorter.
const LONGEST: u64 = 1 << 16;

/// Fails if a file of `length` bytes, of which `start` reads the first ones, has fewer bytes than its header promises numbers.
pub(super) fn check(start: impl Read, length: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    start.take(LONGEST).read_to_end(&mut bytes)?;
    match promised(&bytes) {
        Some(count) if count > u128::from(length) => {
            Err(io::Error::other(format!("its header promises {count} numbers, and it has {length} bytes")))
        }
        // What is wrong otherwise is said by who reads it.
        _ => Ok(()),
    }
}

fn promised(bytes: &[u8]) -> Option<u128> {
    let text = match bytes.strip_prefix(b"\x93NUMPY")? {
        [1, _, a, b, rest @ ..] => rest.get(..u16::from_le_bytes([*a, *b]).into())?,
        [_, _, a, b, c, d, rest @ ..] => rest.get(..u32::from_le_bytes([*a, *b, *c, *d]) as usize)?,
        _ => return None,
    };
    let header: Value = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    let (_, shape) = header.as_dict()?.iter().find(|(key, _)| key.as_string().is_some_and(|key| key == "shape"))?;
    let size = |size: &Value| size.as_integer()?.to_string().parse::<u128>().ok();
    shape.as_tuple()?.iter().try_fold(1u128, |count, one| count.checked_mul(size(one)?))
}
