//! The tensors of a TorchScript archive.
//!
//! The C++ side is `csrc/torchscript.cpp`.
#![allow(unsafe_code)] // calls into C++, reasoned at each

use crate::nn::StateDict;
use anyhow::{Context, Result, bail};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tch::Tensor;
use torch_sys::C_tensor;

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

/// Reads the parameters and buffers of the archive at `path`. Its methods are not run.
pub fn read(path: &Path) -> Result<StateDict> {
    let path = CString::new(path.as_os_str().as_bytes()).context("the path contains a zero byte")?;
    let mut state = StateDict::new();
    let mut message = [0; LONGEST_MESSAGE];
    // SAFETY: the path is a C string, the message buffer has the size that is told, and `take` gets back the pointer to
    // `state`, which nobody else uses during the call.
    let failed = unsafe {
        thingsvision_torchscript_tensors(path.as_ptr(), (&raw mut state).cast(), take, message.as_mut_ptr(), LONGEST_MESSAGE)
    };
    if failed != 0 {
        let bytes = message.map(|character| character as u8);
        let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"libtorch gave up").to_string_lossy();
        bail!("{}", text.lines().next().unwrap_or_default());
    }
    Ok(state)
}

extern "C" fn take(state: *mut c_void, name: *const c_char, tensor: *mut C_tensor) {
    // SAFETY: called only by `thingsvision_torchscript_tensors` with the pointer that `read` gave it, a C string, and a
    // tensor that is ours to free.
    let (state, name, tensor) = unsafe { (&mut *state.cast::<StateDict>(), CStr::from_ptr(name), Tensor::from_ptr(tensor)) };
    state.insert(name.to_string_lossy().into_owned(), tensor);
}
