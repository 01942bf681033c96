//! Text in UTF-8 that was read in an encoding of one byte a character, read again as it was meant.

use super::badness::is_bad;
use super::encodings::{COUNT, LOST, MAC_OS_ROMAN, Traits, WINDOWS, clue, decode, traits, windows_1252};
use super::mending::Budget;

const NO_BREAK_SPACE: u8 = 0xA0;

/// `text` with what was read in a wrong encoding mended, however often that happened to it.
pub(super) fn fix_encoding(mut text: String, budget: &mut Budget) -> String {
    while !text.is_ascii() && budget.spend(&text) {
        match fix_once(&text, budget) {
            Some(fixed) if fixed != text => text = fixed,
            _ => break,
        }
    }
    text
}

fn fix_once(text: &str, budget: &mut Budget) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    if !is_bad(&characters) {
        return None;
    }
    let traits: Vec<Traits> = characters.iter().copied().map(traits).collect();
    (0..COUNT).find_map(|encoding| decode_from(encoding, &traits)).or_else(|| {
        let fixed = fix_parts(&characters, &traits, budget);
        Some(if fixed == text { text.chars().map(windows_1252).collect() } else { fixed })
    })
}

/// The whole of a text in UTF-8 that was read in `encoding`.
fn decode_from(encoding: usize, traits: &[Traits]) -> Option<String> {
    let mut bytes = traits.iter().map(|traits| traits.bytes[encoding]).collect::<Option<Vec<u8>>>()?;
    // In Mac OS Roman, a dash before a space looks so too.
    if encoding != MAC_OS_ROMAN {
        bytes = with_no_break_spaces(&bytes);
    }
    if WINDOWS.contains(&encoding) {
        bytes = without_lost(&bytes);
    }
    decode(&bytes)
}

/// Each sequence of a text that looks like UTF-8 read in a wrong encoding mended by itself.
fn fix_parts(characters: &[char], traits: &[Traits], budget: &mut Budget) -> String {
    let mut fixed = String::new();
    let mut start = 0;
    while start < characters.len() {
        let inside = start > 0 && traits[start - 1].clues & clue::SURELY_LATER != 0;
        let length = if inside { 0 } else { sequences_length(&traits[start..]) };
        let part = &characters[start..start + length.max(1)];
        if length > 0 && length < characters.len() && is_bad(part) {
            fixed.push_str(&fix_encoding(part.iter().collect(), budget));
        } else {
            fixed.extend(part);
        }
        start += part.len();
    }
    fixed
}

/// How many characters at the start look like sequences of UTF-8.
fn sequences_length(traits: &[Traits]) -> usize {
    let mut length = 0;
    while let Some(first) = traits.get(length) {
        let later = traits[length + 1..].iter().take(3).take_while(|traits| traits.clues & clue::LATER != 0).count();
        length += match first.clues {
            clues if clues & clue::FIRST_OF_2 != 0 && later >= 1 => 2,
            clues if clues & clue::FIRST_OF_3 != 0 && later >= 2 => 3,
            clues if clues & clue::FIRST_OF_4 != 0 && later >= 3 => 4,
            _ => break,
        };
    }
    length
}

/// `bytes` with no-break spaces that were made plain ones put back inside sequences of UTF-8 of characters in use.
fn with_no_break_spaces(bytes: &[u8]) -> Vec<u8> {
    let mut restored = Vec::with_capacity(bytes.len());
    for (start, byte) in bytes.iter().enumerate() {
        restored.push(*byte);
        if ends_word(&bytes[start..]) {
            restored.push(NO_BREAK_SPACE);
        }
    }
    let mut start = 0;
    while start < restored.len() {
        let length = spaced_length(&restored[start..]);
        restored[start..start + length].iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = NO_BREAK_SPACE);
        start += length.max(1);
    }
    restored
}

/// Whether `bytes` begins with an `à` that lost its second byte and is the end of a word, unlike in Portuguese `àquela`.
fn ends_word(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];
    bytes.strip_prefix(b"\xC3 ").is_some_and(|after| !starts.iter().any(|start| after.starts_with(start)))
}

/// The length of a sequence of UTF-8 with a space in place of a no-break space at the start, 0 if there's none.
fn spaced_length(bytes: &[u8]) -> usize {
    match bytes {
        [0xC2 | 0xC3 | 0xC5 | 0xCE | 0xD0 | 0xD9, b' ', ..] => 2,
        [0xE2 | 0xE3, b' ', 0x80..=0x84 | 0x86..=0x9F | 0xA1..=0xBF, ..] => 3,
        [0xE0..=0xE3, 0x80..=0x84 | 0x86..=0x9F | 0xA1..=0xBF, b' ', ..] => 3,
        [0xF0, b' ', 0x80..=0xBF, 0x80..=0xBF, ..] => 4,
        [0xF0, 0x80..=0xBF, b' ', 0x80..=0xBF, ..] => 4,
        [0xF0, 0x80..=0xBF, 0x80..=0xBF, b' ', ..] => 4,
        _ => 0,
    }
}

/// `bytes` with `�` for each sequence of UTF-8 of which bytes were lost.
fn without_lost(bytes: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut start = 0;
    while start < bytes.len() {
        let length = lossy_length(&bytes[start..]);
        if length > 0 {
            replaced.extend("\u{fffd}".bytes());
        } else {
            replaced.push(bytes[start]);
        }
        start += length.max(1);
    }
    replaced
}

/// The length of a sequence of UTF-8 with lost bytes at the start, 0 if there's none; a `?` may stand for one of them.
fn lossy_length(bytes: &[u8]) -> usize {
    match bytes {
        [0xC2..=0xDF, LOST, ..] | [0xC2 | 0xC3, b'?', ..] => 2,
        [0xED, 0xA0..=0xAF, LOST | b'?', 0xED, 0xB0..=0xBF, LOST | b'?' | 0x80..=0xBF, ..] => 6,
        [0xED, 0xA0..=0xAF, 0x80..=0xBF, 0xED, 0xB0..=0xBF, LOST | b'?', ..] => 6,
        [0xE0..=0xEF, LOST | b'?', LOST | 0x80..=0xBF, ..] | [0xE0..=0xEF, LOST | 0x80..=0xBF, LOST | b'?', ..] => 3,
        [0xF0..=0xF4, LOST | b'?', LOST | 0x80..=0xBF, LOST | 0x80..=0xBF, ..] => 4,
        [0xF0..=0xF4, LOST | 0x80..=0xBF, LOST | b'?', LOST | 0x80..=0xBF, ..] => 4,
        [0xF0..=0xF4, LOST | 0x80..=0xBF, LOST | 0x80..=0xBF, LOST | b'?', ..] => 4,
        [LOST, ..] => 1,
        _ => 0,
    }
}
