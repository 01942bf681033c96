//! Cleaned texts against open_clip's tokenisers (`tests/fixtures/make_cleaning_fixtures.py`), and texts made to take long.

use super::{canonicalize, lower};

#[test]
fn texts_are_cleaned_as_by_open_clip() {
    for line in include_str!("../../../tests/fixtures/cleaning.jsonl").lines() {
        let [text, lowered, canonical]: [String; 3] = serde_json::from_str(line).unwrap();
        assert_eq!(lower(&text), lowered, "{text:?}");
        assert_eq!(canonicalize(&text), canonical, "{text:?}");
    }
}

/// Going on until nothing changes would take minutes for these.
#[test]
fn no_text_takes_long() {
    let many = 1 << 15;
    let chain = lower(&format!("&{}", "amp;".repeat(many / 4)));
    assert!(chain.starts_with("&amp;amp;"), "{}", &chain[..20]);
    let layers = lower(&format!("Ã{}日", "ƒ".repeat(many / 2)));
    assert!(layers.starts_with("ãƒƒ"), "{}", &layers[..20]);
}

#[test]
fn short_texts_are_mended_to_the_end_however_deep() {
    assert_eq!(lower(&format!("&{}lt;", "amp;".repeat(125))), "<");
    assert_eq!(lower(&format!("Ã{}日", "ƒ".repeat(250))), "ã日");
}
