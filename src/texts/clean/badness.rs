//! Where a text shows characters side by side that hardly ever stand so but in a wrong encoding.
//!
//! The kinds of characters, and which of them tell when together, are those of ftfy 6.3.1.

use super::is_space;
use std::collections::HashMap;
use std::sync::LazyLock;
use unicode_normalization::char::is_combining_mark;

// The kinds of characters that wrong encodings show, one bit each.
const COMMON: u32 = 1 << 0;
const CONTROL: u32 = 1 << 1;
const BAD: u32 = 1 << 2;
const LAW: u32 = 1 << 3;
const CURRENCY: u32 = 1 << 4;
const START: u32 = 1 << 5;
const END: u32 = 1 << 6;
const NUMERIC: u32 = 1 << 7;
const FACE: u32 = 1 << 8;
const UPPER: u32 = 1 << 9;
const LOWER: u32 = 1 << 10;
const COMMON_UPPER: u32 = 1 << 11;
const COMMON_LOWER: u32 = 1 << 12;
const BOX: u32 = 1 << 13;
const ACCENTED: u32 = UPPER | LOWER;

// The kinds of their neighbours.
const ASCII_UPPER: u32 = 1 << 16;
const ASCII_LOWER: u32 = 1 << 17;
const NO_ASCII_LETTER: u32 = 1 << 18;
const SPACE: u32 = 1 << 19;
const WORD: u32 = 1 << 20;
const SAME_LINE: u32 = 1 << 21;
const ASCII_LETTER: u32 = ASCII_UPPER | ASCII_LOWER;
const NEIGHBOURS: u32 = ASCII_LETTER | NO_ASCII_LETTER | SPACE | WORD | SAME_LINE;

/// The characters of each kind, `-` between the first and the last of a range.
const MEMBERS: [(u32, &str); 14] = [
    // In use everywhere.
    (COMMON, "\u{a0}\u{ad}´·–-―’…"),
    // Never in use outside wrong encodings.
    (CONTROL, "\u{80}-\u{9f}"),
    // Hardly ever in use outside wrong encodings.
    (BAD, "¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\u{fffd}"),
    (LAW, "§¶"),
    (CURRENCY, "¢£¥₧€"),
    // Before a word or number, the apple of Mac OS too.
    (START, "¡©«¿΄΅‘‚“„•‹\u{f8ff}"),
    // After a word or number.
    (END, "®»˝”›™"),
    (NUMERIC, "±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥"),
    // In faces made of characters, where they stand next to anything.
    (FACE, "°Ò-ÖÙ-Üò-öø-üŌŐŪŲ"),
    (UPPER, "À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"),
    (LOWER, "ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ"),
    // Often next to other letters beyond ASCII, as all of Greek and Cyrillic.
    (COMMON_UPPER, "ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я"),
    (COMMON_LOWER, "ά-ωа-џ"),
    // To draw boxes with, less the plain horizontal line, which is in faces too.
    (BOX, "│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓"),
];

/// What one character must be: of one of the kinds or one of those named.
type Either = (u32, &'static str);

/// UTF-8's first bytes of letters in Windows-1252, Cyrillic and Greek.
const LATIN: Either = (0, "ÂÃÎÐ");
const CYRILLIC: Either = (0, "ВГРС");
const GREEK: Either = (0, "ΒΓΞΟ");
const LONE: Either = (0, "ÂÃ");
/// A byte of Arabic in Windows-1252.
const ARABIC: Either = (0, "ØÙ");
const AFTER_ARABIC: Either = (COMMON | CURRENCY | BAD | NUMERIC | START, "ŸŠ®°µ»");
const BLANK: Either = (0, " ");

/// The sequences that tell of a wrong encoding.
const TELLING: [&[Either]; 36] = [
    &[(CONTROL, "")],
    &[(BAD | ACCENTED | BOX | START | END | CURRENCY | NUMERIC | LAW, ""), (BAD, "")],
    &[(ASCII_LETTER, ""), (COMMON_LOWER | COMMON_UPPER, ""), (BAD, "")],
    &[(BAD, ""), (ACCENTED | BOX | START | END | CURRENCY | NUMERIC | LAW, "")],
    &[(LOWER | COMMON_LOWER | BOX | END | CURRENCY | NUMERIC, ""), (UPPER, "")],
    &[(BOX | END | CURRENCY | NUMERIC, ""), (LOWER, "")],
    &[(LOWER | BOX | END, ""), (CURRENCY, "")],
    &[(SPACE, ""), (UPPER, ""), (CURRENCY, "")],
    &[(UPPER | BOX, ""), (NUMERIC | LAW, "")],
    &[(ACCENTED | BOX | CURRENCY | END, ""), (START, ""), (NUMERIC, "")],
    &[(ACCENTED | CURRENCY | NUMERIC | BOX | LAW, ""), (END, ""), (START, "")],
    &[(CURRENCY | NUMERIC | BOX, ""), (START, "")],
    &[(ASCII_LOWER, ""), (UPPER, ""), (START | CURRENCY, "")],
    &[(BOX, ""), (FACE | END, "")],
    &[(ACCENTED | CURRENCY | NUMERIC | START | END | LAW, ""), (BOX, "")],
    &[(ACCENTED, ""), (START | END, ""), (WORD, "")],
    &[(0, "Œœ"), (NO_ASCII_LETTER, "")],
    &[(UPPER, ""), (0, "°")],
    // Windows-1252.
    &[LATIN, (START | END, "€œŠš¢£Ÿž\u{a0}\u{ad}®©°·»–—´")],
    &[(0, "×"), (0, "²³")],
    &[ARABIC, AFTER_ARABIC, ARABIC, AFTER_ARABIC],
    &[(0, "à"), (0, "²µ¹¼½¾")],
    &[(0, "Ã"), (0, "\u{a0}¡")],
    &[(ASCII_LOWER, ""), LONE, BLANK],
    &[(ASCII_LOWER, ""), (SPACE, ""), LONE, BLANK],
    &[(ASCII_LOWER | END, ".,?!"), (0, "Â"), (START | END, " ")],
    // Mac OS Roman.
    &[(0, "√"), (0, "±∂†≠®™´≤≥¥µø")],
    &[(0, "≈"), (0, "°¢")],
    &[(0, "‚"), (0, "Ä"), (0, "ìîïòôúùû†°¢π")],
    &[(0, "‚"), (0, "âó"), (0, "àä°ê")],
    // Windows-1251.
    &[(0, "в"), (0, "Ђ")],
    &[CYRILLIC, (CONTROL | BAD | START | END | CURRENCY, "°µ"), CYRILLIC],
    &[(0, "Г"), (0, "ў"), (0, "В"), (0, "Ђ"), (0, "В"), (SAME_LINE, ""), (ASCII_LETTER, " ")],
    // Windows-1253.
    &[(0, "β"), (0, "€"), (0, "™\u{a0}Ά\u{ad}®°")],
    &[GREEK, (CONTROL | BAD | START | END | CURRENCY, "°"), GREEK],
    // Windows-1257.
    &[(0, "ā"), (0, "€")],
];

static KINDS: LazyLock<HashMap<char, u32>> = LazyLock::new(|| {
    let mut kinds: HashMap<char, u32> = HashMap::new();
    for (kind, members) in MEMBERS {
        let mut members = members.chars().peekable();
        while let Some(first) = members.next() {
            let is_range = members.next_if_eq(&'-').is_some();
            let last = if is_range { members.next().unwrap_or(first) } else { first };
            (first..=last).for_each(|character| *kinds.entry(character).or_default() |= kind);
        }
    }
    kinds
});

/// Whether some of `text` looks like read in a wrong encoding.
pub(super) fn is_bad(text: &[char]) -> bool {
    let kinds: Vec<u32> = text.iter().copied().map(kinds).collect();
    let begins_with_lone = matches!(text, ['Â' | 'Ã', ' ', ..]);
    begins_with_lone || (0..text.len()).any(|start| begins_telling(&text[start..], &kinds[start..]))
}

fn begins_telling(text: &[char], kinds: &[u32]) -> bool {
    // Every sequence has one of its first three characters of these kinds.
    if kinds.iter().take(3).all(|kind| kind & !NEIGHBOURS == 0) {
        return false;
    }
    TELLING.iter().any(|sequence| {
        sequence.len() <= text.len()
            && sequence.iter().zip(text.iter().zip(kinds)).all(|((allowed, named), (character, kind))| {
                kind & allowed != 0 || (kind & !NEIGHBOURS != 0 || character.is_ascii()) && named.contains(*character)
            })
    })
}

fn kinds(character: char) -> u32 {
    let beyond_ascii = if character.is_ascii() { 0 } else { KINDS.get(&character).copied().unwrap_or(0) };
    let neighbour = match character {
        'A'..='Z' => ASCII_UPPER,
        'a'..='z' => ASCII_LOWER,
        _ => NO_ASCII_LETTER,
    };
    [(is_space(character), SPACE), (is_of_word(character), WORD), (character != '\n', SAME_LINE)]
        .into_iter()
        .filter(|(holds, _)| *holds)
        .fold(beyond_ascii | neighbour, |kinds, (_, kind)| kinds | kind)
}

/// Whether `character` is a letter, a number or `_`, to Python; to Rust, marks and letters in circles and squares are too.
fn is_of_word(character: char) -> bool {
    let is_framed = matches!(character, 'Ⓐ'..='ⓩ' | '\u{1f130}'..='\u{1f189}');
    character == '_' || character.is_alphanumeric() && !is_combining_mark(character) && !is_framed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sequence_is_seen_by_its_first_three_characters() {
        for sequence in TELLING {
            let tells =
                |(kind, named): &Either| kind & !NEIGHBOURS != 0 && kind & NEIGHBOURS == 0 || *kind == 0 && !named.is_ascii();
            assert!(sequence.iter().take(3).any(tells), "{sequence:?}");
            for character in sequence.iter().flat_map(|(_, named)| named.chars()) {
                assert!(character.is_ascii() || KINDS.contains_key(&character), "{character}");
            }
        }
    }
}
