//! Bytes changed at random: bits, bytes, numbers in all widths and in text, pieces taken out, doubled, put in from elsewhere.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// No mutant is made longer.
const LONGEST: usize = 1 << 16;

/// Numbers at which arithmetic turns over, or that no file can hold.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    7,
    8,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    1 << 16,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// What stands for numbers in text.
const TEXTS: [&str; 20] = [
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65536",
    "2147483647",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "1e308",
    "1e999",
    "nan",
    "inf",
    "-0.0",
    "0.1",
    "",
    "[",
    "\"",
];

/// Makes one to some dozen changes, few more often than many.
pub fn bytes(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut ChaCha8Rng) {
    let count = 1usize << random.random_range(0..5).min(random.random_range(0..5));
    for _ in 0..count {
        change(bytes, others, random);
    }
    bytes.truncate(LONGEST);
}

fn change(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        bytes.extend(&others[random.random_range(0..others.len())]);
        return;
    }
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..13) {
        0 | 1 => bytes[at] ^= 1 << random.random_range(0..8),
        2 => bytes[at] = random.random(),
        3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'\n', b' ', b'/', b'"', b'.'][random.random_range(0..12)],
        4 | 5 => number(bytes, at, random),
        6 => bytes[at] = bytes[at].wrapping_add(random.random_range(0..32)).wrapping_sub(16),
        7 => bytes.truncate(at),
        8 => {
            let piece = piece(bytes, random);
            bytes.drain(piece);
        }
        9 => {
            let piece = bytes[piece(bytes, random)].to_vec();
            let times = if random.random_ratio(1, 8) { random.random_range(1..200) } else { 1 };
            insert(bytes, at, &piece.repeat(times.min(1 + 4096 / piece.len().max(1))));
        }
        10 => {
            let other = &others[random.random_range(0..others.len())];
            if !other.is_empty() {
                let piece = other[piece(other, random)].to_vec();
                insert(bytes, at, &piece);
            }
        }
        11 => {
            // The beginning of one and the end of another.
            let other = &others[random.random_range(0..others.len())];
            bytes.truncate(at);
            bytes.extend(other.get(at.min(other.len())..).unwrap_or_default());
        }
        _ => digits(bytes, at, random),
    }
}

fn piece(bytes: &[u8], random: &mut ChaCha8Rng) -> std::ops::Range<usize> {
    let start = random.random_range(0..bytes.len());
    let longest = if random.random_ratio(1, 4) { bytes.len() } else { 16 };
    start..(start + random.random_range(1..=longest)).min(bytes.len())
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// A number of one, two, four or eight bytes, in either order.
fn number(bytes: &mut [u8], at: usize, random: &mut ChaCha8Rng) {
    let length = bytes.len() as u64;
    let number = match random.random_range(0..4) {
        0 => length.wrapping_add(random.random_range(0..9)).wrapping_sub(4),
        1 => NUMBERS[random.random_range(0..NUMBERS.len())].wrapping_sub(random.random_range(0..3)),
        _ => NUMBERS[random.random_range(0..NUMBERS.len())],
    };
    let width = 1 << random.random_range(0..4);
    let written =
        if random.random() { number.to_le_bytes()[..width].to_vec() } else { number.to_be_bytes()[8 - width..].to_vec() };
    for (byte, new) in bytes[at..].iter_mut().zip(written) {
        *byte = new;
    }
}

/// The digits at `at`, or after it, are replaced.
fn digits(bytes: &mut Vec<u8>, at: usize, random: &mut ChaCha8Rng) {
    let start = bytes[at..].iter().position(u8::is_ascii_digit).map_or(at, |found| at + found);
    let end = bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |found| start + found);
    let text = TEXTS[random.random_range(0..TEXTS.len())];
    bytes.splice(start..end, text.bytes());
}
