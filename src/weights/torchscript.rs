//! The tensors of a TorchScript archive.
//!
//! The C++ side is `csrc/torchscript.cpp`.
#![allow(unsafe_code)] // calls into C++, reasoned at each

use crate::advice::text_of_cpp;
use crate::nn::StateDict;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tch::Tensor;
use torch_sys::C_tensor;
use zip::ZipArchive;

const LONGEST_MESSAGE: usize = 2000;

type Take = extern "C" fn(*mut c_void, *const c_char, *mut C_tensor);

unsafe extern "C" {
    fn thingsvision_torchscript_tensors(
        path: *const c_char,
        context: *mut c_void,
        take: Take,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
}

/// libtorch descends into nested values and expressions without a limit. A file may nest no deeper than there are bytes
/// in its pickles, so their size is limited, and the stack made large enough for that (only what is used takes memory).
const LARGEST_PICKLE: u64 = 1 << 20;
const STACK: usize = 1 << 30;
/// What the code of traced and scripted networks does not reach by far.
const DEEPEST_BRACKETS: usize = 500;
const LONGEST_STATEMENT: usize = 64 * 1024;

/// Reads the parameters and buffers of the archive at `path`. Its methods are not run.
pub fn read(path: &Path) -> Result<StateDict> {
    check(path)?;
    let reader = std::thread::Builder::new().stack_size(STACK);
    std::thread::scope(|scope| reader.spawn_scoped(scope, || load(path))?.join().expect("errors are returned"))
}

/// Fails if the archive nests anything too deep.
fn check(path: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(File::open(path)?)?;
    for i in 0..archive.len() {
        let mut file = archive.by_index(i)?;
        let name = file.name()?.into_owned();
        if name.ends_with(".pkl") {
            ensure!(file.size() <= LARGEST_PICKLE, "`{name}` is larger than that of any network");
        } else if name.ends_with(".py") {
            ensure!(is_plain(&mut file)?, "the code in `{name}` is more involved than that of any network");
        }
    }
    Ok(())
}

/// Whether no statement is too long or nested too deep to be compiled in reasonable time.
fn is_plain(code: &mut dyn Read) -> Result<bool> {
    let (mut depth, mut length) = (0usize, 0);
    for byte in BufReader::new(code).bytes() {
        length += 1;
        match byte? {
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

fn load(path: &Path) -> Result<StateDict> {
    let path = CString::new(path.as_os_str().as_bytes()).context("the path contains a zero byte")?;
    let mut state = StateDict::new();
    let mut message = [0; LONGEST_MESSAGE];
    // SAFETY: the path is a C string, the message buffer has the size that is told, and `take` gets back the pointer to
    // `state`, which nobody else uses during the call.
    let failed = unsafe {
        thingsvision_torchscript_tensors(path.as_ptr(), (&raw mut state).cast(), take, message.as_mut_ptr(), LONGEST_MESSAGE)
    };
    if failed != 0 {
        bail!("{}", text_of_cpp(&message));
    }
    Ok(state)
}

extern "C" fn take(state: *mut c_void, name: *const c_char, tensor: *mut C_tensor) {
    // SAFETY: called only by `thingsvision_torchscript_tensors` with the pointer that `read` gave it, a C string, and a
    // tensor that is ours to free.
    let (state, name, tensor) = unsafe { (&mut *state.cast::<StateDict>(), CStr::from_ptr(name), Tensor::from_ptr(tensor)) };
    state.insert(name.to_string_lossy().into_owned(), tensor);
}
