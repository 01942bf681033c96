//! What libtorch does not look at: whether an archive is damaged, or would take its stack or hours, for it descends into
//! nested values and expressions without a limit.
//!
//! A file may nest no deeper than there are bytes in its pickles, so their size is limited, and the stack made large enough
//! for that (only what is used takes memory).

use anyhow::{Context, Result, ensure};
use std::io::{self, BufReader, Read};
use std::path::Path;

const LARGEST_PICKLE: u64 = 1 << 20;
const STACK: usize = 1 << 30;
/// What the code of traced and scripted networks does not reach by far.
const DEEPEST_BRACKETS: usize = 500;
const LONGEST_STATEMENT: usize = 64 * 1024;

/// Does `work` where the stack is large enough for every archive that passes [`check`].
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let thread = std::thread::Builder::new().stack_size(STACK);
    std::thread::scope(|scope| thread.spawn_scoped(scope, work)?.join().expect("errors are returned"))
}

/// Fails if the archive nests anything too deep, or if a file in it is not what its checksum says: libtorch does not look.
pub fn check(path: &Path) -> Result<()> {
    let mut archive = super::archive(path)?;
    for i in 0..archive.len() {
        let mut file = archive.by_index(i)?;
        let name = file.name()?.into_owned();
        ensure!(!name.ends_with(".pkl") || file.size() <= LARGEST_PICKLE, "`{name}` is larger than that of any network");
        if name.ends_with(".py") {
            ensure!(is_plain(&mut file)?, "the code in `{name}` is more involved than that of any network");
        } else {
            io::copy(&mut file, &mut io::sink()).with_context(|| format!("`{name}` in the archive is damaged"))?;
        }
    }
    Ok(())
}

/// Whether no statement is too long or nested too deep to be compiled in reasonable time.
fn is_plain(code: &mut dyn Read) -> Result<bool> {
    let (mut depth, mut length) = (0usize, 0);
    let (mut in_text, mut is_escaped) = (false, false);
    for byte in BufReader::new(code).bytes() {
        let byte = byte?;
        length += 1;
        in_text ^= byte == b'"' && !is_escaped;
        is_escaped = in_text && byte == b'\\' && !is_escaped;
        match byte {
            _ if in_text => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'\n' if depth == 0 => length = 0,
            _ => {}
        }
        if depth > DEEPEST_BRACKETS || length > LONGEST_STATEMENT {
            return Ok(false);
        }
    }
    Ok(true)
}
