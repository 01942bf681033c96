//! What libtorch does not look at: whether an archive is damaged, or would take its memory, its stack or hours, for it descends
//! into nested values and expressions without a limit; and what its code would run while it is opened.
//!
//! A file may nest no deeper than there are bytes in its pickles, so their size is limited, and the stack made large enough
//! for that (only what is used takes memory). The largest that were measured are those of the exports that
//! `tests/exported/operators.py` makes of all families of torchvision, timm and open_clip.

use super::foreign;
use crate::confine::confine;
use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// In bytes.
const LARGEST_PICKLE: u64 = 1 << 20;
/// In bytes, of all files of code together.
const MOST_CODE: u64 = 16 << 20;
/// In bytes once unpacked, of all files together that are packed.
const MOST_PACKED: u64 = 64 << 20;
const CPP_CLASSES: &[u8] = b"torch.classes.";
const STACK: usize = 1 << 30;
/// What the code of traced and scripted networks does not reach by far.
const DEEPEST_BRACKETS: usize = 500;
const LONGEST_STATEMENT: usize = 64 * 1024;
/// In columns; PyTorch writes two a level.
const DEEPEST_INDENT: usize = 400;
/// PyTorch writes none, but nests.
const MOST_ELIF: usize = 200;

/// Does `work` where the stack is large enough for every archive that passes [`check`], with the right to read `readable` alone.
pub fn on_large_stack<T: Send>(readable: &[PathBuf], work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let thread = std::thread::Builder::new().stack_size(STACK);
    let work = || {
        confine(readable)?;
        work()
    };
    std::thread::scope(|scope| thread.spawn_scoped(scope, work)?.join().expect("errors are returned"))
}

/// The full names of what the code in the archive defines. Fails if anything in it is too large or nests too deep, if something
/// would run while it is opened, if a file in it is not what its checksum says (libtorch does not look), or if libtorch finds
/// other files in it.
pub fn check(path: &Path) -> Result<Vec<String>> {
    let mut archive = super::archive(path)?;
    let (mut found, mut defined) = (Vec::new(), Vec::new());
    let (mut code, mut packed) = (0u64, 0u64);
    let mut places = Vec::new();
    for i in 0..archive.len() {
        let mut file = archive.by_index(i)?;
        let name = file.name()?.into_owned();
        // As libtorch looks for them.
        let lower = name.to_ascii_lowercase();
        let too_large = || format!("`{name}` is larger than that of any network");
        ensure!(!lower.ends_with(".pkl") || file.size() <= LARGEST_PICKLE, too_large());
        code += if lower.ends_with(".py") { file.size() } else { 0 };
        packed += if file.compressed_size() == file.size() { 0 } else { file.size() };
        ensure!(code <= MOST_CODE && packed <= MOST_PACKED, too_large());
        places.push((file.data_start().unwrap_or_default(), file.compressed_size()));
        found.push((name.clone(), file.data_start().unwrap_or_default(), file.size()));
        let damaged = || format!("`{name}` in the archive is damaged");
        // What is packed may be more than it is said to be.
        let size = file.size();
        let mut file = file.by_ref().take(size.saturating_add(1));
        if lower.ends_with(".py") || lower.ends_with(".pkl") {
            let mut text = Vec::new();
            file.read_to_end(&mut text).with_context(damaged)?;
            ensure!(text.len() as u64 == size, damaged());
            if lower.ends_with(".py") {
                defined.extend(check_code(&name, &text)?);
            } else {
                ensure!(is_whole(&text), damaged());
                ensure!(
                    !has_cpp_class(&text),
                    "`{name}` has an object of a class in C++, which would run while the file is opened"
                );
            }
        } else {
            let found = io::copy(&mut file, &mut io::sink()).with_context(damaged)?;
            ensure!(found == size, damaged());
        }
    }
    places.sort_unstable();
    let overlap = places.windows(2).any(|two| two[0].0.saturating_add(two[0].1) > two[1].0);
    ensure!(!overlap, "files in it lie in one another");
    check_names(path, found)?;
    Ok(defined)
}

/// Fails if libtorch, which takes `A` for `a`, finds another file under a name than was checked.
fn check_names(path: &Path, mut found: Vec<(String, u64, u64)>) -> Result<()> {
    let mut names = HashSet::new();
    let twice = found.iter().find(|(name, ..)| !names.insert(name.to_ascii_lowercase()));
    ensure!(twice.is_none(), "`{}` stands in it twice, perhaps with other capitals", twice.map_or("", |(name, ..)| name));
    ensure!(!names.iter().any(|name| name.ends_with("/model.json")), "it was written by PyTorch 1.1 or an older one");
    let mut seen: Vec<_> = foreign::entries(path)?;
    let folder = found.first().and_then(|(name, ..)| name.split_once('/')).map_or("", |(folder, _)| folder).to_owned();
    seen.iter_mut().for_each(|(name, ..)| *name = format!("{folder}/{name}"));
    found.sort();
    seen.sort();
    ensure!(found == seen, "its directory lists other files than it holds");
    Ok(())
}

/// The full names of what the file of code called `name` in the archive defines.
fn check_code(name: &str, text: &[u8]) -> Result<Vec<String>> {
    ensure!(is_plain(text), "the code in `{name}` is more involved than that of any network");
    let lower = name.to_ascii_lowercase();
    // A file beside the network, for people, is not read by libtorch.
    let Some((begin, _)) = lower.split_once("/code/").filter(|(folder, _)| !folder.contains('/')) else { return Ok(vec![]) };
    let module = name[begin.len() + "/code/".len()..name.len() - ".py".len()].replace('/', ".");
    Ok(foreign::definitions(text)?.into_iter().map(|name| format!("{module}.{name}")).collect())
}

/// Whether a pickle may name one of `torch.classes`: a name is parted by a line end.
fn has_cpp_class(pickle: &[u8]) -> bool {
    let is_it = |(byte, wanted): (&u8, &u8)| byte == wanted || (*byte == b'\n' && *wanted == b'.');
    pickle.windows(CPP_CLASSES.len()).any(|bytes| bytes.iter().zip(CPP_CLASSES).all(is_it))
}

/// Whether no text in a pickle is said to be longer than the pickle, and no place in its table of values is beyond those that it
/// can fill: libtorch makes room for what is said, up to gigabytes.
fn is_whole(pickle: &[u8]) -> bool {
    let number = |at: usize, count: usize| {
        let bytes = pickle.get(at..at + count)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    };
    let two_lines = |at: usize| pickle[at..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).map(|(i, _)| i + 1);
    let mut at = 0;
    while let Some(&code) = pickle.get(at) {
        at += 1;
        // How many bytes belong to the code.
        let length = match code {
            b'X' => number(at, 4).map(|length| 4 + length),
            0x8a => number(at, 1).map(|length| 1 + length),
            b'r' | b'j' => number(at, 4).filter(|place| *place < pickle.len()).map(|_| 4),
            b'c' => two_lines(at),
            b'K' | b'q' | b'h' | 0x80 => Some(1),
            b'M' => Some(2),
            b'J' => Some(4),
            b'G' => Some(8),
            b'(' | b')' | b']' | b'}' | b'N' | b'Q' | b'R' | b'a' | b'b' | b'e' | b's' | b't' | b'u' => Some(0),
            0x81 | 0x85..=0x89 => Some(0),
            // The end, or what libtorch refuses.
            _ => return true,
        };
        match length.map(|length| at + length).filter(|end| *end <= pickle.len()) {
            Some(end) => at = end,
            None => return false,
        }
    }
    false
}

/// Whether no statement is too long or nested too deep to be compiled in reasonable time.
fn is_plain(code: &[u8]) -> bool {
    let (mut depth, mut length, mut indent) = (0usize, 0, Some(0));
    let (mut in_text, mut is_escaped) = (false, false);
    for &byte in code {
        length += 1;
        in_text ^= byte == b'"' && !is_escaped;
        is_escaped = in_text && byte == b'\\' && !is_escaped;
        indent = indent.filter(|_| byte == b' ' || byte == b'\t').map(|columns| columns + 1);
        match byte {
            _ if in_text => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'\n' if depth == 0 => (length, indent) = (0, Some(0)),
            _ => {}
        }
        if depth > DEEPEST_BRACKETS || length > LONGEST_STATEMENT || indent > Some(DEEPEST_INDENT) {
            return false;
        }
    }
    // `elif(x)` is one, `elif_x` is none.
    let is_elif = |word: &[u8]| word.starts_with(b"elif") && !word[4].is_ascii_alphanumeric() && word[4] != b'_';
    code.windows(5).filter(|word| is_elif(word)).count() <= MOST_ELIF
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn pickles_that_claim_more_than_they_have_are_not_whole() {
        assert!(is_whole(b"\x80\x02c__main__\nName\nq\x00X\x02\x00\x00\x00abr\x05\x00\x00\x00K\x01\x8a\x01\xff\x86."));
        // A text of 2 GB, a place of which the table would take 64 GB, an end that is missing.
        assert!(!is_whole(b"\x80\x02X\x00\x00\x00\x80ab."));
        assert!(!is_whole(b"\x80\x02Nr\xff\xff\xff\xff."));
        assert!(!is_whole(b"\x80\x02]q\x00"));
    }
}
