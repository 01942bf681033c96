//! Texts cleaned as CLIP's tokenisers clean them: mended as by ftfy, entities of HTML resolved, white space joined.

mod badness;
mod encodings;
mod entities;
mod mending;
mod mojibake;

#[cfg(test)]
mod goldens;

/// `text` as OpenAI's CLIP and most models of open_clip read it: mended, white space joined, in lower case.
#[must_use]
pub fn lower(text: &str) -> String {
    join_words(&mended(text)).to_lowercase()
}

/// `text` as open_clip's models with the cleaning "canonicalize" read it: [`lower`] without ASCII punctuation.
#[must_use]
pub fn canonicalize(text: &str) -> String {
    let spaced = mended(text).replace('_', " ");
    let without_punctuation: String = spaced.chars().filter(|character| !character.is_ascii_punctuation()).collect();
    join_words(&without_punctuation.to_lowercase())
}

fn mended(text: &str) -> String {
    // Twice, as text from the web is often escaped twice.
    entities::unescape(&entities::unescape(&mending::fix_text(text)))
}

fn join_words(text: &str) -> String {
    text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// White space to Python, which counts the four separators of ASCII.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}
