//! Text mended in ftfy's order of steps: entities, mojibake, ligatures, widths, quotes, line breaks, controls, NFC.

use super::{encodings, entities, mojibake};
use unicode_normalization::UnicodeNormalization;

/// The most characters of a line that are mended together.
const LONGEST_SEGMENT: usize = 1_000_000;

/// How often a long line may be gone through, on average, before its mending stops. ftfy goes on until nothing changes, which
/// takes a time that grows with the square of the length for `&amp;amp;amp;...`.
const ROUNDS: usize = 64;

/// The bytes that any line may take beyond these, enough for lines of half a KiB to be mended to the end.
const SPARE: usize = 1 << 16;

/// The steps that a segment's mending may still take, in bytes gone through.
pub(super) struct Budget(usize);

impl Budget {
    fn for_text(text: &str) -> Self {
        Self(text.len().saturating_mul(ROUNDS).saturating_add(SPARE))
    }

    /// Whether `text` may be gone through once more.
    pub(super) fn spend(&mut self, text: &str) -> bool {
        let left = self.0.checked_sub(text.len() + 1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// `text` mended line by line; a `<` in a line keeps the entities of this and all later lines, as they belong to HTML then.
pub(super) fn fix_text(text: &str) -> String {
    let mut fixed = String::with_capacity(text.len());
    let mut is_html = false;
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while !rest.is_empty() {
            let end = rest.char_indices().nth(LONGEST_SEGMENT).map_or(rest.len(), |(end, _)| end);
            let (segment, after) = rest.split_at(end);
            is_html |= segment.contains('<');
            fixed.push_str(&fix_segment(segment, is_html));
            rest = after;
        }
    }
    fixed
}

fn fix_segment(segment: &str, is_html: bool) -> String {
    let mut budget = Budget::for_text(segment);
    let mut text = segment.to_owned();
    while budget.spend(&text) {
        let unescaped = if is_html { text.clone() } else { entities::unescape_closed(&text) };
        let plain = plain_characters(&mojibake::fix_encoding(unescaped, &mut budget));
        let fixed = without_controls(&without_terminal_escapes(&plain)).nfc().collect();
        if fixed == text {
            break;
        }
        text = fixed;
    }
    text
}

/// `text` with ligatures of Latin letters apart, wide and narrow forms in usual width, quotes straight and one kind of line break.
fn plain_characters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().map(encodings::windows_1252).peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                plain.push('\n');
            }
            '\u{2028}' | '\u{2029}' => plain.push('\n'),
            '\u{2bc}' | '‘'..='‛' => plain.push('\''),
            '“'..='‟' => plain.push('"'),
            '\u{3000}' => plain.push(' '),
            '！'..='\u{ffef}' => plain.extend([character].into_iter().nfkc()),
            'Ĳ' => plain.push_str("IJ"),
            'ĳ' => plain.push_str("ij"),
            'ŉ' => plain.push_str("'n"),
            'Ǳ' => plain.push_str("DZ"),
            'ǲ' => plain.push_str("Dz"),
            'ǳ' => plain.push_str("dz"),
            'Ǆ' => plain.push_str("DŽ"),
            'ǅ' => plain.push_str("Dž"),
            'ǆ' => plain.push_str("dž"),
            'Ǉ' => plain.push_str("LJ"),
            'ǈ' => plain.push_str("Lj"),
            'ǉ' => plain.push_str("lj"),
            'Ǌ' => plain.push_str("NJ"),
            'ǋ' => plain.push_str("Nj"),
            'ǌ' => plain.push_str("nj"),
            'ﬀ' => plain.push_str("ff"),
            'ﬁ' => plain.push_str("fi"),
            'ﬂ' => plain.push_str("fl"),
            'ﬃ' => plain.push_str("ffi"),
            'ﬄ' => plain.push_str("ffl"),
            'ﬅ' => plain.push_str("ſt"),
            'ﬆ' => plain.push_str("st"),
            _ => plain.push(character),
        }
    }
    plain
}

/// `text` without sequences such as those that colour text on a terminal: escape, `[`, digits and `;`, a letter.
fn without_terminal_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\x1b[") {
        kept.push_str(&rest[..start]);
        let parameters = &rest[start + 2..];
        let command = parameters.trim_start_matches(|character| character == ';' || is_decimal_digit(character));
        rest = if command.starts_with(|character: char| character.is_ascii_alphabetic()) {
            &command[1..]
        } else {
            kept.push_str(&rest[start..rest.len() - command.len()]);
            command
        };
    }
    kept + rest
}

/// The zeros of Unicode's decimal digits, each followed by the other nine.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20, 0x1040,
    0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0,
    0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec,
    0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

fn is_decimal_digit(character: char) -> bool {
    let code = u32::from(character);
    let next = ZEROS.partition_point(|zero| *zero <= code);
    next > 0 && code - ZEROS[next - 1] < 10
}

/// `text` without controls that are not white space, marks of byte order and other characters never meant to be in text.
fn without_controls(text: &str) -> String {
    let unwanted = |character: &char| {
        matches!(character, '\0'..='\x08' | '\x0b' | '\x0e'..='\x1f' | '\x7f')
            || matches!(character, '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
    };
    text.chars().filter(|character| !unwanted(character)).collect()
}
