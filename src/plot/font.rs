//! Letters: the same on every machine, for the font is part of the program (Liberation Sans, of Arial's widths).

use std::fmt::Write;
use std::sync::LazyLock;
use ttf_parser::{Face, GlyphId, OutlineBuilder};

static REGULAR: LazyLock<Face> = LazyLock::new(|| parse(include_bytes!("fonts/LiberationSans-Regular.ttf")));
static BOLD: LazyLock<Face> = LazyLock::new(|| parse(include_bytes!("fonts/LiberationSans-Bold.ttf")));

fn parse(bytes: &'static [u8]) -> Face<'static> {
    Face::parse(bytes, 0).expect("the font is part of the program")
}

fn face(bold: bool) -> &'static Face<'static> {
    if bold { &BOLD } else { &REGULAR }
}

/// Units of the font in its size.
pub(super) fn units(bold: bool) -> f64 {
    f64::from(face(bold).units_per_em())
}

/// The number of a letter's shape, and where on the line it stands in units of the font; last the length of the line.
/// Letters that the font lacks are shown as an empty box.
pub(super) fn letters(text: &str, bold: bool) -> (Vec<(u16, i64)>, i64) {
    let face = face(bold);
    let mut letters: Vec<(u16, i64)> = Vec::new();
    let mut x = 0;
    for character in text.chars() {
        let glyph = face.glyph_index(character).unwrap_or(GlyphId(0));
        if let Some((before, _)) = letters.last() {
            x += i64::from(kerning(face, GlyphId(*before), glyph));
        }
        letters.push((glyph.0, x));
        x += i64::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    }
    (letters, x)
}

fn kerning(face: &Face, left: GlyphId, right: GlyphId) -> i16 {
    let tables = face.tables().kern.iter().flat_map(|kern| kern.subtables).filter(|table| table.horizontal && !table.variable);
    tables.filter_map(|table| table.glyphs_kerning(left, right)).sum()
}

/// Whether the font lacks a letter of `text`.
pub fn lacks_letters(text: &str) -> bool {
    text.chars().any(|character| REGULAR.glyph_index(character).is_none())
}

pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    letters(text, bold).1 as f64 / units(bold) * size
}

/// `text`, or as much of its beginning and end as is at most `width` long.
pub fn shortened(text: &str, size: f64, width: f64) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() < 2 {
        return text.to_owned();
    }
    for kept in (2..=characters.len()).rev() {
        let (front, back) = (kept / 2, kept - kept / 2);
        let short: String = match kept == characters.len() {
            true => text.to_owned(),
            false => characters[..front].iter().chain(&['…']).chain(&characters[characters.len() - back..]).collect(),
        };
        if self::width(&short, size, false) <= width {
            return short;
        }
    }
    "…".to_owned()
}

/// `text` in lines of at most `width`, broken between words.
pub fn wrapped(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if self::width(&format!("{line} {word}"), size, false) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The outline of a letter as an SVG path in units of the font, y upwards; empty for a space.
pub(super) fn outline(glyph: u16, bold: bool) -> String {
    let mut path = Path(String::new());
    face(bold).outline_glyph(GlyphId(glyph), &mut path);
    path.0
}

struct Path(String);

impl Path {
    fn push(&mut self, command: char, numbers: &[f32]) {
        self.0.push(command);
        for (i, number) in numbers.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            write!(self.0, "{space}{number}").expect("a String takes all");
        }
    }
}

impl OutlineBuilder for Path {
    fn move_to(&mut self, x: f32, y: f32) {
        self.push('M', &[x, y]);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.push('L', &[x, y]);
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.push('Q', &[x1, y1, x, y]);
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.push('C', &[x1, y1, x2, y2, x, y]);
    }
    fn close(&mut self) {
        self.0.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// fontTools 4: the sums of `font["hmtx"][glyph][0]` and of `font["kern"].kernTables[0].kernTable.get(pair, 0)`.
    #[test]
    fn lines_are_as_long_as_the_tables_of_the_font_say() {
        assert_eq!(width("resnet50", 2048.0, false), 7970.0);
        assert_eq!(width("AVAT", 2048.0, false), 4893.0);
        assert_eq!(width("ρ-a ≤ 1 − τ", 2048.0, true), 9737.0);
    }

    #[test]
    fn long_text_is_shortened_in_the_middle_or_broken() {
        assert_eq!(shortened("aardvark/aardvark_01b", 10.0, 1000.0), "aardvark/aardvark_01b");
        let short = shortened("aardvark/aardvark_01b", 10.0, 60.0);
        assert!(short.contains('…') && short.starts_with("aard") && short.ends_with("01b"), "{short}");
        assert!(width(&short, 10.0, false) <= 60.0);
        assert_eq!(wrapped("one two three", 10.0, 45.0), ["one two", "three"]);
    }

    #[test]
    fn the_font_has_the_signs_of_statistics() {
        let lacking: String = "ρτ−…×²√Σ≤≥±†‡–—’·".chars().filter(|&sign| face(false).glyph_index(sign).is_none()).collect();
        assert_eq!(lacking, "");
        assert!(outline(letters("a", false).0[0].0, false).starts_with('M'));
    }
}
