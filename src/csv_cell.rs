//! Texts in tables that spreadsheets open: one that begins like a formula would be computed there.

use std::borrow::Cow;

/// `text` for a cell: with an apostrophe before `=`, `+`, `-`, `@`, a tab or a line end at its beginning, unless it is a number.
pub fn guard(text: &str) -> Cow<'_, str> {
    if is_formula(text) && text.parse::<f64>().is_err() { format!("'{text}").into() } else { text.into() }
}

/// The text of which [`guard`] made the cell.
pub fn unguard(cell: &str) -> &str {
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
