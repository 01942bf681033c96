//! HTML's character references resolved: leniently as by Python's `html.unescape`, strictly as by ftfy.

use super::encodings::windows_1252;
use entities::ENTITIES;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What the references stand for, by name without `&` and, where the name needs it, with `;`.
static NAMED: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| ENTITIES.iter().map(|entity| (&entity.entity[1..], entity.characters)).collect());

/// The length in bytes of HTML's longest name, `CounterClockwiseContourIntegral;`.
const LONGEST_NAME: usize = 32;

/// The most letters and digits between `&` or `&#` and `;` at which ftfy sees a reference.
const LONGEST_CLOSED: usize = 24;

/// `text` with every reference resolved that a browser would resolve, also without `;` where HTML allows that.
pub(super) fn unescape(text: &str) -> String {
    replace_references(text, |rest| numeric(rest).or_else(|| named(rest)))
}

/// `text` with those references resolved that end in `;`, also where their name was put in upper case.
pub(super) fn unescape_closed(text: &str) -> String {
    replace_references(text, closed)
}

/// `text` with references replaced, as `resolve` says for the text from each `&` on: the replacement and how much it replaces.
fn replace_references(text: &str, resolve: impl Fn(&str) -> Option<(String, usize)>) -> String {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        resolved.push_str(&rest[..start]);
        rest = &rest[start..];
        let (replacement, length) = resolve(rest).unwrap_or_else(|| ("&".to_owned(), 1));
        resolved.push_str(&replacement);
        rest = &rest[length..];
    }
    resolved + rest
}

/// A reference by name at the start of `text`, the longest that fits.
fn named(text: &str) -> Option<(String, usize)> {
    let name = &text[1..];
    let letters = name.bytes().take(LONGEST_NAME).take_while(u8::is_ascii_alphanumeric).count();
    let longest = letters + usize::from(name[letters..].starts_with(';'));
    (2..=longest).rev().find_map(|length| Some(((*NAMED.get(&name[..length])?).to_owned(), length + 1)))
}

/// A reference by number at the start of `text`.
fn numeric(text: &str) -> Option<(String, usize)> {
    let (start, radix) = if text.starts_with("&#x") || text.starts_with("&#X") { (3, 16) } else { (2, 10) };
    let digits = text.strip_prefix("&#").and(text.get(start..))?;
    let end = digits.find(|character: char| !character.is_digit(radix)).unwrap_or(digits.len());
    let (digits, after) = digits.split_at(end);
    if digits.is_empty() {
        return None;
    }
    // A number of too many digits is beyond Unicode like any other.
    let code = digits
        .chars()
        .filter_map(|digit| digit.to_digit(radix))
        .fold(0_u32, |code, digit| code.saturating_mul(radix).saturating_add(digit));
    let character = numbered(code).map_or_else(String::new, String::from);
    Some((character, start + end + usize::from(after.starts_with(';'))))
}

/// The character a numeric reference stands for; nothing for those that HTML forbids.
fn numbered(code: u32) -> Option<char> {
    match code {
        0 => Some(char::REPLACEMENT_CHARACTER),
        0x80..=0x9F => char::from_u32(code).map(windows_1252),
        0x01..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F | 0xFDD0..=0xFDEF => None,
        _ if code <= 0x10_FFFF && code & 0xFFFE == 0xFFFE => None,
        _ => Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

/// A reference that ends in `;` at the start of `text`.
fn closed(text: &str) -> Option<(String, usize)> {
    let start = if text.starts_with("&#") { 2 } else { 1 };
    let letters = text.bytes().skip(start).take(LONGEST_CLOSED + 1).take_while(u8::is_ascii_alphanumeric).count();
    let length = start + letters + 1;
    if !(1..=LONGEST_CLOSED).contains(&letters) || !text[length - 1..].starts_with(';') {
        return None;
    }
    if start == 2 {
        // A reference to `;` itself stays, which ftfy takes for one resolved in part.
        return numeric(text).filter(|(character, resolved)| *resolved == length && character != ";");
    }
    let name = &text[1..length];
    let characters = NAMED.get(name).map(|characters| (*characters).to_owned()).or_else(|| shouted(name))?;
    Some((characters, length))
}

/// What a name in lower case stands for that was put in upper case, where that isn't a name or the start of a name itself.
fn shouted(name: &str) -> Option<String> {
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) || named(&format!("&{name}")).is_some() {
        return None;
    }
    Some(NAMED.get(name.to_ascii_lowercase().as_str())?.to_uppercase())
}
