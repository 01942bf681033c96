//! What an archive holds, as libtorch finds and parses it: see `csrc/foreign.cpp`.
#![allow(unsafe_code)] // calls into C++, reasoned at each

use super::{LONGEST_MESSAGE, Message, Raw, Script};
use anyhow::{Context, Result};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub type Pairs = Vec<(String, String)>;
pub type TakePair = extern "C" fn(*mut c_void, *const c_char, *const c_char);
type TakeEntry = extern "C" fn(*mut c_void, *const c_char, u64, u64);

unsafe extern "C" {
    fn thingsvision_archive_entries(
        path: *const c_char,
        context: *mut c_void,
        take: TakeEntry,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn thingsvision_code_check(
        code: *const c_char,
        length: usize,
        context: *mut c_void,
        take: TakePair,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn thingsvision_script_has(script: *const Raw, name: *const c_char) -> c_int;
    fn thingsvision_script_operators(
        script: *const Raw,
        context: *mut c_void,
        take: TakePair,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
}

/// Adds two texts to the [`Pairs`] at `all`.
pub extern "C" fn take_pair(all: *mut c_void, first: *const c_char, second: *const c_char) {
    // SAFETY: given to C++ only together with a pointer to pairs that live during the call, and called there with C strings.
    let (all, first, second) = unsafe { (&mut *all.cast::<Pairs>(), CStr::from_ptr(first), CStr::from_ptr(second)) };
    all.push((first.to_string_lossy().into_owned(), second.to_string_lossy().into_owned()));
}

/// The name, the place of the bytes and the size once unpacked of each file that libtorch finds in the archive at `path`.
pub fn entries(path: &Path) -> Result<Vec<(String, u64, u64)>> {
    extern "C" fn take(all: *mut c_void, name: *const c_char, offset: u64, size: u64) {
        // SAFETY: called only below, with the vector given there and a C string.
        let (all, name) = unsafe { (&mut *all.cast::<Vec<(String, u64, u64)>>(), CStr::from_ptr(name)) };
        all.push((name.to_string_lossy().into_owned(), offset, size));
    }
    let path = CString::new(path.as_os_str().as_bytes()).context("the path contains a zero byte")?;
    let mut all: Vec<(String, u64, u64)> = Vec::new();
    let mut message = Message::new();
    // SAFETY: `take` gets back the pointer to `all`, which nobody else uses during the call; the path is a C string.
    let failed =
        unsafe { thingsvision_archive_entries(path.as_ptr(), (&raw mut all).cast(), take, message.buffer(), LONGEST_MESSAGE) };
    if failed == 0 { Ok(all) } else { Err(message.error()) }
}

/// What the file of `code` defines; fails if something in it would run while it is opened.
pub fn definitions(code: &[u8]) -> Result<Vec<String>> {
    let mut all = Pairs::new();
    let mut message = Message::new();
    // SAFETY: `take_pair` gets back the pointer to `all`, which nobody else uses during the call; the code has this length.
    let failed = unsafe {
        let (all, code, length) = ((&raw mut all).cast(), code.as_ptr().cast(), code.len());
        thingsvision_code_check(code, length, all, take_pair, message.buffer(), LONGEST_MESSAGE)
    };
    if failed == 0 { Ok(all.into_iter().map(|(name, _)| name).collect()) } else { Err(message.error()) }
}

impl Script {
    /// What the archive defines and the network has no use for, so that libtorch did not compile it.
    pub fn unused(&self) -> Option<&str> {
        self.defined.iter().map(String::as_str).find(|name| !self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        // SAFETY: the script is open, and the name is a C string.
        CString::new(name).is_ok_and(|name| unsafe { thingsvision_script_has(self.raw.as_ptr(), name.as_ptr()) } != 0)
    }

    /// Every operator in all its code with the function that it stands in, and the type of every constant and attribute that is
    /// neither tensor, number, text, device, nor made of these.
    pub fn operators(&self) -> Result<Vec<(String, String)>> {
        let mut all = Pairs::new();
        let mut message = Message::new();
        // SAFETY: as in `modules`.
        let failed = unsafe {
            let all = (&raw mut all).cast();
            thingsvision_script_operators(self.raw.as_ptr(), all, take_pair, message.buffer(), LONGEST_MESSAGE)
        };
        if failed == 0 { Ok(all) } else { Err(message.error()) }
    }
}
