//! The one-byte encodings that texts in UTF-8 are read in by mistake, and UTF-8 with the surrogates and nulls of other systems.

use std::collections::HashMap;
use std::sync::LazyLock;

/// How many one-byte encodings are tried, in the order below.
pub(super) const COUNT: usize = 10;

/// The characters of the bytes from 0x80 on; `�` for the character of the same number, which Windows reads unassigned bytes as.
const UPPER_HALVES: [&str; COUNT] = [
    // ISO 8859-1
    "��������������������������������\
     ��������������������������������\
     ��������������������������������\
     ��������������������������������",
    // Windows-1252
    "€�‚ƒ„…†‡ˆ‰Š‹Œ�Ž��‘’“”•–—˜™š›œ�žŸ\
     ��������������������������������\
     ��������������������������������\
     ��������������������������������",
    // Windows-1251
    "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—�™љ›њќћџ\
     �ЎўЈ¤Ґ¦§Ё©Є«¬�®Ї°±Ііґµ¶·ё№є»јЅѕї\
     АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ\
     абвгдежзийклмнопрстуфхцчшщъыьэюя",
    // Windows-1250
    "€�‚�„…†‡�‰Š‹ŚŤŽŹ�‘’“”•–—�™š›śťžź\
     �ˇ˘Ł¤Ą¦§¨©Ş«¬�®Ż°±˛ł´µ¶·¸ąş»Ľ˝ľż\
     ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß\
     ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
    // Windows-1253
    "€�‚ƒ„…†‡�‰�‹�����‘’“”•–—�™�›����\
     �΅Ά£¤¥¦§¨©ª«¬�®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ\
     ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡÒΣΤΥΦΧΨΩΪΫάέήί\
     ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώÿ",
    // Windows-1254
    "€�‚ƒ„…†‡ˆ‰Š‹Œ����‘’“”•–—˜™š›œ��Ÿ\
     ��������������������������������\
     ����������������Ğ������������İŞ�\
     ����������������ğ������������ış�",
    // Windows-1257
    "€�‚�„…†‡�‰�‹�¨ˇ¸�‘’“”•–—�™�›�¯˛�\
     ��¢£¤�¦§Ø©Ŗ«¬�®Æ°±²³´µ¶·ø¹ŗ»¼½¾æ\
     ĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽß\
     ąįāćäåęēčéźėģķīļšńņóōõö÷ųłśūüżž˙",
    // ISO 8859-2
    "��������������������������������\
     �Ą˘Ł¤ĽŚ§¨ŠŞŤŹ�ŽŻ°ą˛ł´ľśˇ¸šşťź˝žż\
     ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß\
     ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
    // Mac OS Roman
    "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü\
     †°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø\
     ¿¡¬√ƒ≈∆«»…\u{a0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ\
     ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ",
    // Code page 437
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
     áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
     └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
     αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
];

/// The encodings of Windows, in which `�` was put for unassigned bytes; the byte [`LOST`] stands for it.
pub(super) const WINDOWS: std::ops::RangeInclusive<usize> = 1..=6;
pub(super) const MAC_OS_ROMAN: usize = 8;

/// The byte of a character that was lost: the control SUBSTITUTE, whose use that once was.
pub(super) const LOST: u8 = 0x1A;

/// The encodings of ISO 8859-1 and Windows, whose characters give away UTF-8 read as them.
const TELLING: std::ops::RangeInclusive<usize> = 0..=6;

/// What a character may be in UTF-8 read in another encoding.
pub(super) mod clue {
    /// The first of two bytes.
    pub const FIRST_OF_2: u8 = 1;
    /// The first of three bytes.
    pub const FIRST_OF_3: u8 = 2;
    /// The first of four bytes.
    pub const FIRST_OF_4: u8 = 4;
    /// A later byte.
    pub const LATER: u8 = 8;
    /// A later byte, and not a dash or a quotation mark, which also stand next to such sequences.
    pub const SURELY_LATER: u8 = 16;
}

/// What a character is in the one-byte encodings.
#[derive(Clone, Copy, Default)]
pub(super) struct Traits {
    /// Its byte in each.
    pub(super) bytes: [Option<u8>; COUNT],
    /// What it may be in UTF-8, see [`clue`].
    pub(super) clues: u8,
}

static TRAITS: LazyLock<HashMap<char, Traits>> = LazyLock::new(|| {
    let mut all: HashMap<char, Traits> = HashMap::new();
    for (encoding, upper_half) in UPPER_HALVES.iter().enumerate() {
        for (byte, character) in (0x80..=0xFF_u8).zip(upper_half.chars()) {
            let character = if character == char::REPLACEMENT_CHARACTER { char::from(byte) } else { character };
            let traits = all.entry(character).or_default();
            traits.bytes[encoding] = Some(byte);
            if TELLING.contains(&encoding) {
                traits.clues |= clues(byte, character);
            }
        }
    }
    for encoding in WINDOWS {
        all.entry(char::REPLACEMENT_CHARACTER).or_default().bytes[encoding] = Some(LOST);
    }
    all
});

fn clues(byte: u8, character: char) -> u8 {
    match byte {
        0x80..=0xBF if matches!(character, '–' | '—' | '―' | '‘' | '’' | '‚' | '“' | '”' | '„' | '•' | '…') => {
            clue::LATER
        }
        0x80..=0xBF => clue::LATER | clue::SURELY_LATER,
        0xC2..=0xDF => clue::FIRST_OF_2,
        0xE0..=0xEF => clue::FIRST_OF_3,
        // Other first bytes of four are of planes without characters in use.
        0xF0 | 0xF3 => clue::FIRST_OF_4,
        _ => 0,
    }
}

pub(super) fn traits(character: char) -> Traits {
    match u8::try_from(character) {
        // A space may be a later byte too, of a no-break space that was made a plain one.
        Ok(b' ') => Traits { bytes: [Some(b' '); COUNT], clues: clue::LATER },
        Ok(LOST) => {
            let bytes = std::array::from_fn(|encoding| (!WINDOWS.contains(&encoding)).then_some(LOST));
            Traits { bytes, clues: 0 }
        }
        Ok(byte) if byte.is_ascii() => Traits { bytes: [Some(byte); COUNT], clues: 0 },
        _ => TRAITS.get(&character).copied().unwrap_or_default(),
    }
}

/// What was meant by a control of ISO 8859-1 that has no use in texts: the character of the same byte in Windows-1252.
pub(super) fn windows_1252(character: char) -> char {
    let '\u{80}'..='\u{9f}' = character else { return character };
    match UPPER_HALVES[1].chars().nth(character as usize - 0x80) {
        None | Some(char::REPLACEMENT_CHARACTER) => character,
        Some(meant) => meant,
    }
}

/// The text that `bytes` are in UTF-8, also if characters beyond 16 bits are written as two surrogates (CESU-8) and null as
/// two bytes (Java).
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        let after = match std::str::from_utf8(rest) {
            Ok(valid) => return Some(text + valid),
            Err(error) => {
                let (valid, after) = rest.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(valid).ok()?);
                after
            }
        };
        let (character, length) = match *after {
            // The line break is ftfy's: it takes a first byte at the end of a line for one whose second is missing.
            [0xC0, 0x80, ..] | [0xC0, b'\n'] => ('\0', 2),
            [0xED, high @ 0xA0..=0xAF, middle @ 0x80..=0xBF, 0xED, low @ 0xB0..=0xBF, last @ 0x80..=0xBF, ..]
            | [0xED, high @ 0xA0..=0xAF, middle @ 0x80..=0xBF, 0xED, low @ 0xB0..=0xBF, last @ b'\n'] => {
                let upper = u32::from(high & 0xF) << 16 | u32::from(middle & 0x3F) << 10;
                let lower = u32::from(low & 0xF) << 6 | u32::from(last & 0x3F);
                (char::from_u32(0x1_0000 + (upper | lower))?, 6)
            }
            _ => return None,
        };
        text.push(character);
        rest = &after[length..];
    }
}
