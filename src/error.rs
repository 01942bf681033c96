//! Errors that come with advice, and the nearest names to a wrong one.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::io::{self, ErrorKind};

/// What went wrong, and what to do about it: printed as `error: …` and, after a blank line, `hint: …`.
#[derive(Debug)]
pub struct Advice {
    /// One sentence, lower case, no full stop, names in backticks.
    pub problem: String,
    /// What the user may do.
    pub hint: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Advice {}

/// An error with advice.
pub fn advise(problem: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Advice { problem: problem.into(), hint: hint.into() }.into()
}

/// The hint of `error`, if any link of its chain has one.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    let in_context = error.downcast_ref::<Advice>();
    let advice = in_context.or_else(|| error.chain().find_map(|cause| cause.downcast_ref()));
    let by_system = || error.chain().filter_map(|cause| cause.downcast_ref()).find_map(of_system);
    advice.map(|advice| advice.hint.as_str()).or_else(by_system)
}

/// What to do about what the system says.
fn of_system(error: &io::Error) -> Option<&'static str> {
    const TOO_MANY_FILES: [i32; 2] = [23, 24]; // of the system, of the process
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("make room on the disk, and give the same command again: what is done is kept")
        }
        _ if error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code)) => {
            Some("allow more open files (`ulimit -n 4096`), or take fewer layers and networks at a time; what is done is kept")
        }
        _ => None,
    }
}

/// The error and its causes in one line, each once: some libraries repeat the cause in their own message.
pub fn text_of(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // libtorch adds the places in its C++ sources.
        let cause = cause.split("\nException raised from").next().unwrap_or_default().trim().to_owned();
        if !text.contains(&cause) {
            text += if text.is_empty() { "" } else { ": " };
            text += &cause;
        }
    }
    text
}

/// The first line of what C++ wrote to `message`, which ends in a zero.
pub(crate) fn text_of_cpp(message: &[c_char]) -> String {
    let bytes: Vec<u8> = message.iter().map(|&character| character as u8).collect();
    let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"libtorch gave up").to_string_lossy();
    text.lines().next().unwrap_or_default().to_owned()
}

/// How alike two names must be (Jaro, 0 to 1) for one to be proposed for the other.
const ALIKE: f64 = 0.7;

/// "did you mean …? " with at most three of `names`, the most similar first; empty when none is similar.
pub fn did_you_mean<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let begins = |other: &str| name.len() > 2 && other.starts_with(name);
    let is_near = |other: &&str| !other.is_empty() && (begins(other) || strsim::jaro(name, other) >= ALIKE);
    let mut near: Vec<_> = names.into_iter().filter(is_near).collect();
    near.sort_by_key(|other| (!begins(other), strsim::damerau_levenshtein(name, other)));
    match near.iter().take(3).map(|other| format!("`{other}`")).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [one] => format!("did you mean {one}? "),
        [most @ .., last] => format!("did you mean {} or {last}? ", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_names_come_first_and_dissimilar_ones_not_at_all() {
        let names = ["layer4.2.conv3", "layer4.2.conv2", "fc", "bn1"];
        assert_eq!(did_you_mean("layer4.2.conv4", names), "did you mean `layer4.2.conv3` or `layer4.2.conv2`? ");
        assert_eq!(
            did_you_mean("resnet51", ["resnet152", "resnet18", "resnet50"]),
            "did you mean `resnet50`, `resnet152` or `resnet18`? "
        );
        assert_eq!(did_you_mean("lay", names), "did you mean `layer4.2.conv3` or `layer4.2.conv2`? ");
        assert_eq!(did_you_mean("zzz", names), "");
    }

    #[test]
    fn a_hint_is_found_under_and_in_contexts() {
        let under = advise("a", "do b").context("while c");
        assert_eq!(hint_of(&under), Some("do b"));
        let on_top = anyhow::anyhow!("cause").context(Advice { problem: "a".into(), hint: "do d".into() });
        assert_eq!(hint_of(&on_top), Some("do d"));
    }
}
