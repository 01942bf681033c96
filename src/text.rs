//! Names that others gave, where they are shown: to terminals and pages, which they must not steer, and to spreadsheets, which compute
//! what begins like a formula.

use std::borrow::Cow;

/// `text` without what would steer a terminal or turn the order of letters: such characters are shown as `\u{1b}`. Lines stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text.into();
    }
    text.chars().map(|c| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// The beginning of what may be long, for messages.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 60;
    let beginning: String = text.chars().take(MOST).collect();
    if beginning.len() < text.len() { beginning + "…" } else { beginning }
}

/// Whether a quote in the table `text`, whose last cell is `last`, has no end, so that rows after it are taken for one cell.
pub(crate) fn has_open_quote(text: &str, last: &str) -> bool {
    last.contains(['\n', '\r']) && !text.trim_end().ends_with('"')
}

/// `text` for a cell: with an apostrophe before `=`, `+`, `-`, `@`, a tab or a line end at its beginning, unless it is a number.
pub(crate) fn guard(text: &str) -> Cow<'_, str> {
    if is_formula(text) && text.parse::<f64>().is_err() { format!("'{text}").into() } else { text.into() }
}

/// The text of which [`guard`] made the cell.
pub(crate) fn unguard(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| is_formula(text)).unwrap_or(cell)
}

/// Behind apostrophes, too: so that every text comes back as it was.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula_and_each_comes_back() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("'=1", "''=1"),
            ("@x/a.jpg", "'@x/a.jpg"),
            ("-a", "'-a"),
            ("+x", "'+x"),
            ("-0.5", "-0.5"),
            ("-inf", "-inf"),
            ("'s", "'s"),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(guard(text), cell);
            assert_eq!(unguard(cell), text);
        }
    }
}
