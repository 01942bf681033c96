//! The first directory of a TIFF file, which is also what an EXIF block is.

/// A tag's value, if it is one small number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The position of its first byte.
    pub at: usize,
    /// Whether numbers begin with their lowest byte.
    pub is_little: bool,
    pub value: u32,
}

/// The entry of `tag`, whose value is a number of 16 or 32 bits.
pub fn find(bytes: &[u8], tag: u16) -> Option<DirectoryEntry> {
    const SHORT: u32 = 3;
    const LONG: u32 = 4;
    let is_little = match bytes.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let number = |at: usize, size: usize| {
        let join = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        let bytes = bytes.get(at..at + size)?.iter();
        Some(if is_little { bytes.rev().fold(0, join) } else { bytes.fold(0, join) })
    };
    let short = |at| number(at, 2);
    let directory = number(4, 4)? as usize;
    let mut entries = (0..short(directory)? as usize).map(|i| directory + 2 + 12 * i);
    let entry = entries.find(|&entry| short(entry) == Some(tag.into()))?;
    let at = entry + 8;
    let value = match short(entry + 2)? {
        SHORT => short(at)?,
        LONG => number(at, 4)?,
        _ => return None,
    };
    Some(DirectoryEntry { at, is_little, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_both_byte_orders() {
        let little = b"II*\0\x08\0\0\0\x02\0\x06\x01\x03\0\x01\0\0\0\x02\0\0\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0";
        assert_eq!(find(little, 274), Some(DirectoryEntry { at: 30, is_little: true, value: 6 }));
        assert_eq!(find(little, 262), Some(DirectoryEntry { at: 18, is_little: true, value: 2 }));
        assert_eq!(find(little, 263), None);
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!(find(big, 274), Some(DirectoryEntry { at: 18, is_little: false, value: 8 }));
        for length in 0..little.len() {
            find(&little[..length], 274);
        }
    }
}
